/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_byzantine.h"

#include "shared/swarm/swim_internal.h"
#include "tests/sim/sim_internal.h"

#define LIE_BYTES 1000u

/* A record of the victim, one seq further, by whoever has not its key. */
static size_t forge_record(struct swim_sim *sim, uint32_t liar, uint32_t victim,
                           uint8_t out[SWIM_RECORD_MAX])
{
    const struct sim_node *n = &sim->nodes[liar];
    struct swim_record record = sim->nodes[victim].swim->own;

    record.incarnation.seq++;
    return swim_record_write(&record, sim->opts.crypto, n->secret_key, n->keyring.cluster_id, out);
}

static void write_frame(struct swim_sim *sim, uint32_t liar, uint32_t victim, enum sim_lie lie,
                        struct pack *pack)
{
    uint32_t other = sim_random_below(&sim->random, sim->opts.n_nodes);
    struct swim_view view = {0};
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_frame frame = {
        .type = SWIM_SUSPECT_FRAME,
        .sid = sim->nodes[victim].sid,
        .from = sim->nodes[lie == SIM_LIE_SUSPECT_MANY ? other : liar].sid,
        .incarnation = sim->nodes[victim].own,
    };

    if (lie == SIM_LIE_DEAD || lie == SIM_LIE_FUTURE) {
        frame.type = SWIM_DEAD_FRAME;
        frame.lh = SWIM_CONFIRMATIONS_MAX;
        frame.incarnation.seq += lie == SIM_LIE_FUTURE ? 100 : 0;
    } else if (lie == SIM_LIE_RECORD) {
        frame.type = SWIM_ALIVE_FRAME;
        frame.bin = record;
        frame.n_bin = forge_record(sim, liar, victim, record);
    } else if (lie == SIM_LIE_REPLAY) {
        (void)swim_member_get(sim->nodes[liar].swim, frame.sid, &view);
        frame.type = SWIM_LEFT_FRAME;
        frame.bin = view.record;
        frame.n_bin = view.n_record;
    }
    swim_frame_write(pack, &frame);
}

static size_t make_lie(struct swim_sim *sim, uint32_t liar, uint32_t victim, enum sim_lie lie,
                       uint8_t bytes[SWIM_DATAGRAM_MAX])
{
    struct swim *swim = sim->nodes[liar].swim;
    struct pack pack = pack_into(bytes + SWIM_HEAD_BYTES, LIE_BYTES);
    const struct swim_key *key = swim_keyring_active(&swim->keyring);
    struct swim_envelope envelope = {.key_id = key->id, .counter = ++swim->counter};

    if (lie == SIM_LIE_GARBAGE) {
        while (pack_length(&pack) < 200) {
            pack_u64(&pack, sim_random_u64(&sim->random));
        }
    } else {
        write_frame(sim, liar, victim, lie, &pack);
    }
    memcpy(envelope.boot_nonce, swim->own.boot_nonce, SWIM_NONCE_BYTES);
    return swim_envelope_seal(&swim->keyring, key, sim->opts.crypto, &envelope, bytes,
                              pack_length(&pack));
}

void swim_sim_lie(struct swim_sim *sim, uint32_t liar, uint32_t victim, enum sim_lie lie)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX];

    if (sim->nodes[liar].swim == NULL || sim->nodes[victim].swim == NULL || liar == victim) {
        return;
    }
    sim_tell(sim, SIM_TRACE_LIE, liar, victim);
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        struct swim_addr to = swim_sim_addr(sim, i);

        if (i != liar && i != victim && sim->nodes[i].swim != NULL) {
            sim_send(sim, liar, &to, bytes, make_lie(sim, liar, victim, lie, bytes));
        }
    }
}
