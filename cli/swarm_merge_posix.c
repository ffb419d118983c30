/* SPDX-License-Identifier: Apache-2.0
 *
 * An interface of the view is a source of the merge. What comes is fed at once and goes out with
 * the next tick; when a source holds all that it may, whoever brings more waits.
 */
#include "cli/swarm_merge_posix.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/merge/merge.h"

#define BATCH_BYTES (256u * 1024u)
#define FULL_MS     5

struct clock {
    char node[SWARM_NAME_MAX];
    char id[MERGE_ID_MAX];
    struct merge_clock_sample sample;
};

struct source {
    char node[SWARM_NAME_MAX];
    uint32_t number; /* in the merge; UINT32_MAX: there was no room */
    struct merge_clock_sample clock;
    bool has_clock;
};

struct swarm_merge {
    struct consumer consumer;
    struct swarm_sink *sink; /* owned */
    struct merge *merge;
    char node[SWARM_NAME_MAX];
    struct source *sources; /* owned; of each interface */
    uint32_t n_sources;
    struct buf feed;
    struct buf out;

    pthread_mutex_t mutex; /* guards what follows */
    struct clock *clocks;  /* owned */
    uint32_t n_clocks;
    bool is_news;
    int64_t ahead_ns; /* 0 = not known */
};

static struct swarm_merge *merge_of(struct consumer *consumer)
{
    return container_of(consumer, struct swarm_merge, consumer);
}

/* ---- clocks ---- */

void swarm_merge_clock(struct consumer *consumer, const char *node, const char *id,
                       const struct merge_clock_sample *sample)
{
    struct swarm_merge *m = merge_of(consumer);
    uint32_t i = 0;

    pthread_mutex_lock(&m->mutex);
    while (i < m->n_clocks && strcmp(m->clocks[i].node, node) != 0) {
        i++;
    }
    if (i == m->n_clocks && i < SWARM_CLOCKS_MAX) {
        m->clocks = x_realloc(m->clocks, (i + 1) * sizeof *m->clocks);
        m->n_clocks++;
        snprintf(m->clocks[i].node, sizeof m->clocks[i].node, "%s", node);
        snprintf(m->clocks[i].id, sizeof m->clocks[i].id, "%s", id);
    }
    if (i < m->n_clocks) {
        m->clocks[i].sample = *sample;
        m->is_news = true;
    }
    pthread_mutex_unlock(&m->mutex);
}

void swarm_merge_time(struct consumer *consumer, int64_t ahead_ns)
{
    struct swarm_merge *m = merge_of(consumer);

    pthread_mutex_lock(&m->mutex);
    m->ahead_ns = ahead_ns;
    pthread_mutex_unlock(&m->mutex);
}

/* With the lock. NULL: nothing is known of it. */
static const struct clock *find_clock(const struct swarm_merge *m, const char *node)
{
    for (uint32_t i = 0; i < m->n_clocks; i++) {
        if (strcmp(m->clocks[i].node, node) == 0) {
            return &m->clocks[i];
        }
    }
    return NULL;
}

/* With the lock. The first sample holds from the beginning, later ones from now on. */
static void take_clock(struct swarm_merge *m, struct source *source, uint64_t now_ns)
{
    const struct clock *clock = find_clock(m, source->node);
    struct merge_clock_sample sample = {.bound_ns = MERGE_BOUND_UNKNOWN, .is_step = true};

    if (source->number == UINT32_MAX) {
        return;
    }
    if (clock != NULL) {
        sample = clock->sample;
        sample.is_step = true;
    }
    sample.time_ns = source->has_clock ? now_ns + (uint64_t)sample.offset_ns : 0;
    if (!source->has_clock || sample.offset_ns != source->clock.offset_ns ||
        sample.bound_ns / 2 > source->clock.bound_ns) {
        merge_add_clock(m->merge, source->number, &sample);
        source->clock = sample;
        source->has_clock = true;
    }
}

static void move_time(struct swarm_merge *m)
{
    pthread_mutex_lock(&m->mutex);
    if (m->ahead_ns != 0) {
        uint64_t now_ns = clock_monotonic_ns() + (uint64_t)m->ahead_ns;
        merge_now(m->merge, now_ns);
        for (uint32_t i = 0; m->is_news && i < m->n_sources; i++) {
            take_clock(m, &m->sources[i], now_ns);
        }
        m->is_news = false;
    }
    pthread_mutex_unlock(&m->mutex);
}

/* ---- out ---- */

static int put(struct swarm_merge *m, struct err *err)
{
    int code = m->out.len == 0 ? 0 : m->sink->put(m->sink, m->out.data, m->out.len, err);

    buf_reset(&m->out);
    return code;
}

static int write_merged(struct swarm_merge *m, struct err *err)
{
    enum merge_state state = MERGE_MORE;
    uint32_t source;
    int code = 0;

    while (code == 0 && state == MERGE_MORE) {
        state = merge_step(m->merge, &m->out, BATCH_BYTES, &source);
        code = put(m, err);
    }
    return code;
}

static int on_tick(struct consumer *consumer, uint64_t now_ns, struct err *err)
{
    struct swarm_merge *m = merge_of(consumer);

    (void)now_ns;
    move_time(m);
    int code = write_merged(m, err);
    return code == 0 ? m->sink->check(m->sink, err) : code;
}

/* ---- in ---- */

static void add_source(struct swarm_merge *m, struct source *source, const struct iface *iface)
{
    static const struct pcapng_section section = {0};
    struct iface own = *iface;
    const char *slash = strchr(iface->name, '/');

    *source = (struct source){.number = UINT32_MAX};
    if (slash == NULL) {
        snprintf(source->node, sizeof source->node, "%s", m->node);
    } else {
        snprintf(source->node, sizeof source->node, "%.*s", (int)(slash - iface->name),
                 iface->name);
        snprintf(own.name, sizeof own.name, "%s", slash + 1);
    }
    pthread_mutex_lock(&m->mutex);
    const struct clock *clock = find_clock(m, source->node);
    const struct merge_who who = {source->node, clock == NULL ? "" : clock->id};
    if (merge_add(m->merge, &who, &source->number, NULL) == 0) {
        take_clock(m, source, 0);
        buf_reset(&m->feed);
        pcapng_write_section(&m->feed, &section);
        pcapng_write_interface(&m->feed, &own, NULL);
        (void)merge_feed(m->merge, source->number, m->feed.data, m->feed.len, NULL);
    }
    pthread_mutex_unlock(&m->mutex);
}

static int on_ifaces(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                     struct err *err)
{
    struct swarm_merge *m = merge_of(consumer);

    (void)err;
    m->sources = x_realloc(m->sources, (n == 0 ? 1 : n) * sizeof *m->sources);
    for (; m->n_sources < n; m->n_sources++) {
        add_source(m, &m->sources[m->n_sources], &ifaces[m->n_sources]);
    }
    return 0;
}

/* Nobody is waited for longer than hold_ns, so there will be room. */
static int wait_for_room(struct swarm_merge *m, uint32_t source, struct err *err)
{
    int code = 0;

    while (code == 0 && !merge_wants(m->merge, source) && !merge_told(m->merge, source).is_ended) {
        move_time(m);
        code = write_merged(m, err);
        if (code == 0 && !merge_wants(m->merge, source)) {
            (void)poll(NULL, 0, FULL_MS);
        }
    }
    return code;
}

static int feed_run(struct swarm_merge *m, const uint8_t *at, size_t n, uint32_t iface,
                    struct err *err)
{
    uint32_t source = iface < m->n_sources ? m->sources[iface].number : UINT32_MAX;

    if (source == UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "more interfaces than can be merged");
    }
    buf_reset(&m->feed);
    buf_append(&m->feed, at, n);
    for (uint8_t *p = m->feed.data; p < m->feed.data + n; p += get_le32(p + 4)) {
        put_le32(p + 8, 0); /* its only one */
    }
    int code = wait_for_room(m, source, err);
    return code < 0 ? code : merge_feed(m->merge, source, m->feed.data, n, err);
}

static int on_block(struct consumer *consumer, struct block *block,
                    const struct consumer_load *load, struct err *err)
{
    struct swarm_merge *m = merge_of(consumer);
    const uint8_t *at = block->data;
    const uint8_t *end = block->data + block->len;
    int code = 0;

    (void)load;
    while (code == 0 && at < end) {
        uint32_t iface = get_le32(at + 8);
        const uint8_t *next = at;
        while (next < end && get_le32(next + 8) == iface) {
            next += get_le32(next + 4);
        }
        code = feed_run(m, at, (size_t)(next - at), iface, err);
        at = next;
    }
    return code;
}

int swarm_merge_statistics(struct consumer *consumer, uint32_t iface,
                           const struct pcapng_statistics *statistics, const char *comment,
                           struct err *err)
{
    struct swarm_merge *m = merge_of(consumer);
    struct pcapng_told_statistics told = {.numbers = *statistics};

    (void)err;
    snprintf(told.comment, sizeof told.comment, "%s", comment == NULL ? "" : comment);
    if (iface < m->n_sources && m->sources[iface].number != UINT32_MAX) {
        merge_add_statistics(m->merge, m->sources[iface].number, 0, &told);
    }
    return 0;
}

static int on_finish(struct consumer *consumer, const struct ledger *ledgers, uint32_t n,
                     const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    struct swarm_merge *m = merge_of(consumer);

    (void)ledgers;
    (void)n;
    (void)total;
    (void)ended_ns;
    for (uint32_t i = 0; i < merge_n_sources(m->merge); i++) {
        (void)merge_end(m->merge, i, NULL);
    }
    int code = write_merged(m, err);
    if (code == 0) {
        merge_write_statistics(m->merge, &m->out);
        code = put(m, err);
    }
    return code;
}

static const struct consumer_ops merge_ops = {
    .name = "merge",
    .begin = on_ifaces,
    .ifaces = on_ifaces,
    .block = on_block,
    .tick = on_tick,
    .finish = on_finish,
};

struct consumer *swarm_merge_new(const struct swarm_merge_opts *opts)
{
    const struct merge_opts merge = {.application = opts->application, .hold_ns = opts->hold_ns};
    struct swarm_merge *m = x_alloc(sizeof *m);

    *m = (struct swarm_merge){
        .consumer.ops = &merge_ops, .sink = opts->sink, .merge = merge_new(&merge)};
    snprintf(m->node, sizeof m->node, "%s", opts->node);
    pthread_mutex_init(&m->mutex, NULL);
    return &m->consumer;
}

void swarm_merge_free(struct consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    struct swarm_merge *m = merge_of(consumer);
    m->sink->free(m->sink);
    merge_free(m->merge);
    pthread_mutex_destroy(&m->mutex);
    buf_deinit(&m->feed);
    buf_deinit(&m->out);
    mem_free(m->sources);
    mem_free(m->clocks);
    mem_free(m);
}
