/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits to be sent is kept as what it is about, and the bytes are made when the driver asks
 * for them: so a rumor never goes out stale, time stamps are those of the sending, and nothing is
 * copied twice. A full ring loses the newest and counts it; everything in it is repaired by the
 * next probe or exchange.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"
#include "shared/swarm/swim_kv.h"

/* ---- posting ---- */

static struct swim_work *slot(struct swim *swim, enum work_kind kind)
{
    if (swim->out_n == SWIM_OUTBOX_MAX || swim->silenced) {
        swim->counters.outbox_full += swim->silenced ? 0 : 1;
        return NULL;
    }
    struct swim_work *work = &swim->outbox[(swim->out_at + swim->out_n++) % SWIM_OUTBOX_MAX];
    work->kind = (uint8_t)kind;
    work->stamped = work->suspicious = work->plain = false;
    work->probe = work->relay = 0;
    work->burst = 0;
    work->conn = 0;
    work->key_id = 0;
    work->peer = work->mask = 0;
    work->n_sids = work->at = 0;
    work->sids = NULL;
    work->addr = (struct swim_addr){0};
    return work;
}

/* Who was away while another key came into use asks under the old one and could not read another:
 * it is answered under its own, and learns the new one. Nobody else hears from us under it, or two
 * would keep each other with the old one for ever. */
static void address(const struct swim *swim, struct swim_work *work, const struct swim_addr *to)
{
    work->addr = *to;
    if (swim->asked_from != NULL && swim_addr_is_same(to, swim->asked_from)) {
        work->key_id = swim->asked_key_id;
    }
}

struct swim_work *swim_post(struct swim *swim, enum work_kind kind, const struct swim_addr *addr,
                            uint64_t peer)
{
    struct swim_work *work = slot(swim, kind);

    if (work != NULL) {
        address(swim, work, addr);
        work->peer = peer;
    }
    return work;
}

struct swim_work *swim_post_conn(struct swim *swim, enum work_kind kind, uint32_t conn)
{
    struct swim_work *work = slot(swim, kind);

    if (work != NULL) {
        work->conn = conn;
    }
    return work;
}

void swim_post_frame(struct swim *swim, const struct swim_member *to,
                     const struct swim_frame *frame)
{
    struct swim_work *work = swim_post(swim, WORK_FRAME, &to->addr, to->sid);

    if (work != NULL) {
        work->frame = *frame;
    }
}

void swim_post_sids(struct swim *swim, enum work_kind kind, const struct swim_message *to,
                    const uint64_t *sids, uint32_t n)
{
    struct swim_work *work = n == 0 ? NULL : slot(swim, kind);

    if (work == NULL) {
        return;
    }
    work->conn = to->conn;
    if (to->from != NULL) {
        address(swim, work, to->from);
    }
    work->peer = to->sender == NULL ? 0 : to->sender->sid;
    work->n_sids = n;
    if (n > WORK_SIDS_INLINE) {
        work->sids = swim_get_memory(swim, n * sizeof *sids);
    }
    memcpy(work->sids != NULL ? work->sids : work->inline_sids, sids, n * sizeof *sids);
}

static void pop(struct swim *swim)
{
    struct swim_work *work = &swim->outbox[swim->out_at];

    swim_give_memory(swim, work->sids, work->n_sids * sizeof *work->sids);
    work->sids = NULL;
    swim->out_at = (swim->out_at + 1) % SWIM_OUTBOX_MAX;
    if (--swim->out_n == 0) {
        swim->out_at = 0; /* the same few cache lines again */
    }
}

void swim_outbox_deinit(struct swim *swim)
{
    while (swim->out_n > 0) {
        pop(swim);
    }
    swim_give_memory(swim, swim->outbox, SWIM_OUTBOX_MAX * sizeof *swim->outbox);
    swim_give_memory(swim, swim->events, swim->cap_events * sizeof *swim->events);
}

/* ---- frames of a message ---- */

static struct swim_frame hello_frame(const struct swim *swim)
{
    return (struct swim_frame){.type = SWIM_HELLO,
                               .seq = swim->hello_seq,
                               .bin = swim->self->record,
                               .n_bin = swim->self->n_record};
}

static void put_view(const struct swim *swim, struct swim_frame *frame)
{
    frame->vhash = swim_view_hash(swim);
    frame->khash = (uint32_t)swim_kv_hash(swim);
    frame->n_members = swim->table.n_live;
}

static void stamp(struct swim *swim, struct swim_work *work, struct swim_now now)
{
    struct swim_frame *frame = &work->frame;

    frame->lh = (uint8_t)swim->lh;
    if (frame->type == SWIM_PING) {
        frame->t1 = swim_clock_steady(&swim->clock, now.mono_ns);
        put_view(swim, frame);
        if (work->probe != 0) {
            swim->probes[work->probe - 1].t1 = frame->t1;
        }
        if (work->relay != 0) {
            swim->relays[work->relay - 1].t1 = frame->t1;
        }
        if (work->burst != 0) {
            swim->burst.waiting[work->burst - 1].t1 = frame->t1;
        }
    } else if (frame->type == SWIM_ACK) {
        struct swim_clock_view view = swim_clock_get(&swim->clock, now.mono_ns);
        frame->t3 = swim_clock_steady(&swim->clock, now.mono_ns);
        frame->load = swim->load;
        frame->x_ns = view.x_ns;
        frame->x_bound_ns = swim_clock_pack_bound(&view);
        frame->root = view.root;
        frame->wall_ns = swim->clock.wall_ns;
    }
}

static void put_you_are(const struct swim *swim, const struct swim_work *work, struct pack *pack)
{
    const struct swim_member *peer = work->suspicious ? swim_find(swim, work->peer) : NULL;

    if (peer != NULL && peer->state != SWIM_ALIVE) {
        swim_frame_write(pack, &(struct swim_frame){.type = SWIM_YOUARE,
                                                    .state = peer->state,
                                                    .incarnation = peer->incarnation});
    }
}

static void put_sums(const struct swim *swim, struct pack *pack)
{
    uint8_t sums[SWIM_BUCKETS * 8];

    for (int i = 0; i < SWIM_BUCKETS; i++) {
        put_le64(sums + (size_t)i * 8, swim->table.bucket_sums[i]);
    }
    swim_frame_write(pack, &(struct swim_frame){.type = SWIM_DIGEST,
                                                .state = SWIM_DIGEST_SUMS,
                                                .bin = sums,
                                                .n_bin = sizeof sums});
}

/* What one member of the list is brought as: its record, and what has become of it. */
static bool put_member(struct pack *pack, const struct swim_member *member)
{
    struct swim_frame record = {
        .type = member->state == SWIM_LEFT ? SWIM_LEFT_FRAME : SWIM_ALIVE_FRAME,
        .bin = member->record,
        .n_bin = member->n_record,
    };
    struct swim_frame fate = {
        .type = member->state == SWIM_DEAD ? SWIM_DEAD_FRAME : SWIM_SUSPECT_FRAME,
        .sid = member->sid,
        .incarnation = member->incarnation,
        .from = member->dead_from,
        .lh = member->dead_confirmed,
    };
    bool has_fate = member->state == SWIM_DEAD || member->state == SWIM_SUSPECT;

    if (member->state == SWIM_SUSPECT) {
        fate.from = member->suspicion->told_from;
        fate.lh = member->suspicion->told_lh;
    }
    if (swim_frame_size(&record) + (has_fate ? swim_frame_size(&fate) : 0) > pack_room(pack)) {
        return false;
    }
    swim_frame_write(pack, &record);
    if (has_fate) {
        swim_frame_write(pack, &fate);
    }
    return true;
}

/* True when all of it is said. */
static bool put_brought(const struct swim *swim, struct swim_work *work, struct pack *pack)
{
    const uint64_t *sids = work->sids != NULL ? work->sids : work->inline_sids;

    if (work->conn == 0) {
        swim_frame_write(pack, &(struct swim_frame){.type = SWIM_SYNC, .state = SWIM_SYNC_DELTA});
    }
    for (; work->at < work->n_sids; work->at++) {
        const struct swim_member *member = swim_find(swim, sids[work->at]);
        if (member != NULL && !swim_is_fading(swim, member) && !put_member(pack, member)) {
            return false;
        }
    }
    return true;
}

static bool put_wanted(struct swim_work *work, struct pack *pack)
{
    const uint64_t *sids = work->sids != NULL ? work->sids : work->inline_sids;
    uint8_t bin[SWIM_BIN_MAX];
    uint32_t n = 0;

    while (work->at < work->n_sids && n < SWIM_BIN_MAX / 8) {
        put_le64(bin + (size_t)n * 8, sids[work->at++]);
        n++;
    }
    swim_frame_write(pack,
                     &(struct swim_frame){.type = SWIM_WANT, .bin = bin, .n_bin = (size_t)n * 8});
    return work->at == work->n_sids;
}

/* A piece of the list of members, as much as goes into one byte string. */
static bool put_list(const struct swim *swim, struct swim_work *work, struct pack *pack)
{
    size_t most = work->conn != 0 ? SWIM_STREAM_BIN_MAX : SWIM_BIN_MAX;
    uint8_t bin[SWIM_STREAM_BIN_MAX];
    const struct swim_members *table = &swim->table;
    size_t n = 8;

    put_le64(bin, work->mask);
    for (; work->at < table->n && n + SWIM_DIGEST_ENTRY <= most; work->at++) {
        const struct swim_member *member = table->members[work->at];
        if ((work->mask >> swim_bucket(member->sid) & 1) == 0 || swim_is_fading(swim, member)) {
            continue;
        }
        put_le64(bin + n, member->sid);
        put_le64(bin + n + 8, member->incarnation.boot);
        put_le32(bin + n + 16, member->incarnation.seq);
        bin[n + 20] = member->state;
        n += SWIM_DIGEST_ENTRY;
    }
    bool whole = work->at >= table->n;
    swim_frame_write(pack,
                     &(struct swim_frame){.type = SWIM_DIGEST,
                                          .state = whole ? SWIM_DIGEST_LIST : SWIM_DIGEST_MORE,
                                          .bin = bin,
                                          .n_bin = n});
    return whole;
}

/* Our own record is not kept with what waits: it may be another by now. */
static void put_frame(const struct swim *swim, const struct swim_work *work, struct pack *pack)
{
    struct swim_frame frame = work->frame;

    if (frame.type == SWIM_ALIVE_FRAME || frame.type == SWIM_LEFT_FRAME) {
        frame.type = swim->own.left ? SWIM_LEFT_FRAME : SWIM_ALIVE_FRAME;
        frame.bin = swim->self->record;
        frame.n_bin = swim->self->n_record;
    }
    swim_frame_write(pack, &frame);
}

/* One message of it; true when nothing of it is left. */
static bool put_work(struct swim *swim, struct swim_work *work, struct pack *pack,
                     struct swim_now now)
{
    switch ((enum work_kind)work->kind) {
    case WORK_FRAME:
        if (work->stamped) {
            stamp(swim, work, now);
        }
        put_frame(swim, work, pack);
        put_you_are(swim, work, pack);
        return true;
    case WORK_HELLO: {
        const struct swim_frame hello = hello_frame(swim);
        swim_frame_write(pack, &hello);
        return true;
    }
    case WORK_SUMS:
        put_sums(swim, pack);
        return true;
    case WORK_LIST:
        return put_list(swim, work, pack);
    case WORK_BRING:
        return put_brought(swim, work, pack);
    case WORK_WANT:
        return put_wanted(work, pack);
    case WORK_KV:
        return swim_kv_write(swim, work, pack);
    default:
        return true;
    }
}

/* ---- messages ---- */

static void put_gossip(struct swim *swim, const struct swim_work *work, struct pack *pack)
{
    if (swim->rules->view_hash && work->kind == WORK_GOSSIP) {
        struct swim_frame view = {.type = SWIM_VIEW};
        put_view(swim, &view);
        swim_frame_write(pack, &view);
    }
    /* Members have what they need of two datagrams in three, and records of desired state what is
     * left; in the third it is the other way round. Neither starves the other, and a record that
     * needs most of a datagram gets one. */
    if (swim->counter % 3 == 0) {
        swim_kv_fill(swim, pack);
        swim_rumors_fill(swim, pack);
    } else {
        swim_rumors_fill(swim, pack);
        swim_kv_fill(swim, pack);
    }
}

static uint32_t mtu_to(const struct swim *swim, const struct swim_member *peer)
{
    uint32_t narrow = peer != NULL ? peer->mtu : swim->mtu_unknown;

    return narrow != 0 && narrow < swim->mtu ? narrow : swim->mtu;
}

void swim_on_mtu(struct swim *swim, struct swim_now now, const struct swim_addr *addr,
                 uint32_t bytes)
{
    bool is_known = false;
    uint32_t mtu = bytes < SWIM_MTU_LEAST      ? SWIM_MTU_LEAST
                   : bytes > SWIM_DATAGRAM_MAX ? SWIM_DATAGRAM_MAX
                                               : bytes;

    swim_look(swim, now);
    for (uint32_t i = 0; i < swim->table.n; i++) {
        struct swim_member *member = swim->table.members[i];
        if (addr == NULL || swim_addr_is_same(&member->addr, addr)) {
            member->mtu = (uint16_t)mtu;
            is_known = true;
        }
    }
    if (addr == NULL || !is_known) {
        swim->mtu_unknown = mtu;
    }
    swim->mtu_ns = now.mono_ns;
}

static bool make_datagram(struct swim *swim, struct swim_work *work, struct swim_now now,
                          struct swim_scratch *scratch, struct swim_action *action, bool *done)
{
    const struct swim_key *asked = swim_keyring_find(&swim->keyring, work->key_id);
    const struct swim_key *key = asked != NULL ? asked : swim_keyring_active(&swim->keyring);
    const struct swim_member *peer = work->peer == 0 ? NULL : swim_find(swim, work->peer);
    struct pack pack = pack_into(scratch->bytes + SWIM_HEAD_BYTES,
                                 mtu_to(swim, peer) - SWIM_HEAD_BYTES - SWIM_TAG_BYTES);

    *done = put_work(swim, work, &pack, now);
    if (!work->plain &&
        (work->kind == WORK_FRAME || work->kind == WORK_GOSSIP || work->kind == WORK_HELLO)) {
        put_gossip(swim, work, &pack);
    }
    if (key == NULL || pack.failed || pack_length(&pack) == 0) {
        return false;
    }
    struct swim_envelope envelope = {.key_id = key->id, .counter = ++swim->counter};
    memcpy(envelope.boot_nonce, swim->own.boot_nonce, SWIM_NONCE_BYTES);
    if (peer != NULL && work->kind != WORK_HELLO) {
        envelope.bound = true;
        memcpy(envelope.to_nonce, peer->boot_nonce, SWIM_NONCE_BYTES);
        action->sid = peer->sid;
    }
    action->is_stamped = work->kind == WORK_FRAME && work->stamped;
    action->ping = action->is_stamped && work->frame.type == SWIM_PING ? work->frame.seq : 0;
    action->kind = SWIM_SEND;
    action->addr = work->addr;
    action->bytes = scratch->bytes;
    action->n = swim_envelope_seal(&swim->keyring, key, swim->crypto, &envelope, scratch->bytes,
                                   pack_length(&pack));
    swim->counters.datagrams_sent++;
    swim->counters.bytes_sent += action->n;
    return true;
}

static bool make_message(struct swim *swim, struct swim_work *work, struct swim_now now,
                         struct swim_scratch *scratch, struct swim_action *action, bool *done)
{
    struct pack pack = pack_into(scratch->bytes, sizeof scratch->bytes);

    action->conn = work->conn;
    *done = true;
    if (work->kind == WORK_OPEN) {
        action->kind = SWIM_STREAM_OPEN;
        action->addr = work->addr;
        return true;
    }
    if (work->kind == WORK_CLOSE) {
        action->kind = SWIM_STREAM_CLOSE;
        swim_conn_closed(swim, work->conn);
        return true;
    }
    if (swim_conn_find(swim, work->conn) == NULL) {
        return false;
    }
    *done = put_work(swim, work, &pack, now);
    if (pack.failed || pack_length(&pack) == 0) {
        return false;
    }
    action->kind = SWIM_STREAM_WRITE;
    action->bytes = scratch->bytes;
    action->n = pack_length(&pack);
    swim->counters.sync_bytes += action->n;
    return true;
}

static bool next_event(struct swim *swim, struct swim_action *action)
{
    if (swim->event_at == swim->n_events && swim->events_lost) {
        swim->events_lost = false;
        action->kind = SWIM_EVENT;
        action->event = SWIM_EVENT_LOST;
        return true;
    }
    if (swim->event_at == swim->n_events) {
        swim->event_at = swim->n_events = 0;
        return false;
    }
    const struct swim_event *event = &swim->events[swim->event_at++];
    action->kind = SWIM_EVENT;
    action->event = (enum swim_event_kind)event->event;
    action->sid = event->sid;
    action->incarnation = event->incarnation;
    return true;
}

bool swim_next(struct swim *swim, struct swim_now now, struct swim_scratch *scratch,
               struct swim_action *action)
{
    *action = (struct swim_action){0};
    (void)swim_clock_look(&swim->clock, now);
    if (swim->persist_due) {
        swim->persist_due = false;
        action->kind = SWIM_PERSIST;
        action->boot = swim->own.incarnation.boot;
        return true;
    }
    if (next_event(swim, action)) {
        return true;
    }
    while (swim->out_n > 0) {
        struct swim_work *work = &swim->outbox[swim->out_at];
        bool done = true;
        if (swim->silenced && !swim->leaving && work->kind != WORK_CLOSE) {
            pop(swim); /* another process speaks for us */
            continue;
        }
        bool made = work->conn != 0 ? make_message(swim, work, now, scratch, action, &done)
                                    : make_datagram(swim, work, now, scratch, action, &done);
        if (done || !made) {
            pop(swim);
        }
        if (made) {
            return true;
        }
    }
    if (swim->leave_done_due) {
        swim->leave_done_due = false;
        action->kind = SWIM_LEAVE_DONE;
        return true;
    }
    return false;
}
