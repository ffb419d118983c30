/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams for tests of a merge: capture files of random packets, each of which carries who it is
 * from, and what comes out of a merge, read again.
 */
#pragma once

#include "shared/merge/merge.h"
#include "shared/packet/pcapng_read.h"
#include "tests/support/capture_bytes.h"
#include "tests/support/splitmix.h"

#define STREAM_START_NS 1700000000000000000ULL

/* A packet: at first source and number, then the time that it was stamped with. */
#define STREAM_PACKET_MIN 24u

struct stream_packet {
    uint64_t source;
    uint64_t number; /* in its source, from 1 */
    uint64_t stamped_ns;
    uint64_t time_ns; /* in the output */
    uint32_t iface;   /* in the output */
    bool is_marked;
};

static inline void stream_begin(struct capture_bytes *cb, uint32_t n_ifaces)
{
    cb_section(cb);
    for (uint32_t i = 0; i < n_ifaces; i++) {
        cb_interface(cb, LINK_ETHERNET, 65535, i == 0 ? "eth0" : "eth1", 9);
    }
}

static inline void stream_packet(struct capture_bytes *cb, uint64_t source, uint64_t number,
                                 uint64_t time_ns, uint32_t iface, uint32_t len)
{
    uint8_t bytes[2048] = {0};

    len = len < STREAM_PACKET_MIN ? STREAM_PACKET_MIN : len;
    put_le64(bytes, source);
    put_le64(bytes + 8, number);
    put_le64(bytes + 16, time_ns);
    cb_begin(cb, EPB_TYPE);
    cb_u32(cb, iface);
    cb_u32(cb, (uint32_t)(time_ns >> 32));
    cb_u32(cb, (uint32_t)time_ns);
    cb_u32(cb, len);
    cb_u32(cb, len);
    cb_padded(cb, bytes, len);
    cb_end(cb);
}

/* n packets of a source that runs `step` apart on average and is out of order by up to `disorder`.
 */
static inline void stream_random(struct capture_bytes *cb, uint64_t *seed, uint64_t source,
                                 uint32_t n, uint64_t step_ns, uint64_t disorder_ns)
{
    uint64_t time_ns = STREAM_START_NS + splitmix_u64(seed) % step_ns;

    stream_begin(cb, source % 2 == 0 ? 2 : 1);
    for (uint32_t i = 1; i <= n; i++) {
        if (i == n / 2 && source % 2 == 1) { /* another one in the middle */
            cb_interface(cb, LINK_ETHERNET, 65535, "eth1", 9);
        }
        bool has_both = source % 2 == 0 || i >= n / 2;
        time_ns += splitmix_u64(seed) % (2 * step_ns);
        uint64_t back_ns = disorder_ns == 0 ? 0 : splitmix_u64(seed) % disorder_ns;
        stream_packet(cb, source, i, time_ns - back_ns,
                      has_both ? (uint32_t)(splitmix_u64(seed) % 2) : 0,
                      (uint32_t)(splitmix_u64(seed) % 1500));
    }
}

static inline bool has_comment(const struct packet_view *view)
{
    return view->options_len > 0 && get_le16(view->options) == OPT_COMMENT;
}

/* The packets of an output, in its order; their number. Not a file: REQUIRE. */
static inline uint32_t read_output(const struct buf *out, struct stream_packet *packets,
                                   uint32_t max, struct pcapng_reader *reader)
{
    struct bytes_reader in = bytes_reader(out->data, out->len);
    struct packet_view view;
    struct err err;
    uint32_t n = 0;
    int rc;

    pcapng_reader_init(reader);
    reader->max_ifaces = MERGE_OUT_IFACES_MAX;
    while ((rc = pcapng_reader_next(reader, &in, &view, &err)) == 1) {
        REQUIRE(n < max);
        packets[n++] = (struct stream_packet){
            .source = view.caplen < STREAM_PACKET_MIN ? UINT64_MAX : get_le64(view.data),
            .number = view.caplen < STREAM_PACKET_MIN ? 0 : get_le64(view.data + 8),
            .stamped_ns = view.caplen < STREAM_PACKET_MIN ? 0 : get_le64(view.data + 16),
            .time_ns = view.time_ns,
            .iface = view.iface,
            .is_marked = has_comment(&view)};
    }
    REQUIRE(rc == 0 && bytes_left(&in) == 0);
    return n;
}

/* Feeds a merge from whole streams, in random pieces and in a random order, until it is done. Each
 * feed is noted, so that a test can go on from any. */
struct stream_feeder {
    const struct buf *streams;
    uint32_t n;
    size_t *at;
    uint64_t *seed;
    size_t piece_max;
    size_t most_held;
    /* Where each feed of each source began: begins[source][feed]. NULL: not noted. */
    size_t *begins;
    size_t *n_feeds;
    size_t max_feeds;
};

static inline void feed_one(struct merge *m, struct stream_feeder *f, uint32_t source)
{
    size_t left = f->streams[source].len - f->at[source];
    size_t n = 1 + splitmix_u64(f->seed) % f->piece_max;
    struct err err;

    n = n > left ? left : n;
    if (n == 0) {
        (void)merge_end(m, source, &err);
        return;
    }
    if (f->begins != NULL) {
        REQUIRE(f->n_feeds[source] < f->max_feeds);
        f->begins[source * f->max_feeds + f->n_feeds[source]++] = f->at[source];
    }
    (void)merge_feed(m, source, f->streams[source].data + f->at[source], n, &err);
    f->at[source] += n;
    size_t held = merge_told(m, source).held_bytes;
    f->most_held = held > f->most_held ? held : f->most_held;
}

/* Until done, or until `out` has more than stop_at bytes. True when done. */
static inline bool feed_all(struct merge *m, struct stream_feeder *f, struct buf *out,
                            size_t stop_at)
{
    for (;;) {
        uint32_t source = 0;
        enum merge_state state =
            merge_step(m, out, out->len + 1 + splitmix_u64(f->seed) % 65536, &source);
        if (state == MERGE_DONE) {
            return true;
        }
        if (out->len > stop_at) {
            return false;
        }
        uint32_t any = (uint32_t)(splitmix_u64(f->seed) % f->n);
        source = state == MERGE_WAITS && splitmix_u64(f->seed) % 2 == 0 ? source : any;
        if (merge_wants(m, source)) {
            feed_one(m, f, source);
        }
    }
}
