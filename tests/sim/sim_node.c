/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_node.h"

#include <stdio.h>

#include "shared/swarm/swim_meta.h"
#include "tests/sim/sim_check_inside.h"
#include "tests/sim/sim_internal.h"

#define SIM_PORT 7946

/* ---- clocks ---- */

/* Never goes back, since both terms only grow (or only shrink by less than the first grows). */
static int64_t drifted(uint64_t elapsed_ns, int32_t drift_ppb)
{
    int64_t s = (int64_t)(elapsed_ns / 1000000000);
    int64_t rest = (int64_t)(elapsed_ns % 1000000000);

    return s * drift_ppb + rest * drift_ppb / 1000000000;
}

struct swim_now sim_node_now(const struct swim_sim *sim, uint32_t node)
{
    const struct sim_clock *clock = &sim->nodes[node].clock;
    uint64_t elapsed = sim->now_ns - clock->since_ns;
    uint64_t mono = elapsed + (uint64_t)drifted(elapsed, clock->drift_ppb);

    return (struct swim_now){
        .mono_ns = clock->mono_ns + mono,
        .wall_ns = SIM_EPOCH_NS + clock->off_ns + (int64_t)sim->now_ns +
                   drifted(sim->now_ns, clock->drift_ppb),
    };
}

uint64_t sim_node_when(const struct sim_node *node, uint64_t mono_ns)
{
    const struct sim_clock *clock = &node->clock;
    uint64_t elapsed;

    if (mono_ns <= clock->mono_ns) {
        return clock->since_ns;
    }
    /* A first guess is off by drift²; the second by less than a ns, and late is right. */
    elapsed = mono_ns - clock->mono_ns;
    elapsed -= (uint64_t)drifted(elapsed, clock->drift_ppb);
    while (elapsed + (uint64_t)drifted(elapsed, clock->drift_ppb) < mono_ns - clock->mono_ns) {
        uint64_t short_by =
            mono_ns - clock->mono_ns - (elapsed + (uint64_t)drifted(elapsed, clock->drift_ppb));
        elapsed += short_by;
    }
    return clock->since_ns + elapsed;
}

/* ---- addresses ---- */

struct swim_addr sim_node_addr(uint32_t slot)
{
    return (struct swim_addr){
        .ip = {10, (uint8_t)(slot >> 16), (uint8_t)(slot >> 8), (uint8_t)slot},
        .port = SIM_PORT,
        .family = 4,
    };
}

uint32_t sim_node_at(const struct swim_sim *sim, const struct swim_addr *addr)
{
    uint32_t slot = (uint32_t)addr->ip[1] << 16 | (uint32_t)addr->ip[2] << 8 | addr->ip[3];

    if (addr->family != 4 || addr->port != SIM_PORT || addr->ip[0] != 10 ||
        slot >= sim->opts.n_nodes) {
        return SIM_NOBODY;
    }
    return sim->node_of_slot[slot];
}

/* ---- the state directory ---- */

static void fill_seed(uint8_t out[SWIM_SEED_BYTES], uint64_t seed, uint32_t purpose, uint32_t which,
                      uint32_t life)
{
    struct sim_random random = sim_random_stream(seed + life * 0x9e3779b97f4a7c15u, purpose, which);

    for (unsigned i = 0; i < SWIM_SEED_BYTES; i += 8) {
        uint64_t v = sim_random_u64(&random);
        memcpy(out + i, &v, sizeof v);
    }
}

void sim_node_make_keys(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    uint8_t seed[SWIM_SEED_BYTES];
    struct swim_id id;

    fill_seed(seed, sim->opts.seed, 'k', node, n->n_fresh);
    sim->opts.crypto->make_pair(seed, n->public_key, n->secret_key);
    id = swim_id_of(n->public_key);
    n->sid = swim_sid(&id);
    n->persisted_boot = 0;
}

void sim_node_init(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct sim_random random = sim_random_stream(sim->opts.seed, 'c', node);
    uint32_t off_ms = sim->opts.clock_off_ms;
    uint32_t drift = sim->opts.drift_ppm;

    n->wake.kind = SIM_WAKE;
    n->ready.kind = SIM_READY;
    n->slot = node;
    sim->node_of_slot[node] = node;
    n->clock.off_ns = ((int64_t)sim_random_between(&random, 0, 2 * off_ms) - off_ms) * 1000000;
    n->clock.drift_ppb =
        ((int32_t)sim_random_between(&random, 0, 2 * drift) - (int32_t)drift) * 1000;
    n->keyring.keys[0] = swim_sim_key(sim, 0, SWIM_KEY_ACTIVE);
    n->keyring.n = 1;
    memset(n->keyring.cluster_id, 0xc1, sizeof n->keyring.cluster_id);
    sim_node_make_keys(sim, node);
}

/* ---- the process ---- */

static void join(struct swim_sim *sim, uint32_t node)
{
    struct swim_addr seeds[SWIM_SEEDS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < sim->opts.n_seeds && n < SWIM_SEEDS_MAX; i++) {
        if (i != sim->nodes[node].slot) {
            seeds[n++] = sim_node_addr(i);
        }
    }
    if (n > 0) {
        swim_join(sim->nodes[node].swim, sim_node_now(sim, node), seeds, n);
    }
}

/* As a product node has it, so that records are as long as they will be. */
static size_t make_meta(const struct swim_sim *sim, uint32_t node, uint8_t out[SWIM_META_MAX])
{
    const struct sim_node *n = &sim->nodes[node];
    struct swim_meta meta = {
        .proto_min = 1,
        .proto_max = 1,
        .rpc_port = SIM_PORT,
        .http_port = SIM_PORT + 1,
        .iface_count = 3,
        .flags = SWIM_META_CAN_CAPTURE,
        .iface_digest = n->sid ^ UINT64_C(0x9e3779b97f4a7c15),
        .tags_digest = UINT64_C(0xc2b2ae3d27d4eb4f),
        .version = "0.1.0",
        .site = "sim",
    };

    if (sim->opts.n_meta > 0) {
        memset(out, 0, sim->opts.n_meta);
        return sim->opts.n_meta + (size_t)snprintf(NULL, 0, "%u", node);
    }
    (void)snprintf(meta.name, sizeof meta.name, "n%u", node);
    for (; meta.n_keys < n->keyring.n; meta.n_keys++) {
        meta.key_ids[meta.n_keys] = n->keyring.keys[meta.n_keys].id;
    }
    return swim_meta_write(&meta, out);
}

static struct swim_config config_of(struct swim_sim *sim, uint32_t node,
                                    uint8_t meta[SWIM_META_MAX])
{
    struct sim_node *n = &sim->nodes[node];
    struct swim_config config = {
        .rules = sim->opts.rules,
        .crypto = &sim_crypto_counting,
        .keyring = n->keyring,
        .persisted_boot = n->persisted_boot,
        .n_addrs = 1,
        .addrs = {sim_node_addr(n->slot)},
        .meta = meta,
        .n_meta = (uint16_t)make_meta(sim, node, meta),
    };

    memcpy(config.public_key, n->public_key, sizeof config.public_key);
    memcpy(config.secret_key, n->secret_key, sizeof config.secret_key);
    fill_seed(config.seed, sim->opts.seed, 's', node, n->life);
    return config;
}

static void be_busy(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (!sim->opts.effortless && n->swim != NULL) {
        n->busy_ns = sim->now_ns + sim_cost_end();
    }
}

void sim_node_start(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct sim_random random = sim_random_stream(sim->opts.seed + n->life, 'b', node);
    uint8_t meta[SWIM_META_MAX];
    struct swim_config config = config_of(sim, node, meta);

    sim_count_time(sim);
    sim_cost_begin(sim->opts.crypto, sim->opts.kilobyte_ns);
    n->busy_ns = n->link_free_ns = 0;
    n->life++;
    n->clock.since_ns = sim->now_ns;
    n->clock.mono_ns = 1 + sim_random_below(&random, 1000000) * UINT64_C(1000003);
    n->stalled = n->silent = n->leaving = false;
    n->has_persisted = false;
    n->counter = n->n_sent = n->n_events = 0;
    n->kernel_drops = n->n_steps = 0;
    n->last_token = 0;
    n->swim = swim_new(&config, sim_node_now(sim, node));
    sim->n_running++;
    sim_tell(sim, SIM_TRACE_START, node, SIM_NOBODY);
    sim_check_started(sim, node);
    sim_node_drain(sim, node);
    join(sim, node);
    sim_node_drain(sim, node);
    if (n->disk_ms > 0) {
        be_busy(sim, node);
    }
}

void sim_node_stop(struct swim_sim *sim, uint32_t node, bool silent)
{
    struct sim_node *n = &sim->nodes[node];

    sim_count_time(sim);
    n->silent = silent;
    sim_stream_close_all(sim, node, silent);
    sim_check_stopped(sim, node);
    swim_free(n->swim);
    n->swim = NULL;
    sim->n_running--;
    sim_events_remove(&sim->events, &n->wake);
    sim_events_remove(&sim->events, &n->ready);
    sim_queue_clear(&n->rx, &sim->packets);
    sim_queue_clear(&n->tx, &sim->packets);
}

/* ---- what the core wants done ---- */

static void do_event(struct swim_sim *sim, uint32_t node, const struct swim_action *action)
{
    sim->nodes[node].n_events++;
    sim_digest(sim, (uint64_t)action->event << 56 ^ action->sid ^ action->incarnation.seq);
    sim_check_event(sim, node, action);
}

static void do_send(struct swim_sim *sim, uint32_t node, const struct swim_action *action)
{
    sim->nodes[node].n_sent++;
    sim_check_send(sim, node, action);
    sim_send(sim, node, &action->addr, action->bytes, action->n);
    if (action->ping != 0) {
        struct swim_now now = sim_node_now(sim, node);
        swim_on_sent(sim->nodes[node].swim, now, action->ping, now.wall_ns);
    }
}

static void do_persist(struct swim_sim *sim, uint32_t node, uint64_t boot)
{
    struct sim_node *n = &sim->nodes[node];
    uint64_t done_ns = sim->now_ns + n->disk_ms * SWIM_MS;

    n->persisted_boot = n->disk_is_full ? n->persisted_boot : boot;
    n->has_persisted = boot == swim_own_incarnation(n->swim).boot;
    if (n->disk_ms > 0) { /* what follows leaves behind it, and what comes waits */
        n->link_free_ns = n->link_free_ns > done_ns ? n->link_free_ns : done_ns;
        sim_cost_wait(n->disk_ms * SWIM_MS);
    }
    sim_trace_add(&sim->trace, (struct sim_trace_line){.now_ns = sim->now_ns,
                                                       .node = node,
                                                       .other = SIM_NOBODY,
                                                       .boot = boot,
                                                       .what = SIM_TRACE_PERSIST});
}

/* False: the process has ended. */
static bool do_action(struct swim_sim *sim, uint32_t node, const struct swim_action *action)
{
    switch (action->kind) {
    case SWIM_SEND:
        do_send(sim, node, action);
        break;
    case SWIM_STREAM_OPEN:
        sim_stream_open(sim, node, action->conn, sim_node_at(sim, &action->addr));
        break;
    case SWIM_STREAM_WRITE:
        sim_stream_write(sim, node, action->conn, action->bytes, action->n);
        break;
    case SWIM_STREAM_CLOSE:
        sim_stream_close(sim, node, action->conn);
        break;
    case SWIM_EVENT:
        do_event(sim, node, action);
        break;
    case SWIM_PERSIST:
        do_persist(sim, node, action->boot);
        break;
    case SWIM_LEAVE_DONE:
        sim_tell(sim, SIM_TRACE_LEFT, node, SIM_NOBODY);
        sim_node_stop(sim, node, false);
        return false;
    }
    return true;
}

static void plan_wake(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    uint64_t mono_ns = swim_deadline(n->swim);
    uint64_t due_ns;

    if (mono_ns == SWIM_NEVER || n->stalled) {
        sim_events_remove(&sim->events, &n->wake);
        return;
    }
    if (n->wake.at != 0 && n->wake_mono_ns == mono_ns) {
        return;
    }
    due_ns = sim_node_when(n, mono_ns);
    due_ns = due_ns < n->busy_ns ? n->busy_ns : due_ns;
    due_ns = due_ns < sim->now_ns ? sim->now_ns : due_ns;
    due_ns += sim_random_below(&sim->jitter, sim->opts.late_us * 1000 + 1);
    n->wake_mono_ns = mono_ns;
    sim_events_put(&sim->events, &n->wake, due_ns);
}

void sim_node_drain(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct swim_now now = sim_node_now(sim, node);
    struct swim_action action;

    while (swim_next(n->swim, now, &sim->scratch, &action)) {
        if (!do_action(sim, node, &action)) {
            return;
        }
    }
    plan_wake(sim, node);
    sim_check_step(sim, node);
}

/* ---- inputs ---- */

static bool knows_sender(const struct swim *swim, const struct sim_packet *packet)
{
    struct swim_view view;

    return swim_member_get(swim, packet->from_sid, &view) &&
           view.incarnation.boot >= packet->from_boot;
}

static void take_datagram(struct swim_sim *sim, uint32_t node, struct sim_packet *packet)
{
    struct sim_node *n = &sim->nodes[node];
    struct swim_now now = sim_node_now(sim, node);
    struct swim_addr from = sim_node_addr(packet->from_slot);
    int64_t stamp_ns = now.wall_ns - (int64_t)(sim->now_ns - packet->arrived_ns);
    bool is_inert = packet->inert && !packet->of_stranger &&
                    (packet->to_life == 0 || packet->to_life == n->life);
    struct sim_still before = {0};

    if (is_inert) {
        /* What is due anyway may happen now. */
        is_inert = swim_deadline(n->swim) > now.mono_ns;
        before = sim_check_before(sim, node);
        before.is_record_news = sim_check_is_left_behind(sim, node, packet);
    } else if (!packet->inert) {
        /* Of a stranger there is no replay window yet: the same words again may be believed. */
        packet->of_stranger = !knows_sender(n->swim, packet);
        sim_remember(sim, packet);
    }
    swim_on_datagram(n->swim, now, &from, packet->bytes, packet->n, stamp_ns);
    sim_packet_free(&sim->packets, packet);
    sim_node_drain(sim, node);
    if (is_inert && n->swim != NULL) {
        sim_check_still(sim, node, &before);
    }
}

/* ---- taking time ---- */

uint64_t sim_node_link_ns(struct swim_sim *sim, uint32_t node, size_t n)
{
    struct sim_node *from = &sim->nodes[node];
    uint64_t free_ns = from->link_free_ns > sim->now_ns ? from->link_free_ns : sim->now_ns;

    if (sim->opts.effortless) {
        return 0;
    }
    from->link_free_ns = free_ns + (n + SIM_HEADS_BYTES) * 8 * SIM_LINK_BIT_NS;
    return from->link_free_ns - sim->now_ns;
}

static bool is_away(const struct sim_node *n)
{
    return n->stalled || n->dark;
}

static void take(struct swim_sim *sim, uint32_t node, struct sim_packet *packet)
{
    sim_cost_begin(sim->opts.crypto, sim->opts.kilobyte_ns);
    if (packet->event.kind == SIM_STREAM) {
        sim_stream_deliver(sim, packet);
        sim_packet_free(&sim->packets, packet);
    } else {
        sim_cost_message(0);
        take_datagram(sim, node, packet);
    }
    be_busy(sim, node);
}

static void plan_ready(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->swim != NULL && n->rx.first != NULL && !is_away(n)) {
        sim_events_put(&sim->events, &n->ready,
                       n->busy_ns > sim->now_ns ? n->busy_ns : sim->now_ns);
    }
}

/* What the kernel dropped is read with the next datagram that is not. */
void sim_node_ready(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (is_away(n)) {
        return;
    }
    take(sim, node, sim_queue_take(&n->rx));
    if (n->swim != NULL && n->kernel_drops != 0) {
        swim_on_kernel_drops(n->swim, sim_node_now(sim, node), n->kernel_drops);
        n->kernel_drops = 0;
        sim_node_drain(sim, node);
    }
    plan_ready(sim, node);
}

void sim_node_arrive(struct swim_sim *sim, struct sim_packet *packet)
{
    uint32_t node = packet->to;
    struct sim_node *n = &sim->nodes[node];

    packet->arrived_ns = sim->now_ns;
    if (n->swim == NULL) {
        if (packet->event.kind == SIM_STREAM) {
            sim_stream_refuse(sim, packet);
        } else {
            sim_packet_free(&sim->packets, packet);
        }
        return;
    }
    if (!is_away(n) && n->busy_ns <= sim->now_ns && n->rx.first == NULL) {
        take(sim, node, packet);
        return;
    }
    if (packet->event.kind == SIM_DATAGRAM &&
        n->rx.n_bytes + packet->n + SIM_PACKET_OVERHEAD > SIM_SOCKET_BUFFER) {
        if (n->kernel_drops++ == 0) {
            sim_tell(sim, SIM_TRACE_DROP, node, SIM_NOBODY);
        }
        sim->totals.kernel_drops++;
        sim_packet_free(&sim->packets, packet);
        return;
    }
    sim_queue_put(&n->rx, packet);
    plan_ready(sim, node);
}

/* Inputs before timers: not while something waits. */
void sim_node_wake(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->rx.first != NULL && !n->dark) {
        sim_events_put(&sim->events, &n->wake, n->ready.due_ns);
        return;
    }
    sim_cost_begin(sim->opts.crypto, sim->opts.kilobyte_ns);
    swim_on_time(n->swim, sim_node_now(sim, node));
    sim_node_drain(sim, node);
    be_busy(sim, node);
}

/* ---- stalls and blackouts ---- */

void sim_node_stall(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->swim == NULL || n->stalled) {
        return;
    }
    n->stalled = true;
    sim_events_remove(&sim->events, &n->wake);
}

void sim_node_resume(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->swim == NULL || !n->stalled) {
        return;
    }
    n->stalled = false;
    plan_ready(sim, node);
    plan_wake(sim, node);
}

void sim_node_blackout(struct swim_sim *sim, uint32_t node, bool on)
{
    struct sim_node *n = &sim->nodes[node];
    struct sim_packet *packet;

    if (n->dark == on) {
        return;
    }
    n->dark = on;
    if (on) {
        return;
    }
    while ((packet = sim_queue_take(&n->tx)) != NULL) {
        sim_put_on_way(sim, packet);
    }
    plan_ready(sim, node);
}
