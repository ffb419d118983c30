/* SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: the oldest job that is done is appended to the open segment and told to the
 * committer.
 *
 * What goes wrong: the disk is full. The frame's tail is cut off, the segment is closed (its frame
 * number is spent: a nonce is never used twice), the state becomes disk_full, and every frame from
 * then on is counted as lost until a new segment can be made and written, tried at most every
 * FULL_RETRY_NS. With the rule "drop oldest" room is made first; with "stop", and for files, the
 * capture ends with ERR_FULL.
 */
#include "shared/store/store_writer_state.h"

#include <string.h>
#include <sys/statvfs.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/session_text.h"

#define FULL_RETRY_NS     (200u * 1000000u)
#define FULL_MARGIN_BYTES (4u * 1024u * 1024u)
/* The last of a disk is not for packets: the catalogue has to say that it is full. */
#define FULL_FLOOR_BYTES (1024u * 1024u)
#define QUOTA_SLACK_MAX  (8u * 1024u * 1024u)

static void set_state(struct store_writer *w, enum store_state state)
{
    if (atomic_exchange(&w->state, state) != (int)state) {
        commit_state(w->commit, state);
    }
}

static void close_segment(struct store_writer *w)
{
    if (w->segment != NULL) {
        frame_pool_settle(w->pool); /* the seal goes with the segment */
        commit_close_segment(w->commit, w->segment);
        w->segment = NULL;
    }
}

/* The session's description as frame 0 of a new segment, and again when it changed. */
static int append_description(struct store_writer *w, const struct store_session *session,
                              struct err *err)
{
    struct frame_encoder *encoder = frame_encoder_new();
    char *text = session_text_write(session);
    size_t n = strlen(text);
    uint8_t *frame = x_alloc(frame_bound(n));
    struct frame_header h = {.kind = FRAME_SESSION, .number = w->segment->file.next_frame};
    struct frame_bytes bytes = {.head = frame, .body_n = n};
    uint64_t before = w->segment->file.bytes;

    bytes.head_n = frame_encode(encoder, &h, (const uint8_t *)text, n, true, w->segment->file.seal,
                                frame, &bytes.body);
    int r = segment_file_append(&w->segment->file, &bytes, err);
    atomic_fetch_add(&w->stored, w->segment->file.bytes - before);
    mem_free(frame);
    mem_free(text);
    frame_encoder_free(encoder);
    return r;
}

static uint64_t disk_free(const struct store_writer *w)
{
    struct statvfs fs;

    /* Some file systems do not know their size. */
    return statvfs(w->store->dir, &fs) == 0 && fs.f_blocks > 0 ? (uint64_t)fs.f_bavail * fs.f_frsize
                                                               : UINT64_MAX;
}

static int check_room(const struct store_writer *w, size_t n, struct err *err)
{
    return disk_free(w) >= n + FULL_FLOOR_BYTES
               ? 0
               : err_set(err, ERR_FULL, "cannot write to '%s': no space left on device",
                         w->store->dir);
}

static bool room_again(const struct store_writer *w)
{
    return disk_free(w) > FULL_MARGIN_BYTES + STORE_RESERVE_BYTES;
}

static int open_segment(struct store_writer *w, struct err *err)
{
    struct open_segment *s = x_alloc(sizeof *s);
    int r = check_room(w, SEGMENT_HEADER_BYTES, err);

    r = r < 0 ? r
              : segment_file_create(w->store, w->session.id, w->sequence + 1, w->next_packet,
                                    w->data_key, &s->file, err);

    if (r < 0) {
        mem_free(s);
        return r;
    }
    w->sequence++;
    w->segment = s;
    atomic_fetch_add(&w->stored, s->file.bytes);
    r = append_description(w, &w->session, err);
    if (r < 0) {
        segment_file_destroy(w->store, s->file.row.file, NULL);
        segment_file_close(&s->file);
        mem_free(s);
        w->segment = NULL;
        return r;
    }
    s->file.row.bytes = s->file.bytes;
    w->next_frame = s->file.next_frame;
    w->submitted_bytes = s->file.bytes;
    commit_open_segment(w->commit, s);
    return 0;
}

/* ERR_FULL that the rule lets us live with becomes the state disk_full. After any other error
 * nothing more is written, and all that is under way is counted as lost. */
static int became_full(struct store_writer *w, int code, struct err *err)
{
    close_segment(w);
    w->full = true;
    w->retry_at_ns = UINT64_MAX;
    if (code != ERR_FULL) {
        return code;
    }
    if (w->full_rule == STORE_FULL_STOP || w->may_wait) {
        set_state(w, STORE_DISK_FULL);
        err_wrap(err, "disk full: free some space or set --quota; what was captured is kept");
        return code;
    }
    w->retry_at_ns = clock_monotonic_ns() + FULL_RETRY_NS;
    set_state(w, STORE_DISK_FULL);
    return 0;
}

/* True when writing can go on in a new segment. */
static bool try_again(struct store_writer *w)
{
    uint64_t now = clock_monotonic_ns();

    if (now < w->retry_at_ns) {
        return false;
    }
    w->retry_at_ns = now + FULL_RETRY_NS;
    if (w->full_rule == STORE_FULL_DROP_OLDEST) {
        commit_make_room(w->commit, 2 * w->segment_bytes, NULL);
    }
    if (!room_again(w) || open_segment(w, NULL) < 0) {
        return false;
    }
    store_reserve_make(w->store);
    w->full = false;
    set_state(w, STORE_RUNNING);
    return true;
}

static void count_lost(struct store_writer *w, const struct frame_job *job)
{
    atomic_fetch_add(&w->lost, job->n_packets);
}

static size_t frame_bytes_of(const struct frame_job *job)
{
    return job->out_len + (job->body == NULL ? 0 : job->raw_len);
}

const uint32_t store_delay_bounds_us[STORE_DELAY_BUCKETS] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};

static void observe(struct store_writer *w, const struct frame_job *job)
{
    uint64_t delay_ns = clock_monotonic_ns() - job->sealed_ns;
    size_t i = 0;

    for (int p = 0; p < PROTOCOLS; p++) {
        atomic_fetch_add(&w->proto_packets[p], job->tally.packets[p]);
        atomic_fetch_add(&w->proto_bytes[p], job->tally.bytes[p]);
    }
    while (i < STORE_DELAY_BUCKETS && delay_ns > store_delay_bounds_us[i] * UINT64_C(1000)) {
        i++;
    }
    if (i < STORE_DELAY_BUCKETS) {
        atomic_fetch_add(&w->delays[i], 1);
    }
    atomic_fetch_add(&w->delay_sum_ns, delay_ns);
    atomic_fetch_add(&w->delay_count, 1);
}

static void record(struct store_writer *w, const struct frame_job *job, uint64_t offset)
{
    struct catalogue_frame f = {
        .number = job->number,
        .offset = offset,
        .stored_len = (uint32_t)frame_bytes_of(job),
        .raw_len = job->raw_len,
        .n_packets = job->n_packets,
        .first_number = w->next_packet,
        .packet_bytes = job->packet_bytes,
        .min_ns = job->min_ns,
        .max_ns = job->max_ns,
        .bloom = job->bloom,
        .bloom_n = job->bloom_n,
    };

    w->next_packet += job->n_packets;
    atomic_fetch_add(&w->packets, job->n_packets);
    atomic_fetch_add(&w->bytes, job->packet_bytes);
    atomic_fetch_add(&w->stored, frame_bytes_of(job));
    observe(w, job);
    commit_frame(w->commit, w->segment, &f);
}

/* What the catalogue and its log may grow by before the next look. */
static uint64_t quota_slack(const struct store_writer *w)
{
    uint64_t slack = w->quota_bytes / 32;

    return slack < QUOTA_SLACK_MAX ? slack : QUOTA_SLACK_MAX;
}

/* Measuring looks at every file, so it is done near the quota and after every few MiB; in between
 * the bytes appended are added up. */
static bool fits(struct store_writer *w, size_t n)
{
    uint64_t stored = atomic_load(&w->stored);
    uint64_t since = stored - w->disk_at_stored;
    uint64_t slack = quota_slack(w);

    if (w->disk_bytes > 0 && since < slack && w->disk_bytes + since + n + slack <= w->quota_bytes) {
        return true;
    }
    w->disk_bytes = store_disk_bytes(w->store);
    w->disk_at_stored = stored;
    return w->disk_bytes + n + slack <= w->quota_bytes;
}

/* Under a quota each frame asks for its room. When only the open segment is left to drop, it is
 * rolled. */
static int fit_quota(struct store_writer *w, size_t n, struct err *err)
{
    if (w->quota_bytes == 0 || fits(w, n)) {
        return 0;
    }
    int r = commit_make_room(w->commit, n + w->segment_bytes, err);
    w->disk_bytes = 0;
    if (r == ERR_FULL && fits(w, n)) {
        return 0;
    }
    if (r == ERR_FULL && w->segment != NULL) {
        close_segment(w);
        r = commit_make_room(w->commit, n + quota_slack(w), err);
    }
    return r;
}

/* A job whose number and seal are of a segment that is gone is made again for the new one. */
static int rehome(struct store_writer *w, struct frame_job *job, struct err *err)
{
    int r = w->segment == NULL ? open_segment(w, err) : 0;

    if (r == 0 && (job->segment != w->sequence || job->number != w->segment->file.next_frame)) {
        job->seal = w->segment->file.seal;
        job->segment = w->sequence;
        job->number = w->segment->file.next_frame;
        frame_pool_redo(w->pool, job);
        w->next_frame = w->next_frame > job->number ? w->next_frame : job->number + 1;
    }
    if (r == 0 && job->out_len == 0) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a frame of %u bytes", job->raw_len);
    }
    return r;
}

static int append_once(struct store_writer *w, struct frame_job *job, struct err *err)
{
    int r = fit_quota(w, frame_bytes_of(job), err);

    r = r < 0 ? r : rehome(w, job, err);
    if (r < 0) {
        return r;
    }
    uint64_t offset = w->segment->file.bytes;
    const struct frame_bytes bytes = {job->out, job->out_len, job->body, job->raw_len};
    r = check_room(w, frame_bytes_of(job), err);
    r = r < 0 ? r : segment_file_append(&w->segment->file, &bytes, err);
    if (r == 0) {
        record(w, job, offset);
    } else {
        close_segment(w);
    }
    return r;
}

static int append_job(struct store_writer *w, struct frame_job *job, struct err *err)
{
    if (w->full && !try_again(w)) {
        count_lost(w, job);
        return 0;
    }
    int r = append_once(w, job, err);
    if (r == ERR_FULL && w->full_rule == STORE_FULL_DROP_OLDEST &&
        commit_make_room(w->commit, 2 * w->segment_bytes, NULL) == 0) {
        r = append_once(w, job, err);
    }
    if (r == 0) {
        return 0;
    }
    count_lost(w, job);
    return became_full(w, r, err);
}

int store_writer_append_oldest(struct store_writer *w, bool wait, bool *any, struct err *err)
{
    struct frame_job *job = frame_pool_oldest(w->pool, wait);
    int r = 0;

    *any = job != NULL;
    if (job != NULL) {
        r = append_job(w, job, err);
        frame_pool_release(w->pool, job);
    }
    return r;
}

int store_writer_collect(struct store_writer *w, bool all, struct err *err)
{
    bool any = true;
    int first = 0;

    while (any) {
        int r = store_writer_append_oldest(w, all, &any, first == 0 ? err : NULL);
        first = first == 0 ? r : first;
    }
    return first < 0 ? first : commit_error(w->commit, err);
}

int store_writer_place(struct store_writer *w, uint32_t raw_len, struct err *err)
{
    size_t bound = frame_bound(raw_len);
    int r = 0;

    if (w->segment != NULL && w->submitted_bytes + bound > w->segment_bytes && w->next_frame > 1) {
        r = store_writer_collect(w, true, err);
        close_segment(w);
    }
    if (r == 0 && w->segment == NULL && !w->full) {
        r = open_segment(w, err);
        r = r < 0 ? became_full(w, r, err) : 0;
    }
    w->submitted_bytes += bound;
    return r;
}

static int describe(struct store_writer *w, const struct store_session *session, struct err *err)
{
    if (w->segment == NULL) {
        return 0;
    }
    int r = append_description(w, session, err);
    if (r < 0) {
        return became_full(w, r, err);
    }
    w->next_frame = w->segment->file.next_frame;
    return 0;
}

int store_writer_describe(struct store_writer *w, struct err *err)
{
    return describe(w, &w->session, err);
}

int store_writer_tell_clock(struct store_writer *w, const struct clock_samples *samples,
                            struct err *err)
{
    struct store_session brief = w->session;

    brief.clock = *samples;
    brief.clock_is_more = true;
    return describe(w, &brief, err);
}

void store_writer_close_segment(struct store_writer *w)
{
    close_segment(w);
}

int store_writer_try_again(struct store_writer *w)
{
    return !w->full || try_again(w);
}
