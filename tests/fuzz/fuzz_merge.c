/* SPDX-License-Identifier: Apache-2.0
 *
 * A merge of three streams, driven by the input: a byte of flags, then orders, each a byte and what
 * it needs. Whatever comes, the output is a capture file that holds every packet that was counted,
 * and a merge that was saved writes the same when it goes on.
 */
#include "shared/merge/merge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng_read.h"

#define SOURCES   3u
#define FEEDS_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum order {
    FEED,
    FEED_MORE, /* so that most orders feed */
    END,
    WATERMARK,
    CLOCK,
    NOW,
    STATISTICS,
    STEP,
    N_ORDERS,
};

struct feed {
    const uint8_t *bytes;
    size_t n;
};

struct run {
    struct merge_opts opts;
    struct merge *merge;
    struct buf out;
    struct feed feeds[SOURCES][FEEDS_MAX];
    uint64_t n_feeds[SOURCES];
    bool is_ended[SOURCES];
    struct merge_clock_sample clocks[SOURCES]; /* one each, before anything else */
    bool has_clock[SOURCES];
    bool has_told; /* statistics of the driver: not part of what is saved */
};

static struct merge *new_merge(const struct run *run)
{
    static const struct merge_who who[SOURCES] = {{"a", "1"}, {"b/\x01", "2"}, {"", ""}};
    struct merge *m = merge_new(&run->opts);

    for (uint32_t i = 0; i < SOURCES; i++) {
        uint32_t number;
        REQUIRE(merge_add(m, &who[i], &number, NULL) == 0 && number == i);
        if (run->has_clock[i]) {
            merge_add_clock(m, i, &run->clocks[i]);
        }
    }
    return m;
}

static void feed(struct run *run, uint32_t source, struct bytes_reader *in)
{
    struct err err;
    size_t n = bytes_le16(in);
    n = n > bytes_left(in) ? bytes_left(in) : n;
    const uint8_t *bytes = bytes_take(in, n);

    if (run->n_feeds[source] == FEEDS_MAX || run->is_ended[source] || bytes == NULL) {
        return;
    }
    run->feeds[source][run->n_feeds[source]++] = (struct feed){bytes, n};
    (void)merge_feed(run->merge, source, bytes, n, &err);
}

static void obey(struct run *run, struct bytes_reader *in)
{
    uint32_t order = bytes_u8(in);
    uint32_t source = order / N_ORDERS % SOURCES;
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN, .comment = "told"};
    struct merge_clock_sample sample = {0};
    struct err err;
    uint32_t waits;

    switch ((enum order)(order % N_ORDERS)) {
    case END:
        run->is_ended[source] = true;
        (void)merge_end(run->merge, source, &err);
        return;
    case WATERMARK:
        if (run->opts.hold_ns > 0) {
            merge_watermark(run->merge, source, bytes_le64(in));
        }
        return;
    case CLOCK:
        sample.time_ns = bytes_le64(in);
        sample.offset_ns = (int64_t)bytes_le64(in);
        sample.bound_ns = bytes_le32(in);
        sample.is_step = order >= 128;
        if (run->opts.hold_ns > 0 || run->n_feeds[source] == 0) {
            merge_add_clock(run->merge, source, &sample);
            run->has_told = run->has_told || run->opts.hold_ns > 0 || run->has_clock[source];
            run->clocks[source] = sample;
            run->has_clock[source] = true;
        }
        return;
    case NOW:
        merge_now(run->merge, bytes_le64(in));
        return;
    case STATISTICS:
        told.numbers.time_ns = bytes_le64(in);
        merge_add_statistics(run->merge, source, bytes_u8(in), &told);
        run->has_told = true;
        return;
    case STEP:
        (void)merge_step(run->merge, &run->out, run->out.len + 1 + 256 * (size_t)bytes_u8(in),
                         &waits);
        return;
    case FEED:
    case FEED_MORE:
    case N_ORDERS:
        break;
    }
    feed(run, source, in);
}

static uint64_t count_packets(const struct buf *out)
{
    struct bytes_reader in = bytes_reader(out->data, out->len);
    struct pcapng_reader reader;
    struct packet_view view;
    struct err err;
    uint64_t n = 0;
    int rc;

    pcapng_reader_init(&reader);
    reader.max_ifaces = MERGE_OUT_IFACES_MAX;
    while ((rc = pcapng_reader_next(&reader, &in, &view, &err)) == 1) {
        n++;
    }
    REQUIRE(rc == 0 && bytes_left(&in) == 0);
    pcapng_reader_deinit(&reader);
    return n;
}

static void finish(struct run *run, struct merge *m, struct buf *out)
{
    uint32_t source;
    struct err err;

    for (uint32_t i = 0; i < SOURCES; i++) {
        (void)merge_end(m, i, &err);
    }
    REQUIRE(merge_step(m, out, SIZE_MAX, &source) == MERGE_DONE);
    merge_write_statistics(m, out);
    if (!run->opts.is_classic) {
        uint64_t packets = 0;
        for (uint32_t i = 0; i < SOURCES; i++) {
            packets += merge_told(m, i).packets;
        }
        REQUIRE(count_packets(out) == packets);
    }
}

/* From the state on another merge writes the rest. */
static void go_on(struct run *run, const struct buf *state, const uint64_t *pieces, struct buf *out)
{
    struct merge *m = new_merge(run);
    struct err err;

    REQUIRE(merge_load(m, state->data, state->len, &err) == 0);
    for (uint32_t i = 0; i < SOURCES; i++) {
        for (uint64_t k = pieces[i]; k < run->n_feeds[i]; k++) {
            (void)merge_feed(m, i, run->feeds[i][k].bytes, run->feeds[i][k].n, &err);
        }
    }
    finish(run, m, out);
    merge_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct run run = {0};
    struct buf state = {0};
    struct buf rest = {0};
    uint64_t pieces[SOURCES];
    uint8_t flags = bytes_u8(&in);

    run.opts = (struct merge_opts){.application = "fuzz",
                                   .comment = "merged",
                                   .is_classic = (flags & 1) != 0,
                                   .hold_ns = (flags & 2) != 0 ? 500000000 : 0};
    run.merge = new_merge(&run);
    while (bytes_left(&in) > 0 && !in.failed) {
        obey(&run, &in);
    }
    bool is_saved = !run.has_told && merge_save(run.merge, &state, pieces);
    if (is_saved) {
        buf_append(&rest, run.out.data, run.out.len);
    }
    finish(&run, run.merge, &run.out);
    if (is_saved) {
        go_on(&run, &state, pieces, &rest);
        REQUIRE(rest.len == run.out.len && memcmp(rest.data, run.out.data, rest.len) == 0);
    }
    merge_free(run.merge);
    buf_deinit(&run.out);
    buf_deinit(&state);
    buf_deinit(&rest);
    return 0;
}
