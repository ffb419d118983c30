/* SPDX-License-Identifier: Apache-2.0
 *
 * permessage-deflate: each message of a viewer for itself, so that no memory stays between two of
 * them. zlib takes a tenth of what a wire brings, and there may be a hundred viewers: what is more
 * than a few packets is compressed on a worker, a run at a time, and meanwhile nothing more of this
 * viewer, or the loop would stand still for seconds.
 */
#include "node/viewer_uv.h"

#include "node/work.h"
#include "shared/base/mem.h"
#include "shared/wire/ws.h"

/* What a core compresses in a tenth of a millisecond. */
#define INLINE_BYTES (4u * 1024u)

struct viewer_deflate {
    struct viewer_write *write; /* being compressed on a worker */
    struct buf out;             /* frames */
};

struct viewer_deflate *viewer_deflate_new(void)
{
    return x_alloc(sizeof(struct viewer_deflate));
}

void viewer_deflate_free(struct viewer_deflate *deflate)
{
    if (deflate != NULL) {
        buf_deinit(&deflate->out);
        mem_free(deflate);
    }
}

bool viewer_deflate_is_busy(const struct viewer_deflate *deflate)
{
    return deflate->write != NULL;
}

struct messages {
    struct ws_deflater *deflater;
    struct buf content;
    struct buf *out;
};

static void put_message(struct messages *messages, const void *data, size_t n)
{
    uint8_t header[WS_HEADER_MAX];
    struct buf *content = &messages->content;

    buf_reset(content);
    ws_deflate(messages->deflater, data, n, content);
    buf_append(messages->out, header, ws_put_header(header, WS_BINARY, true, content->len));
    buf_append(messages->out, content->data, content->len);
}

static void put_packets(struct messages *messages, const uint8_t *run, size_t n)
{
    struct block_cursor packets = block_cursor(run, n);
    struct packet_view packet;

    while (block_next(&packets, &packet) == 1) {
        put_message(messages, packet.data, packet.caplen);
    }
}

static void compress_all(struct viewer_deflate *deflate, const struct viewer_write *write)
{
    struct messages messages = {.deflater = ws_deflater_new(), .out = &deflate->out};

    if (write->own.len > 0) {
        put_message(&messages, write->own.data, write->own.len);
    }
    for (unsigned i = 0; i < write->n; i++) {
        if (write->viewer->kind == VIEWER_RAW) {
            put_packets(&messages, write->data[i], write->n_bytes[i]);
        } else {
            put_message(&messages, write->data[i], write->n_bytes[i]);
        }
    }
    ws_deflater_free(messages.deflater);
    buf_deinit(&messages.content);
}

static void run(void *arg)
{
    struct viewer_deflate *deflate = arg;

    compress_all(deflate, deflate->write);
}

static void on_done(void *arg, bool cancelled)
{
    struct viewer_deflate *deflate = arg;
    struct viewer_write *write = deflate->write;

    deflate->write = NULL;
    viewer_write_back(write, &deflate->out, true, cancelled);
}

void viewer_deflate_go(struct viewer_write *write)
{
    struct viewer_deflate *deflate = write->viewer->deflate;

    if (write->held + write->own.len > INLINE_BYTES) {
        deflate->write = write;
        if (work_run(write->viewer->stream->relay->node, run, on_done, deflate)) {
            return;
        }
        deflate->write = NULL; /* too much waits: then here */
    }
    compress_all(deflate, write);
    viewer_write_go_as(write, &deflate->out, true);
}
