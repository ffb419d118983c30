/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_check_queues.h"

#include <inttypes.h>

#include "shared/swarm/swim_internal.h"
#include "tests/sim/sim_internal.h"

/* ---- bounds: I7 ---- */

static void check_bounds(struct swim_sim *sim, uint32_t node)
{
    const struct swim *swim = sim->nodes[node].swim;

    if (swim->out_n > SWIM_OUTBOX_MAX || swim->rumors.n > swim->table.n ||
        swim->n_conns > SWIM_CONNS_MAX || swim->table.n > SWIM_MEMBERS_MAX) {
        (void)swim_sim_fail(sim, "I7",
                            "n%" PRIu32 " has %" PRIu32 " messages, %" PRIu32 " rumors of %" PRIu32
                            " members, %" PRIu32 " streams",
                            node, swim->out_n, swim->rumors.n, swim->table.n, swim->n_conns);
    }
}

/* ---- timers: I9 ---- */

static bool is_owned(const struct swim *swim, const struct swim_timer *timer)
{
    uint32_t kind = timer->kind;

    switch ((enum timer_kind)kind) {
    case TIMER_PROBING:
        return container_of(timer, const struct swim_probe, timer)->stage != PROBE_FREE;
    case TIMER_RELAY:
        return container_of(timer, const struct swim_relay, timer)->seq != 0;
    case TIMER_SUSPICION: {
        const struct swim_suspicion *s = container_of(timer, const struct swim_suspicion, timer);

        return s->member->suspicion == s && s->member->state == SWIM_SUSPECT;
    }
    case TIMER_CONN:
        return swim_conn_find(swim, container_of(timer, const struct swim_conn, timer)->id) != NULL;
    default:
        return kind < N_TIMER_KINDS && timer == &swim->own_timers[kind];
    }
}

static void check_timers(struct swim_sim *sim, uint32_t node)
{
    const struct swim_timers *timers = &sim->nodes[node].swim->timers;
    uint64_t last = sim->nodes[node].last_token;

    for (uint32_t i = 0; i < timers->n; i++) {
        const struct swim_timer *timer = timers->heap[i];
        bool again = timer->token == 0 || timer->token > timers->n_armed || timer->at != i + 1;

        for (uint32_t j = 0; j < i && !again; j++) {
            again = timers->heap[j]->token == timer->token;
        }
        if (again || timers->n_armed < last) {
            (void)swim_sim_fail(sim, "I9", "n%" PRIu32 " has a timer with token %" PRIu64 " twice",
                                node, timer->token);
            return;
        }
        if (!is_owned(sim->nodes[node].swim, timer)) {
            (void)swim_sim_fail(sim, "I9", "n%" PRIu32 " has a timer of kind %u that is nobody's",
                                node, timer->kind);
            return;
        }
    }
    sim->nodes[node].last_token = timers->n_armed;
}

void sim_check_queues(struct swim_sim *sim, uint32_t node)
{
    check_bounds(sim, node);
    check_timers(sim, node);
}

/* ---- how often: I7 ---- */

void sim_told_deinit(struct sim_told *told)
{
    mem_free(told->keys);
    mem_free(told->counts);
    *told = (struct sim_told){0};
}

static uint64_t mixed(uint64_t key, uint64_t value)
{
    key = (key ^ value) * 0xd6e8feb86659fd93u;
    return key ^ key >> 32;
}

static uint16_t *place(struct sim_told *told, uint64_t key)
{
    uint64_t at = key & (told->cap - 1);

    while (told->keys[at] != 0 && told->keys[at] != key) {
        at = (at + 1) & (told->cap - 1);
    }
    told->n += told->keys[at] == 0;
    told->keys[at] = key;
    return &told->counts[at];
}

static void grow(struct sim_told *told)
{
    struct sim_told old = *told;

    told->cap = old.cap == 0 ? 4096 : old.cap * 2;
    told->n = 0;
    told->keys = x_alloc(told->cap * sizeof *told->keys);
    told->counts = x_alloc(told->cap * sizeof *told->counts);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.keys[i] != 0) {
            *place(told, old.keys[i]) = old.counts[i];
        }
    }
    sim_told_deinit(&old);
}

/* Whose update it is, in which incarnation; of a record by reading it. */
static bool read_update(const struct swim_frame *frame, uint64_t *sid, struct swim_incarnation *of)
{
    struct swim_record record;
    struct swim_id id;

    if (frame->type == SWIM_SUSPECT_FRAME || frame->type == SWIM_DEAD_FRAME) {
        *sid = frame->sid;
        *of = frame->incarnation;
        return true;
    }
    if ((frame->type != SWIM_ALIVE_FRAME && frame->type != SWIM_LEFT_FRAME) ||
        !swim_record_read(frame->bin, frame->n_bin, &record)) {
        return false;
    }
    id = swim_id_of(record.public_key);
    *sid = swim_sid(&id);
    *of = record.incarnation;
    return true;
}

/* Half-way to its verdict a suspicion is told again, where no probe is free to ask its subject. */
static bool is_asked_again(const struct swim *swim, uint64_t sid)
{
    const struct swim_member *member = swim_find(swim, sid);

    return member != NULL && member->suspicion != NULL && member->suspicion->asked;
}

/* What answers a question is not gossip: an exchange, and a datagram that begins with a record. */
void sim_check_told(struct swim_sim *sim, uint32_t node, uint8_t first,
                    const struct swim_frame *frame)
{
    const struct sim_node *n = &sim->nodes[node];
    uint32_t most = sim->opts.rules->transmissions(sim->check.n_identities);
    struct swim_incarnation of;
    uint64_t sid;
    uint64_t key;

    if (first == SWIM_SYNC || first == SWIM_ALIVE_FRAME || first == SWIM_LEFT_FRAME ||
        !read_update(frame, &sid, &of)) {
        return;
    }
    if (sim->told.n * 2 >= sim->told.cap) {
        grow(&sim->told);
    }
    /* Each new accuser is news, and is so again when suspicions restart, since one was isolated:
     * beside what was still to be told of the first time. */
    most *= n->n_connected > 0 ? 2 : 1;
    key = mixed(mixed(mixed(mixed(1, node), n->life), sid), of.boot);
    key = mixed(mixed(mixed(key, of.seq), frame->type), n->n_connected) ^
          (frame->type == SWIM_SUSPECT_FRAME ? mixed(frame->from, 1) : 0);
    if (frame->type == SWIM_SUSPECT_FRAME && is_asked_again(n->swim, sid)) {
        key = mixed(key, 2);
    }
    if (++*place(&sim->told, key == 0 ? 1 : key) > most) {
        (void)swim_sim_fail(sim, "I7",
                            "n%" PRIu32 " tells frame %u about %016" PRIx64 " more than %" PRIu32
                            " times",
                            node, frame->type, sid, most);
    }
}
