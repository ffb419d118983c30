/* SPDX-License-Identifier: Apache-2.0
 *
 * The secure channel on TCP: a cleartext preamble that names a key, a Noise handshake with that key
 * (shared/wire/noise.h), then frames, out of which comes one stream of bytes each way. A codec
 * without I/O: bytes that came go in, resumable at every byte; plaintext and bytes to be sent come
 * out. Drivers: the RPC listener (node), the gossip streams (node), the blocking client
 * (shared/wire/rpc_call_posix). They own sockets, clocks and the limits below; docs/protocol-rpc.md
 * has the bytes for those who write a client of their own.
 *
 *   client                                       server
 *   preamble 16, message 1 48            -->
 *                                        <--     00, message 2 48, [server's proof]   or one byte
 *   client's proof, frames ...           -->     that refuses, and the end
 *                                        <--     frames ...
 *
 *   preamble   d7 'P' 'R' 'C', version u8, kind u8, 0, 0, key id (8 characters)
 *   frame      length u16 big endian (tag counted), that many bytes of a Noise transport message
 *   proof      a frame. API key: the client's alone, empty. Cluster key: both sides', node key 32
 *              and signature 64 of the words of CHANNEL_PROOF_*, then the handshake hash
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/bytes.h"
#include "shared/base/err.h"

#define CHANNEL_VERSION           1
#define CHANNEL_PREAMBLE_BYTES    16
#define CHANNEL_KEY_ID_CHARS      8
#define CHANNEL_PSK_BYTES         32
#define CHANNEL_FRAME_MAX         65535u /* tag counted, length not */
#define CHANNEL_PLAIN_MAX         (CHANNEL_FRAME_MAX - 16u)
#define CHANNEL_FRAME_HEAD_BYTES  2u
#define CHANNEL_REKEY_FRAMES      1024u /* both sides take the next key after so many of a way */
#define CHANNEL_NODE_PUBLIC_BYTES 32
#define CHANNEL_NODE_SECRET_BYTES 64 /* Ed25519, as libsodium keeps it */
#define CHANNEL_PROOF_CLIENT      "packetrecorder channel, client"
#define CHANNEL_PROOF_SERVER      "packetrecorder channel, server"

/* What a stranger may cost, until CHANNEL_OPENED. The codec keeps no more than the bytes; time and
 * numbers are the listener's. */
#define CHANNEL_STRANGER_BYTES           256u
#define CHANNEL_STRANGER_MS              5000u
#define CHANNEL_STRANGERS_MAX            64u
#define CHANNEL_STRANGERS_OF_ADDRESS_MAX 8u

enum channel_kind {
    CHANNEL_API_KEY = 1,    /* calls with an API key; its id; psk: the hash that a node keeps */
    CHANNEL_CLUSTER_GOSSIP, /* nodes: swarm messages; psk: the cluster key */
    CHANNEL_CLUSTER_CALLS,  /* nodes: calls; psk: the cluster key */
};

/* The byte with which a server refuses, before it ends the connection. */
enum channel_refusal {
    CHANNEL_NOT_REFUSED = 0,
    CHANNEL_NO_SUCH_KEY = 1, /* nobody here knows this key id */
    CHANNEL_WRONG_KEY = 2,   /* the key of that id is another one */
    CHANNEL_KEY_EXPIRED = 3, /* told only to those who know the key */
    CHANNEL_BAD_VERSION = 4,
    CHANNEL_BAD_KIND = 5, /* this port does not serve that kind */
    CHANNEL_BUSY = 6,     /* too many strangers at once */
    CHANNEL_NO_KEYS = 7,  /* no key exists here that could open it */
    CHANNEL_REFUSALS,
};

/* A node's key pair. Borrowed as long as the channel. */
struct channel_node {
    const uint8_t *public_key; /* CHANNEL_NODE_PUBLIC_BYTES */
    const uint8_t *secret_key; /* CHANNEL_NODE_SECRET_BYTES */
};

struct channel_client {
    enum channel_kind kind;
    const char *key_id;              /* CHANNEL_KEY_ID_CHARS of [0-9a-z] */
    const uint8_t *psk;              /* CHANNEL_PSK_BYTES; borrowed for the call */
    const struct channel_node *node; /* of the CLUSTER kinds */
    const uint8_t *ephemeral;        /* tests: 32 bytes in place of random ones; else NULL */
};

struct channel_key {
    uint8_t psk[CHANNEL_PSK_BYTES];
    enum channel_refusal refusal; /* refuses once the client has shown that it knows the key */
};

/* Finds the key of a client that connects; anything but CHANNEL_NOT_REFUSED refuses it. *out is
 * wiped by the caller. `kind` is one of the three, key_id terminated and of [0-9a-z]. */
typedef enum channel_refusal (*channel_lookup_cb)(void *arg, enum channel_kind kind,
                                                  const char *key_id, struct channel_key *out);

struct channel_server {
    channel_lookup_cb lookup;
    void *arg;
    const struct channel_node *node; /* NULL: the CLUSTER kinds are refused (CHANNEL_BAD_KIND) */
    const uint8_t *ephemeral;        /* tests; else NULL */
};

enum channel_state { CHANNEL_HANDSHAKE, CHANNEL_OPEN, CHANNEL_FAILED };

struct channel;

/* channel_new_client appends what is to be sent first to `out`. All secrets in sodium memory. */
struct channel *channel_new_client(const struct channel_client *client, struct buf *out);
struct channel *channel_new_server(const struct channel_server *server);
void channel_free(struct channel *channel); /* wipes; takes NULL */

enum channel_event {
    CHANNEL_MORE = 0,   /* the bytes are used up */
    CHANNEL_OPENED = 1, /* the other side has proven its key (and node): once */
    CHANNEL_DATA = 2,   /* *plain, *n: the next bytes of the stream */
};

struct channel_data {
    const uint8_t *bytes; /* borrowed until the next call; at least one */
    size_t n;
};

/* Reads on in `in`, which moves, until something is there: an enum channel_event; CHANNEL_MORE only
 * when `in` is used up. Bytes to be sent are appended to `out`, also when it fails: send them, then
 * end the connection. Negative, and for good: ERR_KEY when a key is refused by either side,
 * ERR_VERSION, ERR_UNSUPPORTED (kind), ERR_LIMIT (busy), ERR_DAMAGED (altered, replayed, or not
 * such a channel). The sentences name no address: wrap them. */
int channel_read(struct channel *channel, struct bytes_reader *in, struct channel_data *data,
                 struct buf *out, struct err *err);

/* Seals n bytes into as many frames as it takes, appended to `out`. Only in CHANNEL_OPEN. */
void channel_seal(struct channel *channel, const void *plain, size_t n, struct buf *out);

/* The sentence for a connection that ended now: what it means in this state. Negative. */
int channel_ended(const struct channel *channel, struct err *err);

/* What a preamble asks for, before there is a channel: 0 while it cannot be told from n bytes; else
 * the kind, or CHANNEL_CLUSTER_GOSSIP of what is no preamble at all, for a channel to refuse. */
int channel_peek_kind(const uint8_t *bytes, size_t n);

enum channel_state channel_state(const struct channel *channel);
/* From the preamble on; before: 0 and "". */
enum channel_kind channel_kind(const struct channel *channel);
const char *channel_key_id(const struct channel *channel);
/* The other side's node key (CHANNEL_NODE_PUBLIC_BYTES) once a CLUSTER kind is open, else NULL. */
const uint8_t *channel_peer(const struct channel *channel);
/* Of a server that refused: which byte it sent; else CHANNEL_NOT_REFUSED. For counters. */
enum channel_refusal channel_refused(const struct channel *channel);
/* One word for counters and logs: "no_such_key". */
const char *channel_refusal_name(enum channel_refusal refusal);
/* The sentence that a client gets for a refusal; key_id is quoted. Negative. */
int channel_refusal_error(enum channel_refusal refusal, enum channel_kind kind, const char *key_id,
                          struct err *err);

/* The id of a cluster key (the first four bytes that swim_key_id gives) as eight hexadecimal
 * digits, and back; false when it is no such text. */
void channel_cluster_key_id(uint32_t id, char out[CHANNEL_KEY_ID_CHARS + 1]);
bool channel_cluster_key_id_parse(const char *text, uint32_t *id);
