/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams, which the driver seals and opens: a ping where datagrams do not get through, and
 * exchanges that are too much for datagrams. Who opened one speaks first.
 *
 *   ping       → PING                 ← ACK
 *   delta      → HELLO LIST…          ← what the other lacks, WANT…, SYNC done
 *              → what was wanted, SYNC done, close
 *   push-pull  → HELLO, all, SYNC whole   ← all, SYNC done
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

#define CONN_ACCEPTED_BIT 0x80000000u

struct swim_conn *swim_conn_find(const struct swim *swim, uint32_t id)
{
    for (uint32_t i = 0; i < swim->n_conns; i++) {
        if (swim->conns[i]->id == id) {
            return swim->conns[i];
        }
    }
    return NULL;
}

static struct swim_conn *add_conn(struct swim *swim, uint32_t id, const struct swim_addr *addr,
                                  enum conn_purpose purpose)
{
    if (swim->n_conns == SWIM_CONNS_MAX) {
        swim->counters.streams_full++;
        return NULL;
    }
    if (swim->n_conns == swim->cap_conns) {
        uint32_t cap = swim->cap_conns == 0 ? 8 : swim->cap_conns * 2;
        swim->conns = swim_grow_memory(swim, swim->conns, swim->cap_conns * sizeof *swim->conns,
                                       cap * sizeof *swim->conns);
        swim->cap_conns = cap;
    }
    struct swim_conn *conn = swim_get_memory(swim, sizeof *conn);
    conn->id = id;
    conn->addr = *addr;
    conn->purpose = (uint8_t)purpose;
    conn->timer.kind = TIMER_CONN;
    swim->conns[swim->n_conns++] = conn;
    swim_timer_arm(&swim->timers, &conn->timer, swim->now.mono_ns + SWIM_CONN_LIFE_MS * SWIM_MS);
    return conn;
}

static void forget(struct swim *swim, struct swim_conn *conn)
{
    for (uint32_t i = 0; i < swim->n_conns; i++) {
        if (swim->conns[i] == conn) {
            swim->conns[i] = swim->conns[--swim->n_conns];
            break;
        }
    }
    swim_timer_cancel(&swim->timers, &conn->timer);
    swim_give_memory(swim, conn, sizeof *conn);
}

static struct swim_conn *open_conn(struct swim *swim, const struct swim_addr *addr,
                                   enum conn_purpose purpose)
{
    if (swim->silenced) {
        return NULL;
    }
    do {
        swim->last_conn = (swim->last_conn + 1) & ~CONN_ACCEPTED_BIT;
    } while (swim->last_conn == 0 || swim_conn_find(swim, swim->last_conn) != NULL);
    struct swim_conn *conn = add_conn(swim, swim->last_conn, addr, purpose);
    struct swim_work *work = conn == NULL ? NULL : swim_post_conn(swim, WORK_OPEN, conn->id);
    if (work == NULL) {
        if (conn != NULL) {
            forget(swim, conn);
        }
        return NULL;
    }
    work->addr = *addr;
    return conn;
}

uint32_t swim_stream_open(struct swim *swim, const struct swim_addr *addr,
                          enum conn_purpose purpose)
{
    const struct swim_conn *conn = open_conn(swim, addr, purpose);

    return conn == NULL ? 0 : conn->id;
}

uint32_t swim_stream_ping(struct swim *swim, const struct swim_member *member, uint64_t probe_seq)
{
    struct swim_conn *conn = open_conn(swim, &member->addr, CONN_PING);

    if (conn == NULL) {
        return 0;
    }
    conn->probe_seq = probe_seq;
    conn->peer = member->sid;
    return conn->id;
}

void swim_conn_close(struct swim *swim, struct swim_conn *conn)
{
    /* Behind what is to be written still; the record goes when that was said. */
    if (!conn->closing) {
        conn->closing = true;
        if (swim_post_conn(swim, WORK_CLOSE, conn->id) == NULL) {
            forget(swim, conn); /* the driver's own deadline ends it */
        }
    }
}

void swim_conn_closed(struct swim *swim, uint32_t id)
{
    struct swim_conn *conn = swim_conn_find(swim, id);

    if (conn != NULL) {
        forget(swim, conn);
    }
}

void swim_on_conn_timer(struct swim *swim, struct swim_conn *conn)
{
    conn->closing = false;
    swim_conn_close(swim, conn);
}

void swim_streams_deinit(struct swim *swim)
{
    while (swim->n_conns > 0) {
        forget(swim, swim->conns[0]);
    }
    swim_give_memory(swim, swim->conns, swim->cap_conns * sizeof *swim->conns);
}

/* ---- what is said ---- */

static void say_sync(struct swim *swim, const struct swim_conn *conn, uint8_t what)
{
    struct swim_work *work = swim_post_conn(swim, WORK_FRAME, conn->id);

    if (work != NULL) {
        work->frame = (struct swim_frame){.type = SWIM_SYNC, .state = what};
    }
}

void swim_stream_say_done(struct swim *swim, struct swim_conn *conn)
{
    say_sync(swim, conn, SWIM_SYNC_DONE);
}

static void bring_all(struct swim *swim, const struct swim_conn *conn)
{
    const struct swim_message to = {.conn = conn->id};

    swim_post_sids(swim, WORK_BRING, &to, swim->table.sids, swim->table.n);
}

static void on_opened(struct swim *swim, struct swim_conn *conn)
{
    struct swim_work *work;

    conn->opened = true;
    switch ((enum conn_purpose)conn->purpose) {
    case CONN_PING:
        work = swim_post_conn(swim, WORK_FRAME, conn->id);
        if (work != NULL) {
            work->stamped = true;
            work->frame =
                (struct swim_frame){.type = SWIM_PING, .seq = conn->probe_seq, .sid = conn->peer};
        }
        break;
    case CONN_DELTA:
        (void)swim_post_conn(swim, WORK_HELLO, conn->id);
        work = swim_post_conn(swim, WORK_LIST, conn->id);
        if (work != NULL) {
            work->mask = UINT64_MAX;
        }
        break;
    case CONN_PUSH_PULL:
        (void)swim_post_conn(swim, WORK_HELLO, conn->id);
        bring_all(swim, conn);
        say_sync(swim, conn, SWIM_SYNC_WHOLE);
        break;
    case CONN_ACCEPTED:
        break;
    }
}

/* ---- what is heard ---- */

void swim_stream_on_sync(struct swim *swim, uint32_t id, const struct swim_frame *frame)
{
    struct swim_conn *conn = swim_conn_find(swim, id);

    if (conn == NULL || conn->closing) {
        return;
    }
    if (frame->state == SWIM_SYNC_WHOLE && conn->purpose == CONN_ACCEPTED && !conn->listed_all) {
        conn->listed_all = true;
        bring_all(swim, conn);
        say_sync(swim, conn, SWIM_SYNC_DONE);
    } else if (frame->state == SWIM_SYNC_DONE) {
        if (conn->purpose == CONN_DELTA) {
            say_sync(swim, conn, SWIM_SYNC_DONE); /* behind what it wanted */
        }
        swim_conn_close(swim, conn);
    }
}

void swim_stream_on_ping(struct swim *swim, uint32_t id, const struct swim_frame *ping)
{
    /* Who had to take a stream may know only a life of ours that is over: nothing that it sends to
     * that one can be opened here. First, since the answer ends the stream. */
    (void)swim_post_conn(swim, WORK_HELLO, id);
    struct swim_work *work = swim_post_conn(swim, WORK_FRAME, id);
    if (work != NULL) {
        work->stamped = true;
        work->frame = (struct swim_frame){.type = SWIM_ACK, .seq = ping->seq};
    }
}

void swim_stream_on_ack(struct swim *swim, uint32_t id, const struct swim_frame *ack)
{
    struct swim_conn *conn = swim_conn_find(swim, id);

    if (conn != NULL && conn->purpose == CONN_PING && conn->probe_seq == ack->seq) {
        swim_probe_on_stream(swim, ack->seq);
        swim_conn_close(swim, conn);
    }
}

void swim_on_stream(struct swim *swim, struct swim_now now, uint32_t conn_id,
                    enum swim_stream_event event, const struct swim_addr *from,
                    const uint8_t *bytes, size_t n)
{
    swim_look(swim, now);
    struct swim_conn *conn = swim_conn_find(swim, conn_id);
    switch (event) {
    case SWIM_STREAM_ACCEPTED:
        if (conn == NULL && (conn_id & CONN_ACCEPTED_BIT) != 0 &&
            add_conn(swim, conn_id, from, CONN_ACCEPTED) == NULL) {
            (void)swim_post_conn(swim, WORK_CLOSE, conn_id);
        }
        break;
    case SWIM_STREAM_OPENED:
        if (conn != NULL && !conn->opened) {
            on_opened(swim, conn);
        }
        break;
    case SWIM_STREAM_MESSAGE:
        if (conn != NULL && n <= SWIM_STREAM_MESSAGE_MAX) {
            struct swim_addr peer = conn->addr;
            struct swim_message m = {
                .from = &peer, .conn = conn_id, .synced = true, .proven = true};
            swim_take_frames(swim, bytes, n, &m);
        }
        break;
    case SWIM_STREAM_CLOSED:
        if (conn != NULL) {
            forget(swim, conn);
        }
        break;
    }
}
