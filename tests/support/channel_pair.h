/* SPDX-License-Identifier: Apache-2.0
 *
 * Both sides of a channel in one process, for tests: fixed keys and ephemerals, so that each run
 * sends the same bytes. What one side has to send lies in its `out` until the test carries it over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/channel.h"

#define PAIR_KEY_ID "abcdefgh"

struct channel_end {
    struct channel *channel;
    struct buf out;  /* to be sent */
    struct buf seen; /* plaintext that came */
    unsigned opened; /* CHANNEL_OPENED came so often */
    int rc;          /* of the last channel_read: CHANNEL_MORE, or why it failed */
    struct err err;
};

struct channel_pair {
    struct channel_end client;
    struct channel_end server;
    uint8_t psk[CHANNEL_PSK_BYTES];     /* the server's; set it before pair_open to differ */
    enum channel_refusal refusal;       /* what the server's lookup says */
    enum channel_refusal refusal_later; /* and after the proof of the key */
    unsigned lookups;
    enum channel_kind kind_seen;
    char key_id_seen[CHANNEL_KEY_ID_CHARS + 1];
    uint8_t node_public[2][CHANNEL_NODE_PUBLIC_BYTES]; /* client, server */
    uint8_t node_secret[2][CHANNEL_NODE_SECRET_BYTES];
    struct channel_node node[2];
};

/* Both channels, nothing carried yet; the client's first bytes lie in client.out. */
void pair_init(struct channel_pair *pair, enum channel_kind kind);
/* The same, with another ephemeral secret of the server. */
void pair_init_server(struct channel_pair *pair, enum channel_kind kind,
                      const uint8_t ephemeral[32]);
void pair_deinit(struct channel_pair *pair);

/* Gives n bytes to an end in pieces of at most `step`; false when it has failed. */
bool end_feed(struct channel_end *end, const void *bytes, size_t n, size_t step);
/* Carries all that `from` has to send. */
bool end_carry(struct channel_end *from, struct channel_end *to, size_t step);
/* The whole handshake. */
void pair_open(struct channel_pair *pair, enum channel_kind kind);
