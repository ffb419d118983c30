/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection under shared/wire/rpc_client_posix.c, and for it alone: dialled, with the channel
 * opened where it is TCP; a stream of plaintext bytes each way, with absolute deadlines.
 *
 * A node that sends without end never lets dial_wait wait, so each round looks at the clock itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/rpc_endpoint.h"

struct rpc_client_opts;

struct rpc_link {
    struct dial *dial;
    struct channel *channel; /* NULL: UNIX socket */
    char name[RPC_ENDPOINT_TEXT_MAX];
    struct buf raw;      /* what the kernel gave, of a channel */
    struct buf plain;    /* what came */
    size_t used;         /* bytes of it that are done with; they go when more is read, so that many
                            small messages are not moved for each of them */
    size_t plain_max;    /* nothing is read while a flush finds so much there */
    char farewell[1024]; /* what the node said before it ends the connection; "" = nothing */
    int broken;          /* why; 0 = it is well */
};

/* Zeroed before; rpc_link_close also after a failure. */
int rpc_link_open(struct rpc_link *link, const struct rpc_client_opts *opts, uint64_t deadline_ns,
                  struct err *err);
void rpc_link_close(struct rpc_link *link);

/* Marks it broken with that code, and puts the endpoint's name before the sentence. Returns rc. */
int rpc_link_broke(struct rpc_link *link, int rc, struct err *err);
/* 0, or why it broke before. */
int rpc_link_is_well(const struct rpc_link *link, struct err *err);

/* What came and was not used, valid until the next wait or send. */
static inline size_t rpc_link_left(const struct rpc_link *link)
{
    return link->plain.len - link->used;
}

static inline const uint8_t *rpc_link_bytes(const struct rpc_link *link)
{
    return link->used > 0 ? link->plain.data + link->used : link->plain.data; /* may be NULL */
}

/* Waits for bytes, and appends them to `plain`: 0 or 1. -ETIMEDOUT and ERR_INTERRUPTED break
 * nothing. */
int rpc_link_wait(struct rpc_link *link, uint64_t deadline_ns, struct err *err);
/* Takes n bytes and sends all until the deadline. While the node does not read, what it sends is
 * read, so that neither waits for the other for ever. -ETIMEDOUT: the rest goes with the next
 * calls. */
int rpc_link_send(struct rpc_link *link, const void *bytes, size_t n, uint64_t deadline_ns,
                  struct err *err);
