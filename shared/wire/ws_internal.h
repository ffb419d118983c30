/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the parts of the WebSocket codec: the rules that hold for frames wherever they were
 * parsed, and the pieces that need a package (random masks, zlib). Not for others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/utf8.h"
#include "shared/wire/ws.h"

#define WS_CONTINUATION   0
#define WS_CONTROL_MAX    125u          /* bytes of a control frame (§5.5) */
#define WS_CLOSE_BAD_TEXT 1007          /* text that is not UTF-8 */
#define WS_KEPT_BYTES     (64u * 1024u) /* of memory that stays between messages */

/* A frame's header (§5.2). */
struct ws_frame {
    bool fin;
    uint8_t rsv; /* RSV1 = 4, RSV2 = 2, RSV3 = 1 */
    uint8_t opcode;
    bool masked;
    uint8_t mask[4];
    uint64_t length;
};

/* Reads a header. Its size, or 0 when more bytes are needed. Nothing is checked. */
size_t ws_get_header(const uint8_t *data, size_t n, struct ws_frame *out);
/* Applies a mask to n bytes that stand `offset` bytes behind the start of the content. */
void ws_mask(uint8_t *out, const uint8_t *data, size_t n, const uint8_t mask[4], uint64_t offset);

struct ws_inflater;
struct ws_inflater *ws_inflater_new(void);
void ws_inflater_free(struct ws_inflater *inflater); /* takes NULL */
/* Appends the message that n compressed bytes stand for, at most `max` bytes: ERR_LIMIT beyond,
 * ERR_DAMAGED for what zlib refuses. */
int ws_inflate(struct ws_inflater *inflater, const uint8_t *data, size_t n, size_t max,
               struct buf *out);

/* Messages out of frames: order of fragments, control frames in between, limits, UTF-8, the answers
 * to ping and close. Fed by the reader with headers and content, however those were parsed. */
struct ws_messages {
    struct ws_reader_opts opts;
    struct ws_frame frame; /* the one that is being read */
    bool in_message;       /* the first frame of a message was seen, its last was not */
    bool compressed;
    enum ws_opcode opcode; /* of that message */
    struct buf content;    /* and what came of it */
    struct utf8_check text;
    uint8_t control[WS_CONTROL_MAX];
    size_t n_control;
    struct ws_inflater *inflater; /* made when the first compressed message comes */
    struct buf inflated;
    bool closed; /* the peer's close frame came */
    int failed;
};

void ws_messages_init(struct ws_messages *messages, const struct ws_reader_opts *opts);
void ws_messages_deinit(struct ws_messages *messages);

/* A frame begins; its content follows in any number of pieces (already unmasked), then its end.
 * `all` is the content when it is there in one run, so that a whole message is not copied; else
 * NULL. Each: 0, or negative with a close frame in `out`. */
int ws_messages_begin(struct ws_messages *messages, const struct ws_frame *frame, struct buf *out,
                      struct err *err);
int ws_messages_content(struct ws_messages *messages, const uint8_t *data, size_t n,
                        struct buf *out, struct err *err);
int ws_messages_end(struct ws_messages *messages, const uint8_t *all, struct buf *out,
                    struct err *err);
/* Ends with a close frame of that code. Returns the code of the error. */
int ws_messages_fail(struct ws_messages *messages, int code, struct buf *out, struct err *err,
                     const char *why);
