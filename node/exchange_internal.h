/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of an exchange: what the connection below (node/http_conn_uv) fills in and is told
 * through struct exchange_link. Handlers see node/exchange.h alone.
 */
#pragma once

#include "node/auth.h"
#include "node/exchange.h"
#include "node/routes.h"
#include "shared/base/buf.h"
#include "shared/wire/url.h"

#define EXCHANGE_PEER_MAX 64

/* What an exchange asks of the connection. */
struct exchange_link {
    /* Sends; the content of `bytes` is taken and it is empty then. False: enough is queued. */
    bool (*send)(void *conn, struct buf *bytes);
    /* The answer is complete. The exchange forgets the connection before. */
    void (*finished)(void *conn, bool keep_alive);
    void (*broken)(void *conn);
    /* `head`: a complete 101. */
    struct ws_conn *(*upgrade)(void *conn, struct exchange *ex, struct buf *head,
                               const struct ws_conn_opts *opts);
};

struct exchange {
    unsigned refs;
    struct node *node;
    const struct exchange_link *link; /* NULL when the connection is gone or the answer given */
    void *conn;

    struct http_head head; /* points into storage */
    struct buf storage;
    struct url_target target;
    struct route_match match;
    struct buf body;
    struct auth_grant grant;
    char peer[EXCHANGE_PEER_MAX];

    struct buf headers; /* added by the handler */
    const struct exchange_stream_ops *ops;
    void *ops_arg;
    uint64_t left;   /* of a stream with a known length */
    unsigned status; /* of the answer; 0 = none yet */
    bool is_gone;
    bool is_answered; /* its head is on the way */
    bool is_chunked;
    bool is_streaming; /* between exchange_begin and exchange_end */
    bool keep_alive;   /* what the answer promises */
};

/* Copies the head. The target is not parsed yet. */
struct exchange *exchange_new(struct node *node, const struct http_head *head, const char *peer,
                              const struct exchange_link *link, void *conn);
/* The connection ended before the answer did; calls the stream's gone. */
void exchange_lost(struct exchange *ex);
void exchange_drained(struct exchange *ex);
