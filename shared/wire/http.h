/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 messages (RFC 9112) as a codec without I/O: a parser for requests or responses that is
 * fed whatever bytes came (llhttp, strict), and writers for heads and chunks. Drivers: the node's
 * connections (node/http_conn_uv) and the blocking clients (shared/wire/ws_client_posix). All input
 * is hostile; the limits below end a message with an error that says which one was hit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/bytes.h"
#include "shared/base/err.h"

#define HTTP_HEAD_MAX_BYTES (16u * 1024u) /* start line and all headers together */
#define HTTP_HEADERS_MAX    64u
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

enum http_side {
    HTTP_REQUESTS,  /* we are the server */
    HTTP_RESPONSES, /* we are the client */
};

/* Both borrowed from the parser, terminated; names in lower case. */
struct http_header {
    const char *name;
    const char *value;
};

/* A start line with its headers. Borrowed from the parser until its next message begins. */
struct http_head {
    const char *method; /* requests: "GET" */
    const char *target; /* requests: as sent, not decoded: "/connections/eth0?filter=tcp" */
    unsigned status;    /* responses */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    uint64_t content_length; /* HTTP_LENGTH_UNKNOWN: none announced */
    bool has_body;           /* content follows, by length or chunked */
    bool is_http10;          /* HTTP/1.0: knows no chunks */
    bool keep_alive;
    bool upgrade; /* requests: asks for another protocol; responses: 101 */
};

/* The first header of that name (lower case), or NULL. */
const char *http_header(const struct http_head *head, const char *name);
/* True when the comma-separated list in the header `name` holds the token, in any case. */
bool http_header_has(const struct http_head *head, const char *name, const char *token);

enum http_event {
    HTTP_MORE = 0, /* the bytes are used up */
    HTTP_HEAD = 1, /* piece->head is there */
    HTTP_BODY = 2, /* piece->data, piece->n: some content, borrowed from the input */
    HTTP_END =
        3, /* the message is complete; after head->upgrade what is left in `in` is not HTTP */
};

struct http_piece {
    const struct http_head *head; /* from HTTP_HEAD to HTTP_END */
    const uint8_t *data;
    size_t n;
};

struct http_parser;

struct http_parser *http_parser_new(enum http_side side);
void http_parser_free(struct http_parser *parser); /* takes NULL */

/* The next event in `in`, which moves behind what was used; call it until it gives HTTP_MORE, also
 * with nothing left (the end of a message may need no byte). A message that asked for an upgrade
 * and did not get it is followed by the next one. Trailers are read over. Negative: ERR_LIMIT (head
 * too large, too many headers) or ERR_DAMAGED (not HTTP, both a length and chunks, …); the parser
 * then gives the same error for ever. */
int http_parser_next(struct http_parser *parser, struct bytes_reader *in, struct http_piece *piece,
                     struct err *err);

/* The peer sends nothing more. HTTP_END for a response that ends with its connection, HTTP_MORE
 * between messages, ERR_DAMAGED in the middle of one. */
int http_parser_finish(struct http_parser *parser, struct http_piece *piece, struct err *err);

/* "Not Found"; "" for an unknown status. */
const char *http_status_text(unsigned status);

/* Start lines and headers; http_put_end closes the head. Values of http_put_header must not hold
 * CR, LF or NUL: such bytes become blanks, so that nobody splits a response. */
void http_put_status(struct buf *out, unsigned status);
void http_put_request(struct buf *out, const char *method, const char *target);
void http_put_header(struct buf *out, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void http_put_end(struct buf *out);

/* Chunked transfer coding (RFC 9112 §7.1): one chunk (n > 0), and the last, empty one. */
void http_put_chunk(struct buf *out, const void *data, size_t n);
void http_put_last_chunk(struct buf *out);
