/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of a message, one after the other, each to the room that it is for. Here is also what
 * keeps a message from making us say much more than it says itself: so many answers to one message,
 * and to a sender that nobody vouches for only what is small, or seldom. Such a message may be a
 * recording, and come from an address that is made up.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"
#include "shared/swarm/swim_order.h"

#define STRANGER_GAP_NS (10 * SWIM_MS)

/* ---- how much may be answered ---- */

static bool may_answer(struct swim *swim, struct swim_message *m)
{
    if (m->n_answers == SWIM_ANSWERS_MAX) {
        swim->counters.answers_refused++;
        return false;
    }
    m->n_answers++;
    return true;
}

/* Large ones to strangers: at most one in a while, to all of them together. */
static bool may_answer_stranger(struct swim *swim)
{
    if (swim->stranger_ns != 0 && swim->now.mono_ns - swim->stranger_ns < STRANGER_GAP_NS) {
        swim->counters.strangers_refused++;
        return false;
    }
    swim->stranger_ns = swim->now.mono_ns;
    return true;
}

/* What asks for much, or for work: by a stream, or from somebody whom we know. */
static bool may_ask(struct swim *swim, struct swim_message *m)
{
    if (m->conn != 0) {
        return true;
    }
    if (m->sender == NULL) {
        swim->counters.strangers_refused++;
        return false;
    }
    return may_answer(swim, m);
}

/* Who may not be a member is told why, and so is who does not know yet that another may not. */
static void tell_order(struct swim *swim, struct swim_message *m)
{
    if (m->conn != 0 || (may_answer(swim, m) && may_answer_stranger(swim))) {
        swim_kv_tell_orders(swim, m, swim->refused_sid);
    }
    swim->refused_sid = 0;
}

/* ---- single frames ---- */

static void acknowledge(struct swim *swim, const struct swim_message *m, uint64_t seq)
{
    struct swim_work *work =
        swim_post(swim, WORK_FRAME, m->from, m->sender == NULL ? 0 : m->sender->sid);

    if (work != NULL) {
        work->stamped = true;
        work->plain = m->sender == NULL;
        work->suspicious = m->sender != NULL && m->sender->state != SWIM_ALIVE;
        work->frame = (struct swim_frame){.type = SWIM_ACK, .seq = seq, .t2 = m->received};
    }
}

static void tell_own_record(struct swim *swim, const struct swim_message *m)
{
    struct swim_work *work =
        swim_post(swim, WORK_FRAME, m->from, m->sender == NULL ? 0 : m->sender->sid);

    if (work != NULL) {
        work->plain = m->sender == NULL;
        work->frame = (struct swim_frame){.type = SWIM_ALIVE_FRAME}; /* as it is by then */
    }
}

/* Once a message is enough: what the view is does not change in between. */
static void compare_views(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    if (m->sender != NULL && swim_is_live(m->sender) && !m->compared) {
        m->compared = true;
        swim_sync_compare(swim, m->sender, frame);
    }
}

static void on_ping(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    if (frame->sid != swim->self->sid || swim->left || !may_answer(swim, m)) {
        return; /* another lived at this address */
    }
    if (m->conn != 0) {
        swim_stream_on_ping(swim, m->conn, frame);
        return;
    }
    acknowledge(swim, m, frame->seq);
    if (m->sender == NULL && may_answer_stranger(swim)) {
        swim_hello(swim, m->from);
    }
    compare_views(swim, m, frame);
    if (m->proven) {
        swim_probe_while_awake(swim);
    }
}

static void on_ack(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    if (m->conn != 0) {
        swim_stream_on_ack(swim, m->conn, frame);
        return;
    }
    bool ours = swim_probe_on_ack(swim, m->sender, frame, m->received) ||
                swim_relay_on_ack(swim, m->sender, frame, m->received) ||
                swim_burst_on_ack(swim, m->sender, frame, m->received);
    if (swim->hello_seq != 0 && frame->seq == swim->hello_seq) {
        ours = true;
        if (m->sender != NULL) {
            swim_take_clock(swim, m->sender, frame, swim->hello_t1, m->received);
        }
        swim_join_answered(swim, m->from);
    }
    m->proven = m->proven || ours; /* nobody else could know the number */
}

static void on_hello(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    struct swim_member *member = swim_merge_record(swim, frame->bin, frame->n_bin, m->synced);

    if (m->conn != 0 && swim->refused_sid != 0) {
        struct swim_conn *conn = swim_conn_find(swim, m->conn);
        m->refused = true;
        tell_order(swim, m);
        if (conn != NULL) {
            swim_conn_close(swim, conn);
        }
    }
    if (m->conn != 0 || member == NULL || swim->left) {
        return;
    }
    if (m->sender == NULL &&
        memcmp(member->boot_nonce, m->envelope->boot_nonce, SWIM_NONCE_BYTES) == 0) {
        m->sender = swim->speaker = member;
    }
    if (!may_answer(swim, m) || (m->sender == NULL && !may_answer_stranger(swim))) {
        return;
    }
    tell_own_record(swim, m); /* first, so that the answer's sender is known */
    acknowledge(swim, m, frame->seq);
}

static void on_you_are(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    if (frame->state != SWIM_ALIVE) {
        swim_refute(swim, frame->incarnation);
    }
    if (swim_incarnation_compare(frame->incarnation, swim->own.incarnation) < 0 && m->conn == 0 &&
        !swim->left && may_answer(swim, m) && (m->sender != NULL || may_answer_stranger(swim))) {
        tell_own_record(swim, m);
    }
}

static void on_left(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame)
{
    const struct swim_member *member = swim_merge_record(swim, frame->bin, frame->n_bin, m->synced);

    if (member != NULL && m->sender == member && m->conn == 0) {
        swim_post_frame(swim, member, &(struct swim_frame){.type = SWIM_LEAVEACK});
    }
}

static void on_sync(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    if (m->conn != 0) {
        swim_stream_on_sync(swim, m->conn, frame);
    } else if (frame->state == SWIM_SYNC_DELTA) {
        m->synced = true;
    } else if (frame->state == SWIM_SYNC_STREAM && may_ask(swim, m)) {
        (void)swim_stream_open(swim, m->from, CONN_DELTA);
    }
}

static void on_digest(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    /* Sums are answered with not much more than they are; joining members send them. */
    if (frame->state == SWIM_DIGEST_SUMS ? m->conn != 0 || may_answer(swim, m) : may_ask(swim, m)) {
        swim_on_digest(swim, m, frame);
    }
}

/* What may be a recording from before our start: a question, an answer with a number that it has to
 * know, or what is signed. */
static bool is_harmless(const struct swim_frame *frame)
{
    switch (frame->type) {
    case SWIM_PING:
    case SWIM_ACK:
    case SWIM_NACK:
    case SWIM_FACK:
    case SWIM_ALIVE_FRAME:
    case SWIM_LEFT_FRAME:
    case SWIM_HELLO:
        return true;
    case SWIM_KV:
        return swim_order_is_key(frame->key); /* it is signed */
    default:
        return false;
    }
}

static bool is_record(const struct swim_frame *frame)
{
    return frame->type == SWIM_ALIVE_FRAME || frame->type == SWIM_LEFT_FRAME;
}

static void on_frame(struct swim *swim, struct swim_message *m, const struct swim_frame *frame)
{
    bool by_sync = m->synced;

    if ((!m->proven && !is_harmless(frame)) || (m->records_only && !is_record(frame)) ||
        m->refused) {
        return;
    }
    swim->refused_sid = 0;
    switch ((enum swim_frame_type)frame->type) {
    case SWIM_PING:
        on_ping(swim, m, frame);
        break;
    case SWIM_ACK:
        on_ack(swim, m, frame);
        break;
    case SWIM_PINGREQ:
        if (m->conn == 0 && may_ask(swim, m)) {
            swim_relay_on_request(swim, m->from, frame);
        }
        break;
    case SWIM_NACK:
        swim_probe_on_nack(swim, frame->seq);
        break;
    case SWIM_FACK:
        swim_probe_on_fack(swim, frame->seq);
        break;
    case SWIM_ALIVE_FRAME:
        (void)swim_merge_record(swim, frame->bin, frame->n_bin, by_sync);
        break;
    case SWIM_LEFT_FRAME:
        on_left(swim, m, frame);
        break;
    case SWIM_SUSPECT_FRAME:
        swim_merge_suspect(swim, frame->sid, frame->incarnation, frame->from, frame->lh);
        break;
    case SWIM_DEAD_FRAME:
        swim_merge_dead(swim, frame->sid, frame->incarnation, frame->from, frame->lh, by_sync);
        break;
    case SWIM_YOUARE:
        on_you_are(swim, m, frame);
        break;
    case SWIM_DIGEST:
        on_digest(swim, m, frame);
        break;
    case SWIM_WANT:
        if (may_ask(swim, m)) {
            swim_on_want(swim, m, frame);
        }
        break;
    case SWIM_KV:
        swim_kv_on_frame(swim, frame, by_sync);
        break;
    case SWIM_HELLO:
        on_hello(swim, m, frame);
        break;
    case SWIM_SYNC:
        on_sync(swim, m, frame);
        break;
    case SWIM_LEAVEACK:
        if (m->sender != NULL) {
            swim_on_leave_ack(swim, m->sender->sid);
        }
        break;
    case SWIM_VIEW:
        compare_views(swim, m, frame);
        break;
    }
    if (swim->refused_sid != 0) {
        tell_order(swim, m);
    }
}

void swim_take_frames(struct swim *swim, const uint8_t *bytes, size_t n, struct swim_message *m)
{
    size_t most = m->conn != 0 ? SWIM_STREAM_BIN_MAX : SWIM_BIN_MAX;
    struct unpack run = unpack_from(bytes, n);
    struct swim_frame frame;
    enum swim_frame_read read;

    /* All of it is good, or none of it is done. */
    while ((read = swim_frame_read(&run, most, &frame)) != SWIM_FRAME_END) {
        if (read == SWIM_FRAME_BAD) {
            swim->counters.bad_frames++;
            return;
        }
    }
    run = unpack_from(bytes, n);
    while ((read = swim_frame_read(&run, most, &frame)) != SWIM_FRAME_END) {
        if (read == SWIM_FRAME_OK) {
            on_frame(swim, m, &frame);
        }
    }
}
