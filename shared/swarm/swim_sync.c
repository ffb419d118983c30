/* SPDX-License-Identifier: Apache-2.0
 *
 * Anti-entropy. Pings and gossip carry a hash of the view; where it differs for a while, 64 sums
 * show which buckets do, a list of those shows which members, and only these travel: by datagrams
 * when they are few, by a stream when they are many. Rule sets without view hashes exchange whole
 * states by streams now and then (memberlist's push-pull).
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_digest.h"
#include "shared/swarm/swim_internal.h"

/* ---- noticing ---- */

void swim_sync_compare(struct swim *swim, struct swim_member *from, const struct swim_frame *frame)
{
    if (!swim->rules->view_hash || swim->leaving) {
        return;
    }
    swim_kv_compare(swim, from, frame->khash);
    if (frame->vhash == swim_view_hash(swim)) {
        swim_rumors_known(swim);
        return;
    }
    if (!swim_is_armed(swim, TIMER_SYNC)) {
        uint64_t gap_ns = swim->rules->sync_gap_ms * SWIM_MS;
        uint64_t since_ns = swim->now.mono_ns - swim->synced_ns;
        uint64_t wait_ns = swim->rules->differs_ms * SWIM_MS;
        if (swim->synced_ns != 0 && since_ns + wait_ns < gap_ns) {
            wait_ns = gap_ns - since_ns;
        }
        swim->sync_peer = from->sid;
        swim->sync_hash = frame->vhash;
        swim_timer_arm(&swim->timers, &swim->own_timers[TIMER_SYNC], swim->now.mono_ns + wait_ns);
    }
}

void swim_on_sync_timer(struct swim *swim)
{
    const struct swim_member *peer = swim_find(swim, swim->sync_peer);

    if (peer == NULL || !swim_is_live(peer) || swim->sync_hash == swim_view_hash(swim) ||
        swim->leaving) {
        return; /* gossip was faster */
    }
    swim->synced_ns = swim->now.mono_ns;
    swim->counters.syncs++;
    swim_post(swim, WORK_SUMS, &peer->addr, peer->sid);
}

void swim_on_digest_timer(struct swim *swim)
{
    const struct swim_member *peer = swim_random_live(swim, 0);

    if (peer != NULL && !swim->leaving) {
        swim->counters.syncs++;
        swim_post(swim, WORK_SUMS, &peer->addr, peer->sid);
    }
    swim_arm(swim, TIMER_DIGEST, swim->rules->digest_ms);
}

void swim_on_push_pull_timer(struct swim *swim)
{
    const struct swim_member *peer = swim_random_live(swim, 0);

    if (peer != NULL && !swim->leaving && swim->push_pulls) {
        swim->counters.syncs++;
        (void)swim_stream_open(swim, &peer->addr, CONN_PUSH_PULL);
    }
    swim->push_pulls = true;
    swim_arm(swim, TIMER_PUSH_PULL, swim->rules->push_pull_ms(swim->table.n_live));
}

/* ---- comparing ---- */

static void on_sums(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame)
{
    uint64_t peer = m->sender == NULL ? 0 : m->sender->sid;
    uint64_t mask = 0;
    uint32_t n = 0;

    if (frame->n_bin != SWIM_BUCKETS * 8) {
        return;
    }
    for (int i = 0; i < SWIM_BUCKETS; i++) {
        if (get_le64(frame->bin + (size_t)i * 8) != swim->table.bucket_sums[i]) {
            mask |= 1ull << i;
        }
    }
    for (uint32_t i = 0; i < swim->table.n; i++) {
        n += (uint32_t)(mask >> swim_bucket(swim->table.sids[i]) & 1);
    }
    if (mask == 0) {
        return;
    }
    if (n > SWIM_DIGEST_UDP_MOST) {
        struct swim_work *work = swim_post(swim, WORK_FRAME, m->from, peer);
        if (work != NULL) {
            work->frame = (struct swim_frame){.type = SWIM_SYNC, .state = SWIM_SYNC_STREAM};
        }
        return;
    }
    struct swim_work *work = swim_post(swim, WORK_LIST, m->from, peer);
    if (work != NULL) {
        work->mask = mask;
    }
}

struct difference {
    uint64_t *bring; /* we hold something that takes precedence */
    uint64_t *want;  /* they do */
    uint32_t n_bring, n_want;
};

static void compare_one(const struct swim *swim, const struct swim_member *ours, uint64_t sid,
                        struct swim_incarnation incarnation, enum swim_state state,
                        struct difference *out)
{
    int order = ours == NULL ? -1
                             : swim_precedence(ours->incarnation, (enum swim_state)ours->state,
                                               incarnation, state);
    if ((ours == NULL || swim_is_fading(swim, ours)) &&
        (state == SWIM_DEAD || state == SWIM_LEFT)) {
        return; /* a tombstone of somebody whom we never knew, or soon no more */
    }
    if (ours != NULL && ours->state == SWIM_DEAD && state == SWIM_DEAD) {
        return; /* of which incarnation it died: its record alone would bring it to life again */
    }
    if (order < 0 && swim_order_refuses(swim, sid, incarnation.boot)) {
        return;
    }
    if (order < 0) {
        out->want[out->n_want++] = sid;
    } else if (order > 0) {
        out->bring[out->n_bring++] = sid;
    }
}

/* Those of ours that their list passed over. */
static uint32_t bring_until(const struct swim_members *table, uint64_t buckets, uint32_t at,
                            uint64_t sid, struct difference *out)
{
    for (; at < table->n && table->sids[at] < sid; at++) {
        if ((buckets >> swim_bucket(table->sids[at]) & 1) != 0 &&
            swim_is_live(table->members[at])) {
            out->bring[out->n_bring++] = table->sids[at];
        }
    }
    return at;
}

/* One walk through both, since both are sorted. False: it is no list; nothing of it counts. */
static bool compare(const struct swim *swim, const struct swim_frame *frame, uint64_t first,
                    struct difference *out, uint64_t *last)
{
    const struct swim_members *table = &swim->table;
    struct swim_digest_list list;
    struct swim_digest_entry entry;
    uint32_t at = first == 0 ? 0 : swim_members_place(table, first + 1);
    int read;

    if (!swim_digest_open(frame->bin, frame->n_bin, first, &list)) {
        return false;
    }
    while ((read = swim_digest_next(&list, &entry)) > 0) {
        at = bring_until(table, list.buckets, at, entry.sid, out);
        bool known = at < table->n && table->sids[at] == entry.sid;
        compare_one(swim, known ? table->members[at++] : NULL, entry.sid, entry.incarnation,
                    (enum swim_state)entry.state, out);
    }
    if (read == 0 && frame->state == SWIM_DIGEST_LIST) {
        (void)bring_until(table, list.buckets, at, UINT64_MAX, out);
    }
    *last = list.last;
    return read == 0;
}

static void on_list(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame)
{
    struct swim_conn *stream = m->conn == 0 ? NULL : swim_conn_find(swim, m->conn);
    bool is_last = frame->state == SWIM_DIGEST_LIST;

    if (m->conn != 0 && (stream == NULL || stream->listed_all)) {
        return;
    }
    size_t n_theirs = frame->n_bin / SWIM_DIGEST_ENTRY;
    size_t most = swim->table.n + n_theirs + 1;
    uint64_t *sids = swim_get_memory(swim, 2 * most * sizeof *sids);
    struct difference diff = {.bring = sids, .want = sids + most};
    uint64_t last = 0;
    if (compare(swim, frame, stream == NULL ? 0 : stream->listed, &diff, &last)) {
        if (stream != NULL) {
            stream->listed = last;
        }
        if (m->conn == 0 && diff.n_bring + diff.n_want > SWIM_DELTA_UDP_MOST) {
            (void)swim_stream_open(swim, m->from, CONN_DELTA);
        } else {
            swim_post_sids(swim, WORK_BRING, m, diff.bring, diff.n_bring);
            swim_post_sids(swim, WORK_WANT, m, diff.want, diff.n_want);
        }
    }
    swim_give_memory(swim, sids, 2 * most * sizeof *sids);
    if (stream != NULL && is_last) {
        stream->listed_all = true;
        swim_stream_say_done(swim, stream);
    }
}

void swim_on_digest(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame)
{
    switch (frame->state) {
    case SWIM_DIGEST_SUMS:
        if (m->conn == 0) {
            on_sums(swim, m, frame);
        }
        break;
    case SWIM_DIGEST_LIST:
    case SWIM_DIGEST_MORE:
        on_list(swim, m, frame);
        break;
    case SWIM_DIGEST_KV:
        swim_kv_on_list(swim, m, frame);
        break;
    default:
        break;
    }
}

void swim_on_want(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame)
{
    uint64_t sids[SWIM_BIN_MAX / 8];
    uint32_t n = 0;

    for (size_t i = 0; i + 8 <= frame->n_bin && n < ARRAY_LEN(sids); i += 8) {
        sids[n++] = get_le64(frame->bin + i);
    }
    /* A datagram of ours for each of theirs and not many more: no amplifier. */
    n = m->conn == 0 && n > SWIM_DELTA_UDP_MOST ? SWIM_DELTA_UDP_MOST : n;
    swim_post_sids(swim, WORK_BRING, m, sids, n);
}
