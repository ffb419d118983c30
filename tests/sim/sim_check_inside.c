/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_check_inside.h"

#include <inttypes.h>

#include "shared/swarm/swim_internal.h"
#include "tests/sim/sim_internal.h"

/* ---- in flight: I1 ---- */

/* Whether the member has ever said that of itself. */
static void check_said(struct swim_sim *sim, uint32_t node, uint8_t type, uint64_t sid,
                       struct swim_incarnation incarnation)
{
    uint32_t about = sim_check_find(sim, sid);
    const struct sim_identity *who;

    if (about == UINT32_MAX) {
        (void)swim_sim_fail(sim, "I1", "n%" PRIu32 " sends frame %u of a member that is nobody",
                            node, type);
        return;
    }
    who = &sim->check.identities[about];
    for (uint32_t i = who->n_lives; i-- > 0;) {
        if (who->lives[i].boot == incarnation.boot && who->lives[i].newest_seq >= incarnation.seq) {
            return;
        }
    }
    (void)swim_sim_fail(sim, "I1",
                        "n%" PRIu32 " sends frame %u of n%" PRIu32 " with boot %" PRIu64
                        " seq %" PRIu32 ", which never said so",
                        node, type, who->node, incarnation.boot, incarnation.seq);
}

static void check_record(struct swim_sim *sim, uint32_t node, const struct swim_frame *frame)
{
    const struct sim_node *n = &sim->nodes[node];
    struct swim_record record;
    struct swim_id id;

    if (!swim_record_read(frame->bin, frame->n_bin, &record) ||
        !swim_record_is_signed(frame->bin, frame->n_bin, &record, sim->opts.crypto,
                               n->keyring.cluster_id)) {
        (void)swim_sim_fail(sim, "I1", "n%" PRIu32 " sends a record that nobody signed", node);
        return;
    }
    id = swim_id_of(record.public_key);
    check_said(sim, node, frame->type, swim_sid(&id), record.incarnation);
}

/* The boot nonce that the node knows of a member, which what it sends to it is bound to. */
static void nonce_known(struct swim_sim *sim, uint32_t node, uint64_t sid,
                        uint8_t nonce[SWIM_NONCE_BYTES])
{
    struct swim_view view;
    struct swim_record record;

    memset(nonce, 0, SWIM_NONCE_BYTES);
    if (sid != 0 && swim_member_get(swim_sim_core(sim, node), sid, &view) &&
        swim_record_read(view.record, view.n_record, &record)) {
        memcpy(nonce, record.boot_nonce, SWIM_NONCE_BYTES);
    }
}

void sim_check_wire(struct swim_sim *sim, uint32_t node, uint64_t to_sid, const uint8_t *bytes,
                    size_t n)
{
    uint8_t to_nonce[SWIM_NONCE_BYTES];
    const struct swim_keyring *ring = &sim->nodes[node].keyring;
    uint8_t copy[SWIM_DATAGRAM_MAX];
    const uint8_t *frames;
    size_t n_frames;
    struct swim_envelope envelope;
    struct swim_frame frame;
    struct unpack run;
    uint8_t first = 0;

    memcpy(copy, bytes, n);
    nonce_known(sim, node, to_sid, to_nonce);
    if (!swim_envelope_read(copy, n, &envelope) ||
        swim_keyring_find(ring, envelope.key_id) == NULL ||
        !swim_envelope_open(ring, swim_keyring_find(ring, envelope.key_id), sim->opts.crypto,
                            to_nonce, copy, n, &frames, &n_frames)) {
        (void)swim_sim_fail(sim, "wire", "n%" PRIu32 " cannot open what it sealed", node);
        return;
    }
    run = unpack_from(frames, n_frames);
    for (;;) {
        switch (swim_frame_read(&run, SWIM_BIN_MAX, &frame)) {
        case SWIM_FRAME_END:
            return;
        case SWIM_FRAME_OK:
            break;
        default:
            (void)swim_sim_fail(sim, "wire", "n%" PRIu32 " sends a frame that is none", node);
            return;
        }
        first = first == 0 ? frame.type : first;
        if (sim->opts.every_datagram) {
            sim_check_told(sim, node, first, &frame);
        }
        if (frame.type == SWIM_ALIVE_FRAME || frame.type == SWIM_LEFT_FRAME ||
            frame.type == SWIM_HELLO) {
            check_record(sim, node, &frame);
        } else if (frame.type == SWIM_SUSPECT_FRAME || frame.type == SWIM_DEAD_FRAME) {
            check_said(sim, node, frame.type, frame.sid, frame.incarnation);
        }
    }
}

/* ---- clocks ---- */

static int64_t steady(const struct swim_sim *sim, uint32_t node)
{
    return swim_clock_steady(&sim->nodes[node].swim->clock, sim_node_now(sim, node).mono_ns);
}

static uint64_t apart(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

static void check_offset(struct swim_sim *sim, uint32_t node, const struct swim_member *member,
                         uint32_t peer)
{
    struct swim_estimate estimate;
    int64_t theta_ns = steady(sim, peer) - steady(sim, node);

    if (swim_offset_get(&member->offset, sim_node_now(sim, node).mono_ns, &estimate) &&
        apart(theta_ns, estimate.theta_ns) > estimate.bound_ns) {
        (void)swim_sim_fail(sim, "C1",
                            "n%" PRIu32 " thinks that the clock of n%" PRIu32 " is %" PRId64
                            " ns ahead, at most %" PRIu64 " wrong; it is %" PRId64,
                            node, peer, estimate.theta_ns, estimate.bound_ns, theta_ns);
    }
}

/* False: its wall clock has stepped, and it has not looked since. */
static bool knows_its_wall_clock(const struct swim_sim *sim, uint32_t node)
{
    int64_t wall_ns = sim_node_now(sim, node).wall_ns;

    return apart(wall_ns - steady(sim, node), sim->nodes[node].swim->clock.wall_ns) <=
           SWIM_CLOCK_STEP;
}

/* Of wall clocks, as far as the peer's has not stepped since it was told. */
static void check_wall_offset(struct swim_sim *sim, uint32_t node, const struct swim_member *member,
                              uint32_t peer)
{
    struct swim_now now = sim_node_now(sim, node);
    int64_t truth_ns = sim_node_now(sim, peer).wall_ns - now.wall_ns;
    struct swim_wall_offset offset;

    if (knows_its_wall_clock(sim, node) && knows_its_wall_clock(sim, peer) &&
        member->peer.wall_ns == sim->nodes[peer].swim->clock.wall_ns &&
        swim_wall_offset_get(sim->nodes[node].swim, now, member->sid, &offset) &&
        apart(truth_ns, offset.offset_ns) > offset.bound_ns) {
        (void)swim_sim_fail(sim, "C3",
                            "n%" PRIu32 " thinks that the wall clock of n%" PRIu32 " is %" PRId64
                            " ns ahead, at most %" PRIu64 " wrong; it is %" PRId64,
                            node, peer, offset.offset_ns, offset.bound_ns, truth_ns);
    }
}

static void check_swarm_time(struct swim_sim *sim, uint32_t a, uint32_t b)
{
    const struct swim_clock *clocks[] = {&sim->nodes[a].swim->clock, &sim->nodes[b].swim->clock};
    uint64_t mono[] = {sim_node_now(sim, a).mono_ns, sim_node_now(sim, b).mono_ns};
    struct swim_clock_view views[] = {swim_clock_get(clocks[0], mono[0]),
                                      swim_clock_get(clocks[1], mono[1])};
    uint64_t wrong_ns =
        apart(swim_clock_swarm_ns(clocks[0], mono[0]), swim_clock_swarm_ns(clocks[1], mono[1]));

    if (views[0].root == views[1].root &&
        wrong_ns > swim_add_saturating(views[0].bound_ns, views[1].bound_ns)) {
        (void)swim_sim_fail(sim, "C2",
                            "swarm time of n%" PRIu32 " and n%" PRIu32 " is %" PRIu64
                            " ns apart with bounds %" PRIu64 " and %" PRIu64,
                            a, b, wrong_ns, views[0].bound_ns, views[1].bound_ns);
    }
}

void sim_check_clock(struct swim_sim *sim, uint32_t node)
{
    const struct swim *swim = sim->nodes[node].swim;
    const struct swim_member *member =
        swim->table.members[sim->nodes[node].n_steps / SIM_CLOCK_EVERY % swim->table.n];
    uint32_t about = sim_check_find(sim, member->sid);
    uint32_t peer;

    if (about == UINT32_MAX || member == swim->self) {
        return;
    }
    peer = sim->check.identities[about].node;
    if (sim->nodes[peer].swim == NULL || sim->nodes[peer].sid != member->sid) {
        return;
    }
    /* Of an earlier life the steady clock was another one. */
    if (member->incarnation.boot == sim->nodes[peer].own.boot) {
        check_offset(sim, node, member, peer);
        check_wall_offset(sim, node, member, peer);
    }
    check_swarm_time(sim, node, peer);
}

bool sim_check_is_left_behind(const struct swim_sim *sim, uint32_t node,
                              const struct sim_packet *packet)
{
    const struct swim_member *sender = swim_find(sim->nodes[node].swim, packet->from_sid);
    const uint8_t *nonce = packet->bytes + 8;

    return sender != NULL && packet->n >= SWIM_HEAD_BYTES &&
           memcmp(nonce, sender->boot_nonce, SWIM_LIFE_BYTES) == 0 &&
           memcmp(nonce, sender->boot_nonce, SWIM_NONCE_BYTES) != 0;
}
