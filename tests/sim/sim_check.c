/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_check.h"

#include <inttypes.h>

#include "tests/sim/sim_check_inside.h"
#include "tests/sim/sim_internal.h"

/* What an observer holds of a member: four bytes. */
#define PAIR_UNKNOWN 0u
#define PAIR_UP      1u
#define PAIR_DOWN    2u
#define PAIR_LEFT    3u
#define PAIR_SEQ_MAX 0x3fffffu
#define PAIR_LIVES   255u

static uint32_t pair_of(uint32_t state, uint32_t life, uint32_t seq)
{
    return state | life << 2 | seq << 10;
}
static uint32_t pair_state(uint32_t pair)
{
    return pair & 3;
}
static uint32_t pair_life(uint32_t pair)
{
    return pair >> 2 & 0xff;
}
static uint32_t pair_seq(uint32_t pair)
{
    return pair >> 10;
}

/* ---- identities ---- */

static void put_by_sid(struct sim_check *check, uint32_t i)
{
    uint64_t at = check->identities[i].sid & (check->n_by_sid - 1);

    while (check->by_sid[at] != 0) {
        at = (at + 1) & (check->n_by_sid - 1);
    }
    check->by_sid[at] = i + 1;
}

static void grow_by_sid(struct sim_check *check)
{
    check->n_by_sid = check->n_by_sid == 0 ? 64 : check->n_by_sid * 2;
    mem_free(check->by_sid);
    check->by_sid = x_alloc(check->n_by_sid * sizeof *check->by_sid);
    for (uint32_t i = 0; i < check->n_identities; i++) {
        put_by_sid(check, i);
    }
}

uint32_t sim_check_find(const struct swim_sim *sim, uint64_t sid)
{
    const struct sim_check *check = &sim->check;
    uint64_t at = sid & (check->n_by_sid - 1);

    while (check->by_sid[at] != 0) {
        uint32_t i = check->by_sid[at] - 1;

        if (check->identities[i].sid == sid) {
            return i;
        }
        at = (at + 1) & (check->n_by_sid - 1);
    }
    return UINT32_MAX;
}

static void grow_identities(struct swim_sim *sim)
{
    struct sim_check *check = &sim->check;
    uint32_t cap = check->cap_identities == 0 ? sim->opts.n_nodes + 8 : check->cap_identities * 2;

    check->identities = x_realloc(check->identities, cap * sizeof *check->identities);
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        if (check->rows[i] != NULL) {
            check->rows[i] = x_realloc(check->rows[i], cap * sizeof **check->rows);
            memset(check->rows[i] + check->cap_identities, 0,
                   (cap - check->cap_identities) * sizeof **check->rows);
        }
    }
    check->cap_identities = cap;
}

uint32_t sim_check_identity(struct swim_sim *sim, uint64_t sid, uint32_t node)
{
    struct sim_check *check = &sim->check;
    uint32_t found = sim_check_find(sim, sid);

    if (found != UINT32_MAX) {
        return found;
    }
    if (check->n_identities == check->cap_identities) {
        grow_identities(sim);
    }
    if (check->n_identities * 2 >= check->n_by_sid) {
        grow_by_sid(check);
    }
    found = check->n_identities++;
    check->identities[found] = (struct sim_identity){.sid = sid, .node = node};
    put_by_sid(check, found);
    return found;
}

void sim_check_init(struct swim_sim *sim)
{
    sim->check.rows = x_alloc(sim->opts.n_nodes * sizeof *sim->check.rows);
    grow_by_sid(&sim->check);
}

void sim_check_deinit(struct swim_sim *sim)
{
    struct sim_check *check = &sim->check;

    for (uint32_t i = 0; i < check->n_identities; i++) {
        mem_free(check->identities[i].lives);
    }
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        mem_free(check->rows[i]);
    }
    mem_free(check->identities);
    mem_free(check->by_sid);
    mem_free(check->rows);
    mem_free(check->nonces);
}

static uint32_t find_life(const struct sim_identity *who, uint64_t boot)
{
    for (uint32_t i = who->n_lives; i-- > 0;) {
        if (who->lives[i].boot == boot) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* ---- lives: I2 ---- */

/* Rows name lives by number: those behind a new one move. */
static void renumber(struct swim_sim *sim, uint32_t about, uint32_t from)
{
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        uint32_t pair = sim->check.rows[i] == NULL ? PAIR_UNKNOWN : sim->check.rows[i][about];

        if (pair_state(pair) != PAIR_UNKNOWN && pair_life(pair) >= from) {
            sim->check.rows[i][about] =
                pair_of(pair_state(pair), pair_life(pair) + 1, pair_seq(pair));
        }
    }
}

/* Lives are in the order of boots, which is nearly always that in which they began. */
static void add_life(struct swim_sim *sim, uint32_t about, struct swim_incarnation own)
{
    struct sim_identity *who = &sim->check.identities[about];
    uint32_t at = who->n_lives;

    if (find_life(who, own.boot) != UINT32_MAX) {
        return;
    }
    REQUIRE(who->n_lives < PAIR_LIVES);
    while (at > 0 && who->lives[at - 1].boot > own.boot) {
        at--;
    }
    who->lives = x_realloc(who->lives, (who->n_lives + 1) * sizeof *who->lives);
    memmove(who->lives + at + 1, who->lives + at, (who->n_lives - at) * sizeof *who->lives);
    who->lives[at] = (struct sim_life){own.boot, own.seq};
    if (at == who->n_lives++) {
        sim->check.n_pairs_up -= who->n_up;
        sim->check.n_up_of_gone -= who->n_running == 0 ? who->n_up : 0;
        who->n_up = 0;
    } else {
        renumber(sim, about, at);
    }
}

void sim_check_started(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct sim_check *check = &sim->check;
    uint32_t at = sim_check_identity(sim, n->sid, node);
    struct sim_identity *who = &check->identities[at];
    struct swim_incarnation own = swim_own_incarnation(n->swim);

    if (swim_self(n->swim) != n->sid) {
        (void)swim_sim_fail(sim, "identity", "n%" PRIu32 " has a sid that is not its key's", node);
    }
    if (n->persisted_boot != 0 && own.boot <= n->persisted_boot) {
        (void)swim_sim_fail(sim, "I2", "n%" PRIu32 " starts with boot %" PRIu64 " after %" PRIu64,
                            node, own.boot, n->persisted_boot);
    }
    add_life(sim, at, own);
    if (who->n_running++ == 0) {
        check->n_up_of_gone -= who->n_up;
    }
    who->node = node;
    n->identity = at;
    n->own = own;
    if (check->rows[node] == NULL) {
        check->rows[node] = x_alloc(check->cap_identities * sizeof **check->rows);
    }
}

void sim_check_stopped(struct swim_sim *sim, uint32_t node)
{
    struct sim_check *check = &sim->check;
    struct sim_identity *self = &check->identities[sim->nodes[node].identity];

    for (uint32_t i = 0; i < check->n_identities; i++) {
        struct sim_identity *who = &check->identities[i];
        uint32_t pair = check->rows[node][i];

        if (pair_state(pair) == PAIR_UP && pair_life(pair) == who->n_lives - 1) {
            who->n_up--;
            check->n_pairs_up--;
            check->n_up_of_gone -= who->n_running == 0;
        }
    }
    memset(check->rows[node], 0, check->cap_identities * sizeof **check->rows);
    if (--self->n_running == 0) {
        check->n_up_of_gone += self->n_up;
    }
}

/* ---- each step: I2, I8, I9 ---- */

/* What a core may have beside its members, and for each. The issue allows 768 bytes a member; the
 * rest is queues, whose bounds do not depend on members. */
#define SIM_MEMORY_BASE   (1u << 20)
#define SIM_MEMORY_MEMBER 768u
#define SIM_MEMORY_EVERY  64u

static void check_memory(struct swim_sim *sim, uint32_t node)
{
    const struct swim *swim = sim->nodes[node].swim;
    uint32_t n_members = swim_n_members(swim);
    size_t memory = swim_memory(swim);
    /* Tables double: half of what they have may be empty. */
    size_t most = SIM_MEMORY_BASE + 2 * (size_t)SIM_MEMORY_MEMBER * n_members;

    if (memory > most) {
        (void)swim_sim_fail(sim, "I8", "n%" PRIu32 " has %zu bytes for %" PRIu32 " members", node,
                            memory, n_members);
    }
}

/* What it now says of itself is what others may say of it. */
static void take_own(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct swim_incarnation own = swim_own_incarnation(n->swim);
    struct sim_identity *who = &sim->check.identities[n->identity];
    int order = swim_incarnation_compare(own, n->own);
    struct sim_life *life;

    if (order == 0) {
        return;
    }
    if (order < 0) {
        (void)swim_sim_fail(sim, "I2",
                            "n%" PRIu32 " goes from boot %" PRIu64 " seq %" PRIu32 " to %" PRIu64
                            " seq %" PRIu32,
                            node, n->own.boot, n->own.seq, own.boot, own.seq);
        return;
    }
    n->own = own;
    add_life(sim, n->identity, own); /* who has a clone may rise above it */
    life = &who->lives[find_life(who, own.boot)];
    life->newest_seq = own.seq > life->newest_seq ? own.seq : life->newest_seq;
}

void sim_check_step(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    take_own(sim, node);
    if (n->n_steps++ % SIM_MEMORY_EVERY == 0) {
        check_memory(sim, node);
    }
    if (n->n_steps % SIM_CLOCK_EVERY == 0) {
        sim_check_clock(sim, node);
    }
    if (n->n_steps % SIM_QUEUES_EVERY == 0) {
        sim_check_queues(sim, node);
    }
}

/* ---- datagrams: I6, I10, I12, and persisting first ---- */

static void check_nonce(struct swim_sim *sim, uint32_t node, const uint8_t *bytes)
{
    struct sim_node *n = &sim->nodes[node];
    struct sim_check *check = &sim->check;
    uint64_t counter = 0;

    for (unsigned i = 24; i < SWIM_HEAD_BYTES; i++) {
        counter = counter << 8 | bytes[i];
    }
    /* The first of this life, or of the one that it takes when another process has its key. */
    if (n->counter == 0 || memcmp(n->nonce, bytes + 8, SWIM_LIFE_BYTES) != 0) {
        for (uint32_t i = 0; i < check->n_nonces; i++) {
            if (memcmp(check->nonces[i], bytes + 8, SWIM_LIFE_BYTES) == 0) {
                (void)swim_sim_fail(sim, "I10", "n%" PRIu32 " has a boot nonce that was used",
                                    node);
            }
        }
        if (check->n_nonces == check->cap_nonces) {
            check->cap_nonces = check->cap_nonces == 0 ? 64 : check->cap_nonces * 2;
            check->nonces = x_realloc(check->nonces, check->cap_nonces * sizeof *check->nonces);
        }
        memcpy(check->nonces[check->n_nonces++], bytes + 8, SWIM_NONCE_BYTES);
        memcpy(n->nonce, bytes + 8, SWIM_NONCE_BYTES);
    }
    /* A life may take its next nonces; its counter goes on. */
    if (counter <= n->counter) {
        (void)swim_sim_fail(sim, "I10",
                            "n%" PRIu32 " seals with counter %" PRIu64 " after %" PRIu64, node,
                            counter, n->counter);
    }
    n->counter = counter;
}

void sim_check_send(struct swim_sim *sim, uint32_t node, const struct swim_action *action)
{
    const struct sim_node *n = &sim->nodes[node];

    if (!n->has_persisted) {
        (void)swim_sim_fail(sim, "persist", "n%" PRIu32 " sends before its boot is on disk", node);
    }
    if (action->n > SWIM_MTU || action->n < SWIM_SEALED_EXTRA) {
        (void)swim_sim_fail(sim, "I6", "n%" PRIu32 " sends %zu bytes", node, action->n);
        return;
    }
    if (sim_node_at(sim, &action->addr) == SIM_NOBODY) {
        (void)swim_sim_fail(sim, "I12", "n%" PRIu32 " sends to an address that is nobody's", node);
    }
    check_nonce(sim, node, action->bytes);
    take_own(sim, node);
    if (n->n_sent % SIM_WIRE_EVERY == 0 || sim->opts.every_datagram) {
        sim_check_wire(sim, node, action->sid, action->bytes, action->n);
    }
}

/* ---- events: I1, I3, I4, I13, L3 ---- */

static const uint8_t traces[] = {
    [SWIM_EVENT_UP] = SIM_TRACE_UP,
    [SWIM_EVENT_DOWN] = SIM_TRACE_DOWN,
    [SWIM_EVENT_LEFT] = SIM_TRACE_GONE,
    [SWIM_EVENT_SUSPECT] = SIM_TRACE_SUSPECT,
    [SWIM_EVENT_CLEARED] = SIM_TRACE_CLEARED,
    [SWIM_EVENT_UPDATE] = SIM_TRACE_UPDATE,
    [SWIM_EVENT_CLONE] = SIM_TRACE_CLONE,
    [SWIM_EVENT_ISOLATED] = SIM_TRACE_ISOLATED,
    [SWIM_EVENT_CONNECTED] = SIM_TRACE_CONNECTED,
    [SWIM_EVENT_BANNED] = SIM_TRACE_BANNED,
    [SWIM_EVENT_UNBANNED] = SIM_TRACE_UNBANNED,
    [SWIM_EVENT_FORGOTTEN] = SIM_TRACE_FORGOTTEN,
    [SWIM_EVENT_LOST] = SIM_TRACE_LOST,
    [SWIM_EVENT_CLOCK] = SIM_TRACE_CLOCK,
};

/* Rules that soon forget their dead (memberlist: after 30 s) may well take them up again. */
#define FORGETFUL_MS 3600000u

struct sim_saying {
    uint32_t node;  /* who says it */
    uint32_t about; /* identity */
    uint32_t life;
    uint32_t seq;
    uint32_t pair; /* what it held before */
    enum swim_event_kind event;
};

static bool wrong(struct swim_sim *sim, const struct sim_saying *s, const char *property,
                  const char *what)
{
    const struct sim_identity *who = &sim->check.identities[s->about];

    return swim_sim_fail(sim, property,
                         "n%" PRIu32 " says '%s' of n%" PRIu32 " life %" PRIu32 " seq %" PRIu32
                         " and held state %" PRIu32 " life %" PRIu32 " seq %" PRIu32 ": %s",
                         s->node, traces[s->event] == SIM_TRACE_UP ? "up" : what, who->node,
                         s->life, s->seq, pair_state(s->pair), pair_life(s->pair),
                         pair_seq(s->pair), what);
}

static void check_up(struct swim_sim *sim, const struct sim_saying *s)
{
    bool forgets = sim->opts.rules->dead_kept_ms < FORGETFUL_MS;
    bool is_same_life = pair_life(s->pair) == s->life;

    switch (pair_state(s->pair)) {
    case PAIR_UP:
        (void)wrong(sim, s, "I13", is_same_life ? "up twice" : "up again without down");
        break;
    case PAIR_DOWN:
        if (!forgets && is_same_life && s->seq <= pair_seq(s->pair)) {
            (void)wrong(sim, s, "I4", "alive beats dead of the same incarnation");
        }
        break;
    case PAIR_LEFT:
        if (!forgets && is_same_life) {
            (void)wrong(sim, s, "I13", "up after it left");
        }
        break;
    default:
        break;
    }
}

static void check_order(struct swim_sim *sim, const struct sim_saying *s)
{
    bool is_up = pair_state(s->pair) == PAIR_UP && pair_life(s->pair) == s->life;

    /* Who forgets its dead may hear of them again as they were once. */
    bool was_forgotten =
        sim->opts.rules->dead_kept_ms < FORGETFUL_MS && pair_state(s->pair) != PAIR_UP;

    if (pair_state(s->pair) != PAIR_UNKNOWN && !was_forgotten &&
        (s->life < pair_life(s->pair) ||
         (s->life == pair_life(s->pair) && s->seq < pair_seq(s->pair)))) {
        (void)wrong(sim, s, "I3", "an incarnation goes back");
    } else if (s->event == SWIM_EVENT_UP) {
        check_up(sim, s);
    } else if (!is_up) {
        (void)wrong(sim, s, "I13",
                    s->event == SWIM_EVENT_DOWN      ? "down that is not up"
                    : s->event == SWIM_EVENT_LEFT    ? "left that is not up"
                    : s->event == SWIM_EVENT_SUSPECT ? "suspect that is not up"
                                                     : "news of what is not up");
    }
}

static void count_false(struct swim_sim *sim, const struct sim_saying *s)
{
    const struct sim_identity *who = &sim->check.identities[s->about];
    const struct sim_node *subject = &sim->nodes[who->node];

    sim->totals.n_down++;
    if (who->n_running == 0 || s->life != who->n_lives - 1 || subject->sick || subject->leaving) {
        return;
    }
    sim->totals.n_down_false++;
    sim->totals.n_down_false_at_healthy += !sim->nodes[s->node].sick;
    if (sim->opts.accurate && !sim->nodes[s->node].sick) {
        (void)wrong(sim, s, "L3", "a healthy node is declared dead");
    }
}

static void remember(struct swim_sim *sim, struct swim_sim_seen *seen, enum swim_event_kind event)
{
    uint64_t now = sim->now_ns;

    switch (event) {
    case SWIM_EVENT_SUSPECT:
        seen->first_suspect_ns = seen->n_suspect++ == 0 ? now : seen->first_suspect_ns;
        sim->totals.n_suspect++;
        break;
    case SWIM_EVENT_DOWN:
        seen->first_down_ns = seen->n_down++ == 0 ? now : seen->first_down_ns;
        seen->last_down_ns = now;
        break;
    case SWIM_EVENT_LEFT:
        seen->first_left_ns = seen->n_left++ == 0 ? now : seen->first_left_ns;
        seen->last_left_ns = now;
        sim->totals.n_left++;
        break;
    case SWIM_EVENT_UP:
        seen->n_up++;
        sim->totals.n_up++;
        break;
    default:
        break;
    }
}

static void take_pair(struct swim_sim *sim, const struct sim_saying *s)
{
    struct sim_check *check = &sim->check;
    struct sim_identity *who = &check->identities[s->about];
    uint32_t was_up = pair_state(s->pair) == PAIR_UP && pair_life(s->pair) == who->n_lives - 1;
    uint32_t state = s->event == SWIM_EVENT_DOWN   ? PAIR_DOWN
                     : s->event == SWIM_EVENT_LEFT ? PAIR_LEFT
                                                   : PAIR_UP;
    uint32_t is_up = state == PAIR_UP && s->life == who->n_lives - 1;

    check->rows[s->node][s->about] = pair_of(state, s->life, s->seq);
    who->n_up += is_up - was_up;
    check->n_pairs_up += (uint64_t)is_up - was_up;
    if (who->n_running == 0) {
        check->n_up_of_gone += (uint64_t)is_up - was_up;
    }
}

void sim_check_event(struct swim_sim *sim, uint32_t node, const struct swim_action *action)
{
    uint32_t about = action->sid == 0 ? UINT32_MAX : sim_check_find(sim, action->sid);
    struct sim_trace_line line = {
        .now_ns = sim->now_ns,
        .node = node,
        .other = about == UINT32_MAX ? SIM_NOBODY : sim->check.identities[about].node,
        .boot = action->incarnation.boot,
        .seq = action->incarnation.seq,
        .what = traces[action->event],
    };
    struct sim_saying s = {.node = node, .about = about, .event = action->event};
    const struct sim_identity *who;

    sim_trace_add(&sim->trace, line);
    if (action->event > SWIM_EVENT_UPDATE) {
        sim->totals.n_clone += action->event == SWIM_EVENT_CLONE;
        sim->nodes[node].n_connected += action->event == SWIM_EVENT_CONNECTED;
        return;
    }
    if (about == UINT32_MAX) {
        (void)swim_sim_fail(sim, "I1", "n%" PRIu32 " speaks of a member that is nobody", node);
        return;
    }
    who = &sim->check.identities[about];
    s.life = find_life(who, action->incarnation.boot);
    s.seq = action->incarnation.seq;
    s.pair = sim->check.rows[node][about];
    if (s.life == UINT32_MAX || s.seq > who->lives[s.life].newest_seq) {
        (void)swim_sim_fail(sim, "I1",
                            "n%" PRIu32 " holds boot %" PRIu64 " seq %" PRIu32 " of n%" PRIu32
                            ", which never said so",
                            node, action->incarnation.boot, s.seq, who->node);
        return;
    }
    REQUIRE(s.seq <= PAIR_SEQ_MAX);
    check_order(sim, &s);
    if (s.event == SWIM_EVENT_DOWN) {
        count_false(sim, &s);
    }
    remember(sim, &sim->check.identities[about].seen, s.event);
    take_pair(sim, &s);
}

/* ---- I11 ---- */

struct sim_still sim_check_before(const struct swim_sim *sim, uint32_t node)
{
    const struct sim_node *n = &sim->nodes[node];

    return (struct sim_still){
        .view_hash = swim_view_hash(n->swim),
        .n_live = swim_n_live(n->swim),
        .n_members = swim_n_members(n->swim),
        .own = swim_own_incarnation(n->swim),
        .n_sent = n->n_sent,
        .n_events = n->n_events,
    };
}

void sim_check_still(struct swim_sim *sim, uint32_t node, const struct sim_still *before)
{
    struct sim_still now = sim_check_before(sim, node);
    bool is_view_same = now.view_hash == before->view_hash && now.n_live == before->n_live &&
                        now.n_members == before->n_members && now.n_events == before->n_events;

    if ((!is_view_same && !before->is_record_news) || now.n_sent != before->n_sent ||
        swim_incarnation_compare(now.own, before->own) != 0) {
        (void)swim_sim_fail(sim, "I11",
                            "n%" PRIu32 " was changed by a datagram that proves nothing: "
                            "%" PRIu64 " sent, %" PRIu64 " events",
                            node, now.n_sent - before->n_sent, now.n_events - before->n_events);
    }
}
