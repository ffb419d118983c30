/* SPDX-License-Identifier: Apache-2.0
 *
 * A block arrives; it is held until about a frame's worth or GATHER_NS came together; the run
 * becomes a job of the frame pool. Appending what the pool made is the other half,
 * store_append_posix.c.
 */
#include "shared/store/store_writer.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/store_writer_state.h"

#define GATHER_NS         (400u * 1000000u)
#define SEGMENT_BYTES     (128u * 1024u * 1024u)
#define SEGMENT_BYTES_MIN (1024u * 1024u)
/* A quota holds at least this many segments. */
#define QUOTA_SEGMENTS 16u
#define WORKERS_MAX    4

static struct store_writer *writer_of(struct consumer *c)
{
    return container_of(c, struct store_writer, base);
}

/* A slot for the next run: when the ring is full the oldest job is waited for. */
static int next_job(struct store_writer *w, struct frame_job **out, struct err *err)
{
    struct frame_job *job = frame_pool_next(w->pool);
    int r = 0;

    if (job == NULL) {
        bool any = false;
        r = store_writer_append_oldest(w, true, &any, err);
        job = frame_pool_next(w->pool);
    }
    REQUIRE(job != NULL);
    job->kind = FRAME_PACKETS;
    job->raw_len = 0;
    job->n_packets = 0;
    job->packet_bytes = 0;
    job->min_ns = UINT64_MAX;
    job->max_ns = 0;
    *out = job;
    return r;
}

static int submit(struct store_writer *w, bool compress, struct err *err)
{
    struct frame_job *job = w->gathering;

    if (job == NULL) {
        return 0;
    }
    w->gathering = NULL;
    int r = store_writer_place(w, job->raw_len, err);
    job->compress = compress;
    job->number = w->next_frame++;
    job->segment = w->segment == NULL ? 0 : w->sequence;
    job->seal = w->segment == NULL ? NULL : w->segment->file.seal;
    frame_pool_start(w->pool, job);
    return r < 0 ? r : store_writer_collect(w, false, err);
}

static bool wants_compression(const struct store_writer *w, const struct consumer_load *load)
{
    switch (w->compression) {
    case STORE_COMPRESS_OFF:
        return false;
    case STORE_COMPRESS_ON:
        return true;
    default:
        return load->may_wait || load->queued * 4 <= load->limit;
    }
}

static void add_counts(struct frame_job *job, const struct block *block)
{
    job->n_packets += block->n_packets;
    job->packet_bytes += block->packet_bytes;
    job->min_ns = block->min_ns < job->min_ns ? block->min_ns : job->min_ns;
    job->max_ns = block->max_ns > job->max_ns ? block->max_ns : job->max_ns;
}

/* One block alone is used where it lies; several are copied together. */
static void add_block(struct frame_job *job, struct block *block)
{
    if (job->raw_len == 0) {
        job->sealed_ns = block->sealed_ns != 0 ? block->sealed_ns : clock_monotonic_ns();
        job->block = block_ref(block);
        job->raw = block->data;
    } else {
        if (job->gathered == NULL) {
            job->gathered = x_alloc(FRAME_RAW_BYTES);
        }
        if (job->block != NULL) {
            memcpy(job->gathered, job->raw, job->raw_len);
            block_unref(job->block);
            job->block = NULL;
            job->raw = job->gathered;
        }
        memcpy(job->gathered + job->raw_len, block->data, block->len);
    }
    job->raw_len += block->len;
    add_counts(job, block);
}

static int on_block(struct consumer *c, struct block *block, const struct consumer_load *load,
                    struct err *err)
{
    struct store_writer *w = writer_of(c);
    bool compress = wants_compression(w, load);
    int r = 0;

    w->may_wait = load->may_wait;
    if (block->len == 0) {
        return 0;
    }
    if (w->gathering != NULL && w->gathering->raw_len + block->len > FRAME_RAW_BYTES) {
        r = submit(w, compress, err);
    }
    if (r == 0 && w->gathering == NULL) {
        struct frame_job *job = NULL;
        r = next_job(w, &job, err);
        w->gathering = r == 0 ? job : NULL;
        w->gathering_since_ns = clock_monotonic_ns();
    }
    if (r < 0) {
        atomic_fetch_add(&w->lost, block->n_packets);
        return r;
    }
    REQUIRE(w->gathering != NULL);
    add_block(w->gathering, block);
    if (w->gathering->raw_len >= FRAME_RAW_BYTES / 8 * 7) {
        r = submit(w, compress, err);
    }
    return r;
}

/* No packets in it: the catalogue knows by it where the segment ends. */
static void enter_description(struct store_writer *w)
{
    if (w->segment != NULL) {
        const struct catalogue_frame f = {.number = w->segment->file.next_frame - 1,
                                          .offset = w->segment->file.bytes,
                                          .first_number = w->next_packet,
                                          .min_ns = UINT64_MAX};
        commit_frame(w->commit, w->segment, &f);
    }
}

/* What is new of the clock; true when anything is. */
static bool look_at_clock(struct store_writer *w, bool is_last, struct clock_samples *fresh)
{
    struct clock_sample samples[STORE_CLOCK_MOST];
    uint32_t n = w->clock == NULL ? 0 : w->clock(w->clock_arg, is_last, samples);

    for (uint32_t i = 0; i < n; i++) {
        clock_samples_add(fresh, &samples[i]);
        clock_samples_add(&w->session.clock, &samples[i]);
    }
    if (n > 0) {
        commit_clock(w->commit, &w->session.clock);
    }
    return n > 0;
}

/* Frames have their numbers before they are appended, so all of them go first. */
static int follow_clock(struct store_writer *w, struct err *err)
{
    struct clock_samples fresh = {0};
    int r = 0;

    if (look_at_clock(w, false, &fresh) && w->segment != NULL) {
        r = submit(w, w->compression != STORE_COMPRESS_OFF, err);
        int rest = store_writer_collect(w, true, r < 0 ? NULL : err);
        r = r < 0 ? r : rest;
        r = r < 0 ? r : store_writer_tell_clock(w, &fresh, err);
        enter_description(w);
    }
    clock_samples_deinit(&fresh);
    return r;
}

static int on_tick(struct consumer *c, uint64_t now_ns, struct err *err)
{
    struct store_writer *w = writer_of(c);
    int r = 0;

    if (w->gathering != NULL && now_ns - w->gathering_since_ns >= GATHER_NS) {
        r = submit(w, w->compression != STORE_COMPRESS_OFF, err);
    }
    store_writer_try_again(w);
    r = r < 0 ? r : store_writer_collect(w, false, err);
    return r < 0 ? r : follow_clock(w, err);
}

static void take_ifaces(struct store_writer *w, const struct iface *ifaces, uint32_t n)
{
    uint32_t known = w->session.n_ifaces;

    REQUIRE(n <= IFACES_MAX && n >= known);
    w->session.ifaces = x_realloc(w->session.ifaces, n * sizeof *ifaces);
    memcpy(w->session.ifaces, ifaces, n * sizeof *ifaces);
    w->session.n_ifaces = n;
    for (uint32_t i = 0; i < n; i++) {
        w->link_types[i] = ifaces[i].link_type;
    }
    commit_ifaces(w->commit, ifaces, known, n);
}

/* Packets of before have the numbers of these interfaces. */
static int check_ifaces(const struct store_writer *w, const struct iface *ifaces, uint32_t n,
                        struct err *err)
{
    bool same = n >= w->session.n_ifaces;

    for (uint32_t i = 0; same && i < w->session.n_ifaces; i++) {
        same = strcmp(w->session.ifaces[i].name, ifaces[i].name) == 0 &&
               w->session.ifaces[i].link_type == ifaces[i].link_type;
    }
    return same ? 0
                : err_set(err, ERR_EXISTS,
                          "session %s cannot go on: it has other interfaces than these",
                          w->session.id);
}

static int on_begin(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    struct store_writer *w = writer_of(c);

    if (check_ifaces(w, ifaces, n, err) < 0) {
        return ERR_EXISTS;
    }
    struct clock_samples fresh = {0};

    take_ifaces(w, ifaces, n);
    (void)look_at_clock(w, false, &fresh);
    clock_samples_deinit(&fresh);
    return store_writer_place(w, 0, err);
}

/* Everything before is appended first, so that the description stands before the packets that need
 * it. */
static int on_ifaces(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    struct store_writer *w = writer_of(c);
    int r = submit(w, w->compression != STORE_COMPRESS_OFF, err);
    int rest = store_writer_collect(w, true, r < 0 ? NULL : err);

    r = r < 0 ? r : rest;
    take_ifaces(w, ifaces, n);
    return r < 0 ? r : store_writer_describe(w, err);
}

static void add_loss(struct ledger *to, const struct ledger *more)
{
    to->captured += more->captured;
    to->bytes += more->bytes;
    to->limit += more->limit;
    to->received = ledger_add(to->received, more->received);
    to->kernel = ledger_add(to->kernel, more->kernel);
    to->interface = ledger_add(to->interface, more->interface);
    to->store = ledger_add(to->store, more->store);
}

static int on_finish(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                     const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    struct store_writer *w = writer_of(c);
    int r = submit(w, w->compression != STORE_COMPRESS_OFF, err);
    int rest = store_writer_collect(w, true, r < 0 ? NULL : err);

    struct clock_samples fresh = {0};

    (void)ledgers;
    (void)n;
    r = r < 0 ? r : rest;
    (void)look_at_clock(w, true, &fresh);
    clock_samples_deinit(&fresh);
    w->finished = true;
    w->session.ended_ns = ended_ns;
    w->session.loss = *total;
    if (w->resumed) {
        add_loss(&w->session.loss, &w->loss_before);
    }
    w->session.loss.store = ledger_add(w->session.loss.store, atomic_load(&w->lost));
    enum store_state state = (enum store_state)atomic_load(&w->state);
    w->session.state = state == STORE_DISK_FULL ? STORE_DISK_FULL : STORE_COMPLETE;
    if (store_writer_describe(w, NULL) == 0) { /* for the day that the catalogue is lost */
        enter_description(w);
    }
    store_writer_close_segment(w);
    int done = commit_finish(w->commit, &w->session, err);
    return r < 0 ? r : done;
}

static uint64_t on_lost(struct consumer *c)
{
    return atomic_load(&writer_of(c)->lost);
}

static const struct consumer_ops ops = {
    .name = "store",
    .begin = on_begin,
    .ifaces = on_ifaces,
    .block = on_block,
    .tick = on_tick,
    .finish = on_finish,
    .lost = on_lost,
};

static void describe(struct store_writer *w, const struct store_session_spec *spec)
{
    struct store_session *s = &w->session;
    uint8_t random[ID_RANDOM_BYTES];

    seal_random(random, sizeof random);
    struct id id = id_make(clock_wall_ns() / 1000000u, random);
    id_format(&id, s->id);
    snprintf(s->name, sizeof s->name, "%s", spec->name == NULL ? "" : spec->name);
    snprintf(s->node, sizeof s->node, "%s", spec->node == NULL ? "" : spec->node);
    snprintf(s->filter, sizeof s->filter, "%s", spec->filter == NULL ? "" : spec->filter);
    snprintf(s->excluded, sizeof s->excluded, "%s", spec->excluded == NULL ? "" : spec->excluded);
    snprintf(s->tags, sizeof s->tags, "%s", spec->tags == NULL ? "{}" : spec->tags);
    s->started_ns = spec->started_ns;
    s->state = STORE_RUNNING;
    s->loss = (struct ledger){
        .received = LEDGER_UNKNOWN, .kernel = LEDGER_UNKNOWN, .interface = LEDGER_UNKNOWN};
}

/* A copy of the session, with what it owns. */
static void take_session(struct store_writer *w, const struct store_session *found)
{
    struct store_session *s = &w->session;

    *s = *found;
    s->ifaces = x_alloc((found->n_ifaces + 1) * sizeof *s->ifaces);
    if (found->n_ifaces > 0) {
        memcpy(s->ifaces, found->ifaces, found->n_ifaces * sizeof *s->ifaces);
    }
    s->clock = (struct clock_samples){0};
    clock_samples_join(&s->clock, &found->clock);
    w->resumed = true;
    w->state_before = found->state;
    w->ended_before_ns = found->ended_ns;
    w->loss_before = found->loss;
    s->state = STORE_RUNNING;
    s->ended_ns = 0;
    atomic_store(&w->packets, found->packets);
    atomic_store(&w->bytes, found->bytes);
    atomic_store(&w->stored, found->stored_bytes);
}

/* Where the next segment goes on. */
static int find_place(struct store_writer *w, struct err *err)
{
    struct catalogue_segment *segments = NULL;
    size_t n = 0;
    int r = catalogue_segments(&w->store->catalogue, w->session.row, &segments, &n, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        uint64_t behind = segments[i].first_number + segments[i].packets;
        w->sequence = segments[i].sequence > w->sequence ? segments[i].sequence : w->sequence;
        w->next_packet = behind > w->next_packet ? behind : w->next_packet;
    }
    mem_free(segments);
    return r;
}

static int resume(struct store_writer *w, const struct store_session_spec *spec, struct err *err)
{
    struct store_session *found = NULL;
    int r = store_session_find(w->store, spec->resume, &found, err);

    if (r < 0) {
        return r;
    }
    if (found->state == STORE_RUNNING) {
        r = err_set(err, ERR_IN_USE, "session %s is written already", found->id);
    } else {
        take_session(w, found);
        r = find_place(w, err);
    }
    store_sessions_free(found, 1);
    return r < 0 ? r : commit_resume(w->store, &w->session, spec->quota_bytes, &w->commit, err);
}

/* Where the oldest segments give way, one is a small part of what the store may hold. */
static uint64_t segment_size(const struct store *store, const struct store_session_spec *spec)
{
    uint64_t size = SEGMENT_BYTES;
    uint64_t holds = spec->quota_bytes > 0 ? spec->quota_bytes : UINT64_MAX;
    struct statvfs fs;

    if (spec->full_rule == STORE_FULL_DROP_OLDEST && statvfs(store->dir, &fs) == 0 &&
        fs.f_blocks > 0 && (uint64_t)fs.f_blocks * fs.f_frsize < holds) {
        holds = (uint64_t)fs.f_blocks * fs.f_frsize;
    }
    if (holds / QUOTA_SEGMENTS < size) {
        size = holds / QUOTA_SEGMENTS;
    }
    return size < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : size;
}

int store_writer_new(struct store *store, const struct store_session_spec *spec,
                     struct consumer **out, char *id, struct err *err)
{
    if (spec->quota_bytes > 0 && spec->quota_bytes < STORE_QUOTA_MIN) {
        return err_set(err, ERR_USAGE, "a quota is at least %u bytes (8 MiB)", STORE_QUOTA_MIN);
    }
    struct store_writer *w = x_alloc(sizeof *w);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    w->base.ops = &ops;
    w->store = store;
    w->compression = spec->compression;
    w->full_rule = spec->full_rule;
    w->quota_bytes = spec->quota_bytes;
    w->clock = spec->clock;
    w->clock_arg = spec->clock_arg;
    w->segment_bytes = segment_size(store, spec);
    w->next_packet = 1;
    atomic_init(&w->state, STORE_RUNNING);
    store_reserve_hold(store);
    int r;
    if (spec->resume != NULL) {
        r = resume(w, spec, err);
    } else {
        describe(w, spec);
        r = commit_new(store, &w->session, spec->quota_bytes, &w->commit, err);
    }
    if (r < 0) {
        store_reserve_release(store);
        store_session_deinit(&w->session);
        mem_free(w);
        return r;
    }
    if (store->encrypted) {
        w->data_key = seal_alloc(SEAL_KEY_BYTES);
        seal_random(w->data_key, SEAL_KEY_BYTES);
    }
    w->link_types = x_alloc(IFACES_MAX * sizeof *w->link_types);
    w->pool = frame_pool_new(cores < 1             ? 1
                             : cores > WORKERS_MAX ? WORKERS_MAX
                                                   : (uint32_t)cores,
                             w->link_types);
    memcpy(id, w->session.id, STORE_ID_TEXT);
    *out = &w->base;
    return 0;
}

/* A capture that failed to start leaves no session behind. */
void store_writer_free(struct consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    struct store_writer *w = writer_of(consumer);
    bool begun_for_nothing = !w->finished && !w->resumed && atomic_load(&w->packets) == 0;
    char file[SEGMENT_FILE_MAX] = "?";
    if (begun_for_nothing && w->segment != NULL) {
        memcpy(file, w->segment->file.row.file, sizeof file);
    }
    frame_pool_free(w->pool);
    commit_free(w->commit);
    if (w->resumed && !w->finished) { /* as it was */
        w->session.state = w->state_before;
        w->session.ended_ns = w->ended_before_ns;
        (void)catalogue_update_session(&w->store->catalogue, &w->session, NULL);
    }
    if (begun_for_nothing) {
        store_delete_session(w->store, &w->session, NULL);
        segment_file_destroy(w->store, file, NULL);
    }
    seal_free(w->data_key);
    mem_free(w->link_types);
    store_session_deinit(&w->session);
    store_reserve_release(w->store);
    mem_free(w);
}

void store_writer_stats(struct consumer *consumer, struct store_writer_stats *out)
{
    struct store_writer *w = writer_of(consumer);

    *out = (struct store_writer_stats){
        .packets = atomic_load(&w->packets),
        .bytes = atomic_load(&w->bytes),
        .stored_bytes = atomic_load(&w->stored),
        .durable = commit_durable(w->commit),
        .lost = atomic_load(&w->lost),
        .state = (enum store_state)atomic_load(&w->state),
        .delays = {.count = atomic_load(&w->delay_count), .sum_ns = atomic_load(&w->delay_sum_ns)},
    };
    for (int i = 0; i < PROTOCOLS; i++) {
        out->protocols.packets[i] = atomic_load(&w->proto_packets[i]);
        out->protocols.bytes[i] = atomic_load(&w->proto_bytes[i]);
    }
    for (int i = 0; i < STORE_DELAY_BUCKETS; i++) {
        out->delays.buckets[i] = atomic_load(&w->delays[i]);
    }
}
