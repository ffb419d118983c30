/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>

#include "tests/sim/sim_internal.h"

#define SIM_PRINTED_LINES 200
/* What memberlist tells of a member has neither key nor nonce nor signature: with so little meta
 * data our records are as long as its messages are with a product's. Of names with two digits nine
 * go into a datagram, with three digits eight. */
#define SIM_MEMBERLIST_META 2

struct swim_sim *swim_sim_new(const struct swim_sim_opts *opts)
{
    struct swim_sim *sim = x_alloc(sizeof *sim);
    struct swim_sim_opts *o = &sim->opts;

    *o = *opts;
    REQUIRE(o->n_nodes > 0 && o->n_cores <= SIM_CORES);
    o->rules = o->rules == NULL ? &swim_rules_lan : o->rules;
    o->crypto = o->crypto == NULL ? &swim_crypto_null : o->crypto;
    o->n_meta =
        o->n_meta == 0 && o->rules == &swim_rules_memberlist ? SIM_MEMBERLIST_META : o->n_meta;
    o->n_seeds = o->n_seeds == 0 ? 1 : o->n_seeds;
    o->clock_off_ms = o->clock_off_ms == 0 ? 1000 : o->clock_off_ms;
    o->drift_ppm = o->drift_ppm == 0 ? 50 : o->drift_ppm;
    o->kilobyte_ns = o->kilobyte_ns == 0 ? SIM_KILOBYTE_NS : o->kilobyte_ns;
    o->late_us = o->late_us == 0 ? 100 : o->late_us;
    sim->trace.at_once = o->trace;
    sim->random = sim_random_stream(o->seed, 'r', 0);
    sim->jitter = sim_random_stream(o->seed, 'j', 0);
    sim_net_init(&sim->net, o->n_nodes, o->seed);
    sim->net.loss_ppm = o->loss_ppm;
    if (o->latency != NULL) {
        sim->net.latency = *o->latency;
    }
    sim->nodes = x_alloc(o->n_nodes * sizeof *sim->nodes);
    sim->node_of_slot = x_alloc(o->n_nodes * sizeof *sim->node_of_slot);
    sim_check_init(sim);
    for (uint32_t i = 0; i < o->n_nodes; i++) {
        sim_node_init(sim, i);
    }
    return sim;
}

static void free_event(struct swim_sim *sim, struct sim_event *event)
{
    if (event->kind != SIM_WAKE && event->kind != SIM_READY) {
        sim_packet_free(&sim->packets, container_of(event, struct sim_packet, event));
    }
}

void swim_sim_free(struct swim_sim *sim)
{
    struct sim_event *event;

    if (sim == NULL) {
        return;
    }
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_free(sim->nodes[i].swim);
        sim_queue_clear(&sim->nodes[i].rx, &sim->packets);
        sim_queue_clear(&sim->nodes[i].tx, &sim->packets);
    }
    swim_sim_forget_plans(sim);
    while ((event = sim_events_pop(&sim->events)) != NULL) {
        free_event(sim, event);
    }
    for (uint32_t i = 0; sim->recorded != NULL && i < SIM_RECORDED; i++) {
        if (sim->recorded[i] != NULL) {
            sim_packet_free(&sim->packets, sim->recorded[i]);
        }
    }
    REQUIRE(sim->packets.n_live == 0);
    sim_packets_deinit(&sim->packets);
    sim_events_deinit(&sim->events);
    sim_streams_deinit(&sim->streams);
    sim_check_deinit(sim);
    sim_told_deinit(&sim->told);
    sim_net_deinit(&sim->net);
    mem_free(sim->recorded);
    mem_free(sim->nodes);
    mem_free(sim->node_of_slot);
    mem_free(sim);
}

/* ---- datagrams under way ---- */

static void put_copy(struct swim_sim *sim, struct sim_packet *packet, const struct sim_fate *fate,
                     uint32_t copy)
{
    if (fate->damaged[copy] && packet->n > 0) {
        uint32_t bit = sim_random_below(&sim->net.random, packet->n * 8);

        packet->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        packet->inert = true;
    }
    sim_events_put(&sim->events, &packet->event,
                   sim->now_ns + packet->link_ns + fate->delay_ns[copy]);
}

void sim_put_on_way(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_fate fate = sim_net_fate(&sim->net, packet->from, packet->to);

    for (uint32_t i = 1; i < fate.n_copies; i++) {
        struct sim_packet *copy = sim_packet_new(&sim->packets, packet->bytes, packet->n);

        copy->event.kind = SIM_DATAGRAM;
        copy->from = packet->from;
        copy->to = packet->to;
        copy->from_slot = packet->from_slot;
        copy->link_ns = packet->link_ns;
        copy->from_sid = packet->from_sid;
        copy->from_boot = packet->from_boot;
        put_copy(sim, copy, &fate, i);
    }
    if (fate.n_copies == 0) {
        sim_packet_free(&sim->packets, packet);
        return;
    }
    put_copy(sim, packet, &fate, 0);
}

/* How long it takes until the next core that all share has done that. */
static uint64_t compute(struct swim_sim *sim, uint64_t ns)
{
    uint64_t *first = &sim->core_free_ns[0];

    for (uint32_t i = 1; i < sim->opts.n_cores; i++) {
        first = sim->core_free_ns[i] < *first ? &sim->core_free_ns[i] : first;
    }
    *first = (*first > sim->now_ns ? *first : sim->now_ns) + ns;
    return *first - sim->now_ns;
}

void sim_send(struct swim_sim *sim, uint32_t node, const struct swim_addr *addr, const void *bytes,
              size_t n)
{
    uint32_t to = sim_node_at(sim, addr);
    struct sim_packet *packet;

    sim->totals.n_datagrams++;
    sim->totals.datagram_bytes += n;
    if (to == SIM_NOBODY) {
        return;
    }
    packet = sim_packet_new(&sim->packets, bytes, n);
    packet->event.kind = SIM_DATAGRAM;
    packet->from = node;
    packet->to = to;
    packet->from_slot = sim->nodes[node].slot;
    packet->from_sid = sim->nodes[node].sid;
    packet->from_boot = sim->nodes[node].own.boot;
    packet->link_ns = (uint32_t)sim_node_link_ns(sim, node, n);
    if (sim->opts.n_cores > 0) {
        packet->link_ns += (uint32_t)compute(sim, sim->opts.datagram_ns);
    }
    sim_cost_message(0);
    if (sim->nodes[node].dark) {
        sim_queue_put(&sim->nodes[node].tx, packet);
        return;
    }
    sim_put_on_way(sim, packet);
}

/* ---- time ---- */

void sim_count_time(struct swim_sim *sim)
{
    sim->totals.node_ns += (sim->now_ns - sim->counted_ns) * sim->n_running;
    sim->counted_ns = sim->now_ns;
}

static void arrive(struct swim_sim *sim, struct sim_packet *packet)
{
    if (sim->opts.n_cores > 0 && packet->event.kind == SIM_DATAGRAM && !packet->computed) {
        packet->computed = true;
        sim_events_put(&sim->events, &packet->event,
                       sim->now_ns + compute(sim, sim->opts.datagram_ns));
        return;
    }
    sim_digest(sim, (uint64_t)packet->to << 32 ^ packet->n);
    if (packet->event.kind == SIM_STREAM && !sim_stream_arrives(sim, packet)) {
        return;
    }
    sim_node_arrive(sim, packet);
}

static void forget_plan(struct swim_sim *sim, struct sim_control *control)
{
    sim_events_remove(&sim->events, &control->event);
    control->link.previous->next = control->link.next;
    if (control->link.next != NULL) {
        control->link.next->previous = control->link.previous;
    }
    mem_free(control);
}

static void step(struct swim_sim *sim)
{
    struct sim_event *event = sim_events_pop(&sim->events);

    sim->now_ns = event->due_ns;
    sim->totals.n_steps++;
    sim_digest(sim, sim->now_ns);
    switch ((enum sim_event_kind)event->kind) {
    case SIM_DATAGRAM:
    case SIM_STREAM:
        arrive(sim, container_of(event, struct sim_packet, event));
        break;
    case SIM_WAKE: {
        struct sim_node *node = container_of(event, struct sim_node, wake);

        sim_node_wake(sim, (uint32_t)(node - sim->nodes));
        break;
    }
    case SIM_READY: {
        struct sim_node *node = container_of(event, struct sim_node, ready);

        sim_node_ready(sim, (uint32_t)(node - sim->nodes));
        break;
    }
    case SIM_CONTROL: {
        struct sim_control *control = container_of(event, struct sim_control, event);

        void (*act)(struct swim_sim *, uint32_t) = control->act;
        uint32_t node = control->node;

        forget_plan(sim, control);
        act(sim, node);
        break;
    }
    }
}

static bool step_until(struct swim_sim *sim, uint64_t end_ns)
{
    const struct sim_event *first = sim_events_first(&sim->events);

    if (sim->failure[0] != '\0' || first == NULL || first->due_ns > end_ns) {
        return false;
    }
    step(sim);
    return true;
}

bool swim_sim_run_for(struct swim_sim *sim, uint64_t ms)
{
    return sim_run_ns(sim, ms * SWIM_MS);
}

bool sim_run_ns(struct swim_sim *sim, uint64_t ns)
{
    uint64_t end_ns = sim->now_ns + ns;

    while (step_until(sim, end_ns)) {
    }
    if (sim->failure[0] != '\0') {
        return false;
    }
    sim->now_ns = end_ns;
    return true;
}

bool swim_sim_run_until(struct swim_sim *sim, swim_sim_cb is_so, uint32_t node, uint64_t ms)
{
    uint64_t end_ns = sim->now_ns + ms * SWIM_MS;

    while (!is_so(sim, node)) {
        if (!step_until(sim, end_ns)) {
            if (sim->failure[0] == '\0') {
                sim->now_ns = end_ns;
            }
            return false;
        }
    }
    return sim->failure[0] == '\0';
}

void swim_sim_after(struct swim_sim *sim, uint64_t ms, void (*act)(struct swim_sim *, uint32_t),
                    uint32_t node)
{
    struct sim_control *control = x_alloc(sizeof *control);

    control->event.kind = SIM_CONTROL;
    control->act = act;
    control->node = node;
    control->link = (struct sim_link){&sim->plans, sim->plans.next};
    if (sim->plans.next != NULL) {
        sim->plans.next->previous = &control->link;
    }
    sim->plans.next = &control->link;
    sim_events_put(&sim->events, &control->event, sim->now_ns + ms * SWIM_MS);
}

void swim_sim_forget_plans(struct swim_sim *sim)
{
    struct sim_control *control;

    while (sim->plans.next != NULL) {
        control = container_of(sim->plans.next, struct sim_control, link);
        forget_plan(sim, control);
    }
}

/* ---- failing ---- */

bool swim_sim_fail(struct swim_sim *sim, const char *property, const char *fmt, ...)
{
    va_list args;
    int n;

    if (sim->failure[0] != '\0') {
        return false;
    }
    n = snprintf(sim->failure, sizeof sim->failure, "%s: ", property);
    va_start(args, fmt);
    (void)vsnprintf(sim->failure + n, sizeof sim->failure - (size_t)n, fmt, args);
    va_end(args);
    if (!sim->opts.quiet) {
        sim_trace_print(stderr, &sim->trace, SIM_PRINTED_LINES);
        fprintf(stderr, "%12.6f  FAILED %s\n", (double)sim->now_ns / 1e9, sim->failure);
        fprintf(stderr, "seed %" PRIu64 ", %" PRIu32 " nodes, rules %s\n", sim->opts.seed,
                sim->opts.n_nodes, sim->opts.rules->name);
    }
    return false;
}

const char *swim_sim_failure(const struct swim_sim *sim)
{
    return sim->failure[0] == '\0' ? NULL : sim->failure;
}
