/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that prove nothing: what was recorded on the way and arrives again, and what somebody made
 * up who has no key. Neither may change anything.
 */
#include "tests/sim/sim_internal.h"

void swim_sim_record(struct swim_sim *sim, uint32_t every)
{
    sim->record_every = every;
    if (sim->recorded == NULL) {
        sim->recorded = x_alloc(SIM_RECORDED * sizeof(struct sim_packet *));
    }
}

static struct sim_packet *copy_of(struct swim_sim *sim, const struct sim_packet *packet)
{
    struct sim_packet *copy = sim_packet_new(&sim->packets, packet->bytes, packet->n);

    copy->event.kind = SIM_DATAGRAM;
    copy->from = packet->from;
    copy->to = packet->to;
    copy->from_slot = packet->from_slot;
    copy->from_sid = packet->from_sid;
    copy->from_boot = packet->from_boot;
    copy->of_stranger = packet->of_stranger;
    copy->to_life = packet->to_life;
    return copy;
}

void sim_remember(struct swim_sim *sim, const struct sim_packet *packet)
{
    uint32_t at;

    if (sim->record_every == 0 || sim->n_delivered++ % sim->record_every != 0) {
        return;
    }
    at = (uint32_t)(sim->n_recorded++ % SIM_RECORDED);
    if (sim->recorded[at] != NULL) {
        sim_packet_free(&sim->packets, sim->recorded[at]);
    }
    sim->recorded[at] = copy_of(sim, packet);
    sim->recorded[at]->to_life = sim->nodes[packet->to].life;
}

/* To a later life of the receiver it may be news: signed records may be taken from it, and nothing
 * is checked but what always is. Nor when the receiver did not know the sender: it has no replay
 * window of a stranger, and may believe the same words again. */
void swim_sim_replay(struct swim_sim *sim, uint32_t n)
{
    uint32_t kept = (uint32_t)(sim->n_recorded < SIM_RECORDED ? sim->n_recorded : SIM_RECORDED);

    sim_tell(sim, SIM_TRACE_REPLAY, SIM_NOBODY, SIM_NOBODY);
    for (uint32_t i = 0; i < n && kept > 0; i++) {
        struct sim_packet *packet =
            copy_of(sim, sim->recorded[sim_random_below(&sim->random, kept)]);

        packet->inert = true;
        sim_events_put(&sim->events, &packet->event,
                       sim->now_ns + sim_random_below(&sim->random, 1000000));
    }
}

static void garble(struct swim_sim *sim, uint8_t *bytes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)sim_random_u64(&sim->random);
    }
    if (n >= 8 && sim_random_below(&sim->random, 4) != 0) {
        /* As far as the head goes it looks right. */
        struct swim_key key = swim_sim_key(sim, 0, SWIM_KEY_ACTIVE);

        bytes[0] = SWIM_MAGIC;
        bytes[1] = SWIM_VERSION;
        bytes[2] = bytes[3] = 0;
        for (unsigned i = 0; i < 4; i++) {
            bytes[4 + i] = (uint8_t)(key.id >> (24 - 8 * i));
        }
    }
}

void swim_sim_garbage(struct swim_sim *sim, uint32_t node, uint32_t n)
{
    sim_tell(sim, SIM_TRACE_GARBAGE, node, SIM_NOBODY);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t bytes[SWIM_DATAGRAM_MAX + 8];
        uint32_t length = sim_random_below(&sim->random, sizeof bytes);
        struct sim_packet *packet;

        garble(sim, bytes, length);
        packet = sim_packet_new(&sim->packets, bytes, length);
        packet->event.kind = SIM_DATAGRAM;
        packet->from = SIM_NOBODY;
        packet->to = node;
        packet->from_slot = 0xffffff;
        packet->inert = true;
        sim_events_put(&sim->events, &packet->event,
                       sim->now_ns + sim_random_below(&sim->random, 1000000));
    }
}
