/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/clock_model.h"

#include <stdlib.h>

#include "tests/support/splitmix.h"

#define SECOND (1000 * SWIM_MS)
#define HOUR   (INT64_C(3600) * 1000000000)
#define PPB    INT64_C(1000000000)

static uint64_t draw(struct clock_model *model, uint64_t n)
{
    return splitmix_u64(&model->random) % n;
}

static int64_t draw_around(struct clock_model *model, int64_t most)
{
    return most == 0 ? 0 : (int64_t)draw(model, (uint64_t)most * 2 + 1) - most;
}

/* Half of them at the limit. */
static int32_t draw_rate(struct clock_model *model)
{
    int32_t most = model->opts->drift_ppb;

    switch (draw(model, 4)) {
    case 0:
        return most;
    case 1:
        return -most;
    default:
        return (int32_t)draw_around(model, most);
    }
}

static uint64_t sid_of(uint32_t node)
{
    static const uint64_t scattered = 0x9e3779b97f4a7c15;

    return (node + 1) * scattered;
}

static struct swim_now now_of(const struct clock_model_node *node)
{
    return (struct swim_now){.mono_ns = node->mono_ns, .wall_ns = node->wall_ns};
}

static void begin_life(struct clock_model *model, uint32_t at)
{
    struct clock_model_node *node = &model->nodes[at];

    node->boot += 1 + draw(model, 100000);
    node->mono_ns = draw(model, 1000 * SECOND);
    swim_clock_init(&node->clock, sid_of(at), node->boot, at % 3 == 2, 0, now_of(node));
    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        node->offsets[i] = (struct swim_offset){0};
        node->boots[i] = model->nodes[i].boot;
        node->walls[i] = 0;
    }
    node->boots[at] = node->boot;
}

void clock_model_init(struct clock_model *model, const struct clock_model_opts *opts, uint64_t seed)
{
    *model = (struct clock_model){.opts = opts, .random = seed};
    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        model->nodes[i].boot = 1700000000000 + draw(model, 1000000);
        model->nodes[i].wall_ns = 1700000000 * PPB + draw_around(model, HOUR);
        model->nodes[i].drift_ppb = draw_rate(model);
    }
    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        begin_life(model, i);
    }
    for (uint32_t i = 0; i < MODEL_NODES * MODEL_NODES; i++) {
        model->nodes[i / MODEL_NODES].boots[i % MODEL_NODES] = model->nodes[i % MODEL_NODES].boot;
    }
}

static void advance(struct clock_model *model, uint64_t to_ns)
{
    int64_t passed = (int64_t)(to_ns - model->true_ns);

    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        struct clock_model_node *node = &model->nodes[i];
        int64_t gained = passed * node->drift_ppb + node->rest;
        int64_t whole = gained >= 0 ? gained / PPB : -((-gained + PPB - 1) / PPB);

        node->rest = gained - whole * PPB;
        node->mono_ns += (uint64_t)(passed + whole);
        node->wall_ns += passed + whole;
    }
    model->true_ns = to_ns;
}

int64_t clock_model_offset(const struct clock_model *model, uint32_t by, uint32_t of)
{
    const struct clock_model_node *a = &model->nodes[by], *b = &model->nodes[of];

    return swim_clock_steady(&b->clock, b->mono_ns) - swim_clock_steady(&a->clock, a->mono_ns);
}

int64_t clock_model_swarm(const struct clock_model *model, uint32_t node)
{
    return swim_clock_swarm_ns(&model->nodes[node].clock, model->nodes[node].mono_ns);
}

/* ---- probes ---- */

static uint64_t way(struct clock_model *model)
{
    const struct clock_model_opts *opts = model->opts;
    int64_t span = opts->delay_most_ns - opts->delay_least_ns;
    uint64_t delay = (uint64_t)opts->delay_least_ns + draw(model, (uint64_t)span + 1);

    return draw(model, 100) < opts->spike_percent ? delay * (1 + draw(model, 100)) : delay;
}

static bool is_lost(struct clock_model *model)
{
    return draw(model, 100) < model->opts->loss_percent;
}

static void step_wall(struct clock_model *model, struct clock_model_node *node)
{
    node->wall_ns += draw(model, 2) == 0   ? draw_around(model, 2000000)
                     : draw(model, 2) == 0 ? HOUR
                                           : -HOUR;
    model->n_steps++;
}

/* What the kernel stamps is seen by the program a little later; the clock runs on in between. */
static int64_t received(struct clock_model *model, struct clock_model_node *node)
{
    int64_t stamp = node->wall_ns;

    advance(model, model->true_ns + draw(model, 20000));
    if (draw(model, 10000) < model->opts->faults_per_10000) {
        step_wall(model, node);
    }
    (void)swim_clock_look(&node->clock, now_of(node));
    return swim_clock_received(&node->clock, now_of(node), stamp);
}

static void send_probe(struct clock_model *model)
{
    struct clock_model_probe *probe = NULL;

    model->next_probe_ns = model->true_ns + 1 + draw(model, 2 * model->opts->probe_ns);
    for (uint32_t i = 0; i < MODEL_FLIGHT && probe == NULL; i++) {
        probe = model->flight[i].due_ns == 0 ? &model->flight[i] : NULL;
    }
    if (probe == NULL) {
        return;
    }
    uint8_t from = (uint8_t)draw(model, MODEL_NODES);
    uint8_t to = (uint8_t)((from + 1 + draw(model, MODEL_NODES - 1)) % MODEL_NODES);
    struct clock_model_node *node = &model->nodes[from];
    (void)swim_clock_look(&node->clock, now_of(node));
    *probe = (struct clock_model_probe){.from = from,
                                        .to = to,
                                        .from_boot = node->boot,
                                        .to_boot = model->nodes[to].boot,
                                        .sent_ns = node->mono_ns};
    probe->stamps.t1 = swim_clock_steady(&node->clock, node->mono_ns);
    probe->due_ns = model->true_ns + way(model);
}

static void answer(struct clock_model *model, struct clock_model_probe *probe)
{
    struct clock_model_node *node = &model->nodes[probe->to];

    (void)swim_clock_look(&node->clock, now_of(node));
    probe->stamps.t3 = swim_clock_steady(&node->clock, node->mono_ns);
    /* As it travels. */
    struct swim_clock_view view = swim_clock_get(&node->clock, node->mono_ns);
    probe->view = (struct swim_clock_view){.root = view.root, .x_ns = view.x_ns};
    swim_clock_unpack_bound(swim_clock_pack_bound(&view), &probe->view);
    probe->wall_ns = node->clock.wall_ns;
    probe->due_ns = model->true_ns + way(model);
}

static bool is_live(const struct clock_model_node *node, uint64_t root)
{
    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        if (swim_root_is_of(root, sid_of(i), node->boots[i])) {
            return true;
        }
    }
    return false;
}

static void take(struct clock_model *model, struct clock_model_probe *probe)
{
    struct clock_model_node *node = &model->nodes[probe->from];
    struct swim_offset *offset = &node->offsets[probe->to];
    struct swim_estimate estimate;

    probe->stamps.t4 = received(model, node);
    probe->stamps.mono_ns = swim_clock_mono(&node->clock, probe->stamps.t4);
    probe->due_ns = 0;
    if (node->boots[probe->to] != probe->to_boot || !swim_offset_take(offset, &probe->stamps)) {
        return;
    }
    node->walls[probe->to] = probe->wall_ns;
    if (swim_offset_get(offset, node->mono_ns, &estimate) && is_live(node, probe->view.root)) {
        (void)swim_clock_take(&node->clock, &estimate, &probe->view, probe->sent_ns, node->mono_ns);
    }
    if (model->on_sample != NULL) {
        model->on_sample(model, probe->from, probe->to);
    }
}

static void go_on(struct clock_model *model, struct clock_model_probe *probe)
{
    bool is_gone = model->nodes[probe->from].boot != probe->from_boot ||
                   model->nodes[probe->to].boot != probe->to_boot;

    if (is_gone || (probe->at != 1 && is_lost(model))) {
        probe->due_ns = 0;
    } else if (probe->at == 0) {
        probe->at = 1;
        probe->stamps.t2 = received(model, &model->nodes[probe->to]);
        probe->due_ns = model->true_ns + draw(model, 200000);
    } else if (probe->at == 1) {
        probe->at = 2;
        answer(model, probe);
    } else {
        take(model, probe);
    }
}

/* ---- faults ---- */

/* A node hears of what happened to another: of its death, and that it lives anew. */
static void hear(struct clock_model *model)
{
    uint32_t at = (uint32_t)draw(model, MODEL_NODES), of = (uint32_t)draw(model, MODEL_NODES);
    struct clock_model_node *node = &model->nodes[at];

    if (node->boots[of] == model->nodes[of].boot) {
        return;
    }
    node->boots[of] = model->nodes[of].boot;
    node->offsets[of] = (struct swim_offset){0};
    if (!is_live(node, node->clock.view.root)) {
        swim_clock_lose_root(&node->clock, node->mono_ns);
    }
}

static void fault(struct clock_model *model)
{
    uint32_t at = (uint32_t)draw(model, MODEL_NODES);
    struct clock_model_node *node = &model->nodes[at];

    switch (draw(model, 3)) {
    case 0:
        begin_life(model, at);
        model->n_deaths++;
        break;
    case 1:
        if (!model->opts->keeps_rates) {
            node->drift_ppb = draw_rate(model);
        }
        break;
    default:
        step_wall(model, node);
        break;
    }
}

/* ---- checks ---- */

static bool is_within(int64_t said, int64_t truth, uint64_t bound)
{
    return (uint64_t)llabs(said - truth) <= bound;
}

/* The wall clocks too, while the peer's did not step since it told. */
static void check_offset(struct clock_model *model, uint32_t by, uint32_t of)
{
    struct clock_model_node *node = &model->nodes[by], *peer = &model->nodes[of];
    struct swim_estimate estimate;

    if (node->boots[of] != peer->boot ||
        !swim_offset_get(&node->offsets[of], node->mono_ns, &estimate)) {
        return;
    }
    int64_t truth = clock_model_offset(model, by, of);
    model->n_checks++;
    model->n_broken += !is_within(estimate.theta_ns, truth, estimate.bound_ns);
    if (model->opts->keeps_rates) {
        model->n_checks++;
        model->n_broken += !is_within(estimate.likely_ns, truth, estimate.likely_bound_ns);
    }

    (void)swim_clock_look(&node->clock, now_of(node));
    (void)swim_clock_look(&peer->clock, now_of(peer));
    if (node->walls[of] == peer->clock.wall_ns) {
        int64_t said = swim_clock_wall_offset(&node->clock, &estimate, node->walls[of]);
        model->n_checks++;
        model->n_broken += !is_within(said, peer->wall_ns - node->wall_ns,
                                      estimate.bound_ns + UINT64_C(2) * SWIM_CLOCK_STEP);
    }
}

static void check_swarm(struct clock_model *model, uint32_t a, uint32_t b)
{
    struct clock_model_node *one = &model->nodes[a], *two = &model->nodes[b];
    struct swim_clock_view mine = swim_clock_get(&one->clock, one->mono_ns);
    struct swim_clock_view theirs = swim_clock_get(&two->clock, two->mono_ns);

    if (mine.root == theirs.root) {
        model->n_checks++;
        model->n_same_root++;
        model->n_broken += !is_within(clock_model_swarm(model, a), clock_model_swarm(model, b),
                                      mine.bound_ns + theirs.bound_ns + 2);
    }
}

void clock_model_step(struct clock_model *model)
{
    struct clock_model_probe *next = NULL;

    for (uint32_t i = 0; i < MODEL_FLIGHT; i++) {
        struct clock_model_probe *probe = &model->flight[i];
        if (probe->due_ns != 0 && (next == NULL || probe->due_ns < next->due_ns)) {
            next = probe;
        }
    }
    if (next != NULL && next->due_ns < model->next_probe_ns) {
        advance(model, next->due_ns > model->true_ns ? next->due_ns : model->true_ns);
        go_on(model, next);
    } else {
        advance(model,
                model->next_probe_ns > model->true_ns ? model->next_probe_ns : model->true_ns);
        send_probe(model);
    }
    if (draw(model, 10000) < model->opts->faults_per_10000) {
        fault(model);
    }
    if (draw(model, 4) == 0) {
        hear(model);
    }
    for (uint32_t a = 0; a < MODEL_NODES; a++) {
        for (uint32_t b = 0; b < MODEL_NODES; b++) {
            if (a != b) {
                check_offset(model, a, b);
            }
            if (a < b) {
                check_swarm(model, a, b);
            }
        }
    }
}
