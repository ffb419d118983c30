/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node may send to a viewer: the first byte says how long the messages are, the rest is the
 * stream. It is read twice, whole and cut into those messages, and goes on to a consumer as in a
 * live view. Whatever comes, a run that is given out reads back whole, of interfaces that were
 * announced, and the cuts change nothing of what arrives.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli/live_view_output.h"
#include "cli/viewer_stream.h"
#include "shared/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct counting {
    struct consumer consumer;
    uint32_t n_ifaces;
    uint64_t packets;
    uint64_t bytes;
};

static int take_ifaces(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                       struct err *err)
{
    struct counting *counting = container_of(consumer, struct counting, consumer);

    (void)err;
    REQUIRE(n == counting->n_ifaces + 1 && n <= LIVE_VIEW_IFACES_MAX);
    REQUIRE(memchr(ifaces[n - 1].name, 0, sizeof ifaces[n - 1].name) != NULL);
    counting->n_ifaces = n;
    return 0;
}

static int take_block(struct consumer *consumer, struct block *block,
                      const struct consumer_load *load, struct err *err)
{
    struct counting *counting = container_of(consumer, struct counting, consumer);
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct packet_view packet;
    uint32_t n = 0;
    uint64_t bytes = 0;
    int rc;

    (void)load;
    (void)err;
    while ((rc = block_next(&cursor, &packet)) == 1) {
        REQUIRE(packet.iface < counting->n_ifaces);
        REQUIRE(packet.time_ns >= block->min_ns && packet.time_ns <= block->max_ns);
        bytes += packet.caplen;
        n++;
    }
    REQUIRE(rc == 0 && n == block->n_packets && bytes == block->packet_bytes);
    counting->packets += n;
    counting->bytes += bytes;
    return 0;
}

static const struct consumer_ops counting_ops = {
    .begin = take_ifaces, .ifaces = take_ifaces, .block = take_block};

/* As live_view_link_posix.c does. */
struct viewing {
    struct stream_reader reader;
    struct resume resume;
    struct live_view_output output;
    struct counting counting;
    uint32_t map[STREAM_IFACES_MAX];
};

static int take_piece(struct viewing *v, int event, const struct stream_piece *piece)
{
    uint64_t position = UINT64_MAX;
    uint64_t lost = 0;

    switch (event) {
    case STREAM_INTERFACE:
        REQUIRE(piece->iface < STREAM_IFACES_MAX);
        return live_view_output_iface(&v->output, &v->reader.ifaces[piece->iface],
                                      &v->map[piece->iface], NULL);
    case STREAM_PACKETS:
        return live_view_output_packets(&v->output, piece, v->map, NULL);
    case STREAM_STATISTICS:
        REQUIRE(piece->iface < v->reader.n_ifaces);
        REQUIRE(memchr(piece->comment, 0, sizeof piece->comment) != NULL);
        if (resume_parse_comment(piece->comment, strlen(piece->comment), &lost, &position)) {
            lost = resume_told(&v->resume, lost, position);
        }
        return live_view_output_statistics(&v->output, v->map[piece->iface], &piece->statistics,
                                           lost, piece->comment, NULL);
    default:
        return 0;
    }
}

static int take_message(struct viewing *v, const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct stream_piece piece;
    struct err err = {0};
    int event;

    while ((event = stream_reader_next(&v->reader, &v->resume, &in, 7, &piece, &err)) > 0) {
        int rc = take_piece(v, event, &piece);
        if (rc < 0) {
            return rc;
        }
    }
    REQUIRE(event < 0 ? err.text[0] != '\0' : bytes_left(&in) == 0);
    return event;
}

static int view(struct viewing *v, const uint8_t *data, size_t n, size_t message, bool history)
{
    int rc = 0;

    stream_reader_reset(&v->reader);
    v->resume = (struct resume){0};
    v->counting = (struct counting){0};
    v->counting.consumer.ops = &counting_ops;
    live_view_output_init(&v->output, &v->counting.consumer, false);
    (void)resume_connected(&v->resume, "s", "3", history);
    for (size_t at = 0; rc == 0 && at < n; at += message) {
        rc = take_message(v, data + at, n - at < message ? n - at : message);
    }
    uint64_t lost;
    uint64_t kernel;
    uint64_t interface;
    live_view_output_sums(&v->output, &lost, &kernel, &interface);
    REQUIRE(v->output.packets == v->counting.packets && v->output.bytes == v->counting.bytes);
    (void)live_view_output_finish(&v->output, 0, NULL);
    live_view_output_deinit(&v->output);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) {
        return 0;
    }
    static struct viewing views[2]; /* kept: large, and asking for them costs more than the rest */
    struct viewing *whole = &views[0];
    struct viewing *cut = &views[1];
    size_t message = (data[0] >> 1) + 1u;
    bool history = (data[0] & 1) != 0;
    int rc = view(whole, data + 1, n - 1, n, history);
    int rc_cut = view(cut, data + 1, n - 1, message, history);

    REQUIRE((rc < 0) == (rc_cut < 0));
    if (rc == 0) {
        REQUIRE(whole->counting.packets == cut->counting.packets);
        REQUIRE(whole->counting.bytes == cut->counting.bytes);
        REQUIRE(whole->resume.position == cut->resume.position);
    }
    return 0;
}
