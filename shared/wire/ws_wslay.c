/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader. Most frames come whole, in one run of bytes: those are taken where they lie, without
 * a copy (unmasked beside it when a client sent them). The rest, cut anywhere, goes through wslay.
 * Both ways feed ws_messages, which holds all rules; the fuzzer plays one against the other.
 *
 *    feed ──► whole frame? ── yes ─────────────────────► ws_messages ──► message()
 *                  └── no ──► wslay, until its end ──►───────┘    └───► answers
 *
 * wslay's context holds 4 KiB, so it is there only while a frame is cut: an idle connection costs
 * nothing of it.
 */
#include <string.h>
#include <wslay/wslay.h>

#include "shared/base/mem.h"
#include "shared/wire/ws_internal.h"

struct ws_reader {
    struct ws_messages messages;
    wslay_frame_context_ptr slow; /* NULL between frames */
    struct bytes_reader *in;      /* during a feed */
    bool begun;                   /* the header of wslay's frame was seen */
    uint64_t content;             /* bytes of its content that came */
    uint64_t given;               /* bytes that wslay took for this frame, and maybe more */
    struct buf unmasked;
};

static ssize_t give_to_wslay(uint8_t *data, size_t n, int flags, void *arg)
{
    struct ws_reader *reader = arg;
    size_t left = bytes_left(reader->in);

    (void)flags;
    n = n < left ? n : left;
    if (n == 0) {
        return -1;
    }
    memcpy(data, bytes_take(reader->in, n), n);
    reader->given += n;
    return (ssize_t)n;
}

struct ws_reader *ws_reader_new(const struct ws_reader_opts *opts)
{
    struct ws_reader *reader = x_alloc(sizeof *reader);

    ws_messages_init(&reader->messages, opts);
    return reader;
}

static void end_slow(struct ws_reader *reader)
{
    if (reader->slow != NULL) {
        wslay_frame_context_free(reader->slow);
    }
    reader->slow = NULL;
    reader->begun = false;
    reader->content = 0;
    reader->given = 0;
}

void ws_reader_free(struct ws_reader *reader)
{
    if (reader != NULL) {
        end_slow(reader);
        buf_deinit(&reader->unmasked);
        ws_messages_deinit(&reader->messages);
        mem_free(reader);
    }
}

bool ws_reader_is_closed(const struct ws_reader *reader)
{
    return reader->messages.closed;
}

/* The length is written as briefly as can be (§5.2). */
static bool is_brief(const struct ws_frame *frame, size_t header)
{
    size_t extra = header - 2 - (frame->masked ? 4 : 0);

    return (extra != 2 || frame->length > 125) && (extra != 8 || frame->length > UINT16_MAX);
}

static int take_frame(struct ws_reader *reader, const struct ws_frame *frame, const uint8_t *data,
                      struct buf *out, struct err *err)
{
    struct ws_messages *messages = &reader->messages;
    size_t n = (size_t)frame->length;
    bool alone = frame->fin && frame->opcode == WS_BINARY;

    int rc = ws_messages_begin(messages, frame, out, err);
    if (rc < 0) {
        return rc;
    }
    if (frame->masked && n > 0) {
        if (!buf_try_reserve(&reader->unmasked, n)) {
            return ws_messages_fail(messages, ERR_NO_MEMORY, out, err, "no memory");
        }
        ws_mask(reader->unmasked.data, data, n, frame->mask, 0);
        data = reader->unmasked.data;
    }
    if (!alone && n > 0) {
        rc = ws_messages_content(messages, data, n, out, err);
    }
    if (rc == 0) {
        rc = ws_messages_end(messages, alone ? data : NULL, out, err);
    }
    if (reader->unmasked.cap > WS_KEPT_BYTES) {
        buf_deinit(&reader->unmasked);
    }
    return rc;
}

/* The way without wslay: true when a whole, well-formed frame was there, with *rc. */
static bool take_whole(struct ws_reader *reader, struct buf *out, struct err *err, int *rc)
{
    struct ws_frame frame;
    struct bytes_reader *in = reader->in;
    size_t header = ws_get_header(in->p, bytes_left(in), &frame);

    if (header == 0 || frame.length > bytes_left(in) - header || !is_brief(&frame, header)) {
        return false;
    }
    bytes_take(in, header);
    *rc = take_frame(reader, &frame, bytes_take(in, (size_t)frame.length), out, err);
    return true;
}

static size_t header_size(const struct wslay_frame_iocb *piece)
{
    size_t extra = piece->payload_length > UINT16_MAX ? 8 : piece->payload_length > 125 ? 2 : 0;

    return 2 + extra + (piece->mask ? 4 : 0);
}

static int take_piece(struct ws_reader *reader, const struct wslay_frame_iocb *piece,
                      struct buf *out, struct err *err)
{
    struct ws_messages *messages = &reader->messages;
    int rc = 0;

    if (!reader->begun) {
        struct ws_frame frame = {
            .fin = piece->fin != 0,
            .rsv = piece->rsv,
            .opcode = piece->opcode,
            .masked = piece->mask != 0,
            .length = piece->payload_length,
        };
        reader->begun = true;
        rc = ws_messages_begin(messages, &frame, out, err);
    }
    if (rc == 0 && piece->data_length > 0) {
        rc = ws_messages_content(messages, piece->data, piece->data_length, out, err);
    }
    reader->content += piece->data_length;
    if (rc == 0 && reader->content == piece->payload_length) {
        /* wslay has read on: those bytes are of this very input, so go back to them. */
        reader->in->p -= reader->given - header_size(piece) - piece->payload_length;
        end_slow(reader);
        rc = ws_messages_end(messages, NULL, out, err);
    }
    return rc;
}

/* One frame through wslay, up to its end or that of the input. */
static int take_slowly(struct ws_reader *reader, struct buf *out, struct err *err)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = give_to_wslay};

    if (reader->slow == NULL && wslay_frame_context_init(&reader->slow, &callbacks, reader) != 0) {
        reader->slow = NULL;
        return ws_messages_fail(&reader->messages, ERR_NO_MEMORY, out, err, "no memory");
    }
    do {
        struct wslay_frame_iocb piece = {0};
        ssize_t n = wslay_frame_recv(reader->slow, &piece);
        if (n == WSLAY_ERR_WANT_READ) {
            return 0;
        }
        if (n < 0) {
            return ws_messages_fail(&reader->messages, ERR_DAMAGED, out, err, "malformed frame");
        }
        int rc = take_piece(reader, &piece, out, err);
        if (rc < 0) {
            return rc;
        }
    } while (reader->slow != NULL);
    return 0;
}

int ws_reader_feed(struct ws_reader *reader, const uint8_t *data, size_t n, struct buf *out,
                   struct err *err)
{
    struct bytes_reader in = bytes_reader(data, n);
    int rc = 0;

    REQUIRE(reader->messages.failed == 0);
    reader->in = &in;
    /* Nothing counts behind the close frame (§5.5.1). */
    while (rc == 0 && bytes_left(&in) > 0 && !reader->messages.closed) {
        if (reader->slow != NULL || !take_whole(reader, out, err, &rc)) {
            rc = take_slowly(reader, out, err);
        }
    }
    reader->in = NULL;
    if (rc < 0) {
        end_slow(reader);
    }
    return rc;
}
