/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket (RFC 6455) as a codec without I/O, both sides: the opening handshake's key, a reader of
 * frames (wslay) that answers pings and closes by itself, and writers. Large runs of packets are
 * framed by ws_put_header alone, so that they are written from where they lie. permessage-deflate
 * (RFC 7692) is a separate coder over whole messages. Drivers: node/ws_conn_uv,
 * shared/wire/ws_client_posix.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define WS_KEY_BYTES   16
#define WS_KEY_MAX     25  /* 24 characters of base64 and the terminator */
#define WS_ACCEPT_MAX  29  /* 28 characters of base64 and the terminator */
#define WS_HEADER_MAX  14  /* of one frame, with a mask */
#define WS_REASON_MAX  123 /* bytes of a close reason (RFC 6455 §5.5.1) */
#define WS_MESSAGE_MAX (1024u * 1024u)

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNACCEPTABLE = 1003,
    WS_CLOSE_NONE = 1005,     /* never sent: the peer gave none */
    WS_CLOSE_ABNORMAL = 1006, /* never sent: the connection broke */
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013,
};

/* The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key (§4.2.2). */
void ws_accept(const char *key, char out[WS_ACCEPT_MAX]);
/* A client's fresh Sec-WebSocket-Key, and whether what a client sent is one (§4.2.1). */
void ws_make_key(char out[WS_KEY_MAX]);
bool ws_key_is_valid(const char *key);

/* Bytes of a frame header for n bytes (server to client, FIN set, unmasked), written to `out`. */
size_t ws_put_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool rsv1, uint64_t n);
/* A whole frame behind what is in `out`; with a mask (client to server) where it is not NULL. */
void ws_put_frame(struct buf *out, enum ws_opcode opcode, const void *data, size_t n,
                  const uint8_t mask[4]);
/* The size of the frame that begins at `data`, header and content, as its header says; 0 while the
 * header is not there yet. */
uint64_t ws_frame_size(const void *data, size_t n);
/* Four bytes for ws_put_frame that nobody can foresee (§10.3). */
void ws_make_mask(uint8_t mask[4]);
/* A close frame's content: code and reason, cut at a character to WS_REASON_MAX. */
size_t ws_close_payload(uint16_t code, const char *reason, uint8_t out[2 + WS_REASON_MAX]);

struct ws_reader;

struct ws_reader_opts {
    bool client;        /* we are the client: peers must not mask; else they must */
    bool deflate;       /* RSV1 is allowed: messages come compressed and are given inflated */
    size_t max_message; /* also after inflating; WS_MESSAGE_MAX is usual */
    /* A whole message (WS_TEXT, WS_BINARY), WS_PONG, or WS_CLOSE with code and reason (code in
     * network order in the first two bytes, if any). Borrowed for the call. Must not free the
     * reader. */
    void (*message)(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n);
    void *arg;
};

struct ws_reader *ws_reader_new(const struct ws_reader_opts *opts);
void ws_reader_free(struct ws_reader *reader); /* takes NULL */

/* Feeds bytes that came, cut anywhere. A binary message that lies whole in `data` is given from
 * there when a server sent it (not masked), without a copy. Each frame gives one message at most,
 * so who feeds frame by frame (ws_frame_size) gets them one by one. What must be answered (pong,
 * close) is appended to `out` as whole frames, masked when client. 0, or negative when the
 * connection must end: ERR_DAMAGED (protocol), ERR_LIMIT (message too long), ERR_USAGE (text that
 * is not UTF-8); then a close frame with the right code is in `out` already and nothing more may be
 * fed. */
int ws_reader_feed(struct ws_reader *reader, const uint8_t *data, size_t n, struct buf *out,
                   struct err *err);
/* The peer's close frame was seen. */
bool ws_reader_is_closed(const struct ws_reader *reader);

/* permessage-deflate without context takeover: each message on its own. */
struct ws_deflater;
struct ws_deflater *ws_deflater_new(void);
void ws_deflater_free(struct ws_deflater *deflater); /* takes NULL */
/* Appends the compressed form of a message (without the final 00 00 FF FF) to out. */
void ws_deflate(struct ws_deflater *deflater, const void *data, size_t n, struct buf *out);
/* What to answer an offer (Sec-WebSocket-Extensions) with: true when it holds permessage-deflate
 * that we can do; the answer is WS_DEFLATE_ANSWER. */
#define WS_DEFLATE_ANSWER                                                                          \
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
bool ws_deflate_is_offered(const char *extensions);
