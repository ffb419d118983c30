/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives the core: a turn reads what has come (up to a limit), then lets timers that are due go
 * off, and after each input does what the core wants done. What came goes before timers, so that a
 * process that was stopped does not accuse others of its own sleep: while sockets still hold more
 * than a turn reads, timers wait, for FULL_TURNS_MAX turns at most, or a flood would stop them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"
#include "node/gossip_stream_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define FULL_TURNS_MAX 64
#define LOAD_NS        (5000 * SWIM_MS) /* the load is looked at so often, at most */
#define LOAD_FIRST_NS  (1000 * SWIM_MS) /* the first time */
#define LATE_NS        (4 * SWIM_MS)    /* more than a timer is late by rounding */
#define COARSE_MS      20               /* waits from here on may be a ms longer */
#define ALL_SOCKETS    (~0u)
/* A flood of what does not open: from so much on in a while turns of reading are a moment apart,
 * since waking for each datagram costs more than they do. What is ours comes later by that moment
 * at most, its stamp being the kernel's. Where the kernel has no room for what comes meanwhile, all
 * is read at once as before. */
#define FLOOD_LOOK_NS (10 * SWIM_MS)
#define FLOOD_GAP_NS  (50 * 1000u) /* 20,000 a second */
#define FLOOD_WAIT_NS SWIM_MS

struct swim_now gossip_now(void)
{
    int64_t wall_ns = (int64_t)clock_wall_ns();

    return (struct swim_now){.wall_ns = wall_ns, .mono_ns = clock_boot_ns()};
}

void gossip_lock(struct gossip *g)
{
    REQUIRE(pthread_mutex_lock(&g->mutex) == 0);
}

void gossip_unlock(struct gossip *g)
{
    REQUIRE(pthread_mutex_unlock(&g->mutex) == 0);
}

void gossip_poke(struct gossip *g)
{
    gossip_lock(g);
    if (!g->is_closing) { /* else its loop may be gone already */
        uv_async_send(&g->poke);
    }
    gossip_unlock(g);
}

/* ---- sending ---- */

static void on_send_failed(void *arg, const struct swim_addr *to, int errnum)
{
    struct gossip *g = arg;
    char text[GOSSIP_ADDR_TEXT];
    uint64_t left_out;

    if (errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == ENOBUFS) {
        g->counters.send_blocked++;
        return;
    }
    if (errnum == EMSGSIZE) {
        g->counters.too_long++;
        swim_on_mtu(g->swim, gossip_now(), to, SWIM_MTU_LEAST);
        return;
    }
    g->counters.send_failed++;
    if (log_allowed(&g->send_lines, clock_monotonic_ns() / 1000000, 60000, &left_out)) {
        gossip_addr_text(to, text);
        log_info("cannot send to the node at %s: %s", text, strerror(errnum));
    }
}

/* The one bound to all addresses, or one that may reach it; SIZE_MAX: none of its family. */
static size_t socket_for(const struct gossip *g, const struct swim_addr *to)
{
    bool local = gossip_addr_is_loopback(to);
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < g->n_sockets; i++) {
        const struct gossip_socket *s = &g->sockets[i];
        if (s->family != to->family) {
            continue;
        }
        if (s->is_any || s->is_loopback == local) {
            return i;
        }
        found = i;
    }
    return found;
}

static void flush(struct gossip *g, size_t at)
{
    if (g->outboxes[at].n > 0) {
        gossip_socket_send(&g->sockets[at], &g->outboxes[at], on_send_failed, g);
    }
}

static void flush_all(struct gossip *g)
{
    for (size_t i = 0; i < g->n_sockets; i++) {
        flush(g, i);
    }
}

/* The other way round than gossip_now: what follows from it for something before is early at most.
 */
static struct swim_now now_behind(void)
{
    uint64_t mono_ns = clock_boot_ns();

    return (struct swim_now){.mono_ns = mono_ns, .wall_ns = (int64_t)clock_wall_ns()};
}

static void send_ping(struct gossip *g, struct gossip_socket *s, const struct swim_action *action)
{
    int64_t stamp_ns = 0;
    int rc = gossip_socket_send_stamped(s, &action->addr, action->bytes, action->n, &stamp_ns);

    if (rc < 0) {
        on_send_failed(g, &action->addr, -rc);
    } else if (stamp_ns != 0) {
        swim_on_sent(g->swim, now_behind(), action->ping, stamp_ns);
    }
}

static void do_send(struct gossip *g, const struct swim_action *action)
{
    size_t at = socket_for(g, &action->addr);

    if (at == SIZE_MAX) {
        g->counters.send_failed++;
        return;
    }
    struct gossip_outbox *out = &g->outboxes[at];
    REQUIRE(action->n <= SWIM_DATAGRAM_MAX);
    if (action->ping != 0) {
        flush(g, at);
        send_ping(g, &g->sockets[at], action);
        return;
    }
    memcpy(out->bytes[out->n], action->bytes, action->n);
    out->lengths[out->n] = (uint16_t)action->n;
    out->to[out->n++] = action->addr;
    if (out->n == GOSSIP_SEND_BATCH || action->is_stamped) {
        flush(g, at);
    }
}

/* ---- what the core wants done ---- */

/* Without it the next life could be an older one than this: better none than that. */
static void do_persist(struct gossip *g, uint64_t boot)
{
    struct err err = {0};

    if (gossip_state_put_boot(&g->state, boot, &err) < 0) {
        log_error("%s: should this host's clock go back before the next start, the others take "
                  "the node for its own past",
                  err.text);
    } else {
        g->state.boot = boot;
    }
}

/* What comes after the farewell is for nobody; unread, it would keep the loop busy. */
static void stop_reading(struct gossip *g)
{
    for (size_t i = 0; i < g->n_sockets; i++) {
        uv_poll_stop(&g->polls[i]);
    }
}

static void do_action(struct gossip *g, const struct swim_action *action)
{
    switch (action->kind) {
    case SWIM_SEND:
        do_send(g, action);
        break;
    case SWIM_STREAM_OPEN:
        gossip_stream_open(g, action->conn, &action->addr);
        break;
    case SWIM_STREAM_WRITE:
        gossip_stream_write(g, action->conn, action->bytes, action->n);
        break;
    case SWIM_STREAM_CLOSE:
        gossip_stream_close(g, action->conn);
        break;
    case SWIM_EVENT:
        gossip_tell_event(g, action);
        break;
    case SWIM_PERSIST:
        flush_all(g);
        do_persist(g, action->boot);
        break;
    case SWIM_LEAVE_DONE:
        flush_all(g);
        g->has_left = true;
        stop_reading(g);
        uv_async_send(&g->tell);
        break;
    }
}

void gossip_do_actions(struct gossip *g)
{
    struct swim_action action;

    /* Streams that end while the loop does would have the core open others. */
    while (!g->is_closing && swim_next(g->swim, gossip_now(), g->scratch, &action)) {
        do_action(g, &action);
    }
    flush_all(g);
}

static void turn(struct gossip *g, unsigned sockets);

/* Who is on time has come from a wait that no datagram ended: nothing is there to be read before
 * the timer. Who is late knows nothing of what came since. */
static void on_timer(uv_timer_t *timer)
{
    struct gossip *g = timer->data;
    bool is_late = clock_boot_ns() > g->timer_ns + LATE_NS;

    g->timer_ns = SWIM_NEVER;
    turn(g, is_late ? ALL_SOCKETS : 0);
}

/* libuv counts whole ms of a clock that it cuts, and that itself goes by the kernel's ticks: one
 * more, and another where a ms is nothing, or it would wake a moment too early and then again. */
static void arm(struct gossip *g)
{
    uint64_t due_ns = swim_deadline(g->swim);

    if (due_ns == g->timer_ns) {
        return;
    }
    g->timer_ns = due_ns;
    if (due_ns == SWIM_NEVER) {
        uv_timer_stop(&g->timer);
        return;
    }
    uint64_t now_ns = clock_boot_ns();
    uv_update_time(&g->loop);
    uint64_t ms = due_ns <= now_ns ? 0 : (due_ns - now_ns) / SWIM_MS + 1;
    uv_timer_start(&g->timer, on_timer, ms < COARSE_MS ? ms : ms + 1, 0);
}

void gossip_drain_core(struct gossip *g)
{
    gossip_do_actions(g);
    gossip_ring_take_changes(g);
    gossip_do_actions(g);
    arm(g);
}

/* ---- inputs ---- */

static void take_datagram(struct gossip *g, const struct gossip_datagram *datagram)
{
    const struct swim_counters *counters = swim_get_counters(g->swim);
    uint64_t foreign = counters->foreign_key, opened = counters->datagrams_received;
    uint32_t key_id = 0;

    if (datagram->n >= 8) {
        memcpy(&key_id, datagram->bytes + 4, sizeof key_id);
    }
    struct swim_now now = gossip_now();
    swim_on_datagram(g->swim, now, &datagram->from, datagram->bytes, datagram->n,
                     datagram->stamp_ns);
    if (counters->foreign_key != foreign) {
        g->foreign.key_id = __builtin_bswap32(key_id);
        g->foreign.from = datagram->from;
        g->foreign.last_ns = now.mono_ns;
    }
    if (counters->datagrams_received != opened) { /* else nothing follows before the turn's end */
        gossip_do_actions(g);
    }
}

/* At most `room` of what waits at a socket; how many. */
static size_t take_from(struct gossip *g, struct gossip_socket *s, size_t room)
{
    size_t taken = 0;
    size_t n;

    do {
        uint32_t dropped = 0;
        n = gossip_socket_receive(s, g->inbox, &dropped);
        if (dropped > 0) {
            swim_on_kernel_drops(g->swim, gossip_now(), dropped);
        }
        for (size_t i = 0; i < n; i++) {
            take_datagram(g, gossip_inbox_at(g->inbox, i));
        }
        taken += n;
    } while (n == GOSSIP_RECV_BATCH && taken < room);
    return taken;
}

/* False: there is more. */
static bool take_all(struct gossip *g, unsigned sockets)
{
    bool done = true;

    for (size_t i = 0; i < g->n_sockets; i++) {
        size_t room = GOSSIP_TURN_MAX / g->n_sockets;
        if ((sockets & 1u << i) != 0) {
            done = take_from(g, &g->sockets[i], room) < room && done;
        }
    }
    return done;
}

static void look_for_flood(struct gossip *g)
{
    const struct swim_counters *c = swim_get_counters(g->swim);
    uint64_t n = c->foreign_key + c->forged + c->malformed + c->replayed + c->reflected;
    uint64_t now_ns = clock_boot_ns();

    if (now_ns - g->flood_looked_ns >= FLOOD_LOOK_NS) {
        g->is_flooded = n - g->n_useless >= (now_ns - g->flood_looked_ns) / FLOOD_GAP_NS &&
                        c->kernel_drops == g->n_dropped;
        g->flood_looked_ns = now_ns;
        g->n_useless = n;
        g->n_dropped = c->kernel_drops;
    }
}

/* Since the last turn ended; who has been waiting for longer, as at the end of a flood, goes on at
 * once. */
static void let_gather(const struct gossip *g)
{
    uint64_t past_ns = clock_boot_ns() - g->turned_ns;

    if (g->is_flooded && g->n_full_turns == 0 && past_ns < FLOOD_WAIT_NS) {
        const struct timespec wait = {.tv_nsec = (long)(FLOOD_WAIT_NS - past_ns)};
        (void)nanosleep(&wait, NULL);
    }
}

/* Told in what goes out anyway; nobody wakes for it. */
static void look_at_load(struct gossip *g)
{
    uint64_t now_ns = clock_boot_ns();
    uint8_t percent;

    if (now_ns < g->load_due_ns) {
        return;
    }
    if (processors_look(&g->processors, &percent)) {
        swim_set_load(g->swim, percent);
        g->load_due_ns = now_ns + LOAD_NS;
    } else { /* there is nothing to compare with yet */
        g->load_due_ns = now_ns + LOAD_FIRST_NS;
    }
}

/* sockets: a bit for each that is read first. */
static void turn(struct gossip *g, unsigned sockets)
{
    gossip_lock(g);
    if (!g->has_left && !g->is_closing) {
        bool done = take_all(g, sockets);
        look_for_flood(g);
        g->n_full_turns = done ? 0 : g->n_full_turns + 1;
        if (done || g->n_full_turns % FULL_TURNS_MAX == 0) {
            if (swim_deadline(g->swim) <= clock_boot_ns()) {
                swim_on_time(g->swim, gossip_now());
            }
            look_at_load(g);
            gossip_time_look(g);
            gossip_tell_foreign(g, clock_monotonic_ns());
            gossip_interfaces_go_on(g);
        }
        gossip_drain_core(g);
        g->turned_ns = clock_boot_ns();
    }
    gossip_unlock(g);
}

void gossip_turn(struct gossip *g)
{
    turn(g, ALL_SOCKETS);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(uv_poll_t *poll)
{
    REQUIRE(uv_poll_start(poll, UV_READABLE | UV_PRIORITIZED, on_readable) == 0);
}

/* What is out of turn are stamps of datagrams that a queue had held back. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct gossip *g = poll->data;

    if (status < 0 || (events & UV_PRIORITIZED) != 0) {
        gossip_socket_drop_stamps(&g->sockets[poll - g->polls]);
    }
    if (status < 0) { /* libuv has ended it */
        watch(poll);
    }
    let_gather(g);
    /* Late for a timer: others may have come to the other sockets before it was due. */
    bool is_late = g->is_flooded || (g->timer_ns != SWIM_NEVER && clock_boot_ns() >= g->timer_ns);
    turn(g, is_late ? ALL_SOCKETS : 1u << (poll - g->polls));
}

int gossip_drive_start(struct gossip *g)
{
    g->timer_ns = SWIM_NEVER;
    REQUIRE(uv_timer_init(&g->loop, &g->timer) == 0);
    g->timer.data = g;
    for (size_t i = 0; i < g->n_sockets; i++) {
        int rc = uv_poll_init(&g->loop, &g->polls[i], g->sockets[i].fd);
        if (rc < 0) {
            return rc;
        }
        g->polls[i].data = g;
        watch(&g->polls[i]);
    }
    return 0;
}
