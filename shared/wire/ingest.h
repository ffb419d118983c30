/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sniffer and a node say to each other over the WebSocket of an uplink, after the upgrade
 * (docs/protocol-ingest.md): packets one way, how many of them are safe the other way. A codec
 * without I/O. Each binary message is one of these, all numbers little-endian:
 *
 *   0  u8  kind   1 packets   2 taken
 *   1  u8  zero
 *   2  u16 zero
 *   4  u32 packets in the payload; 0 in "taken"
 *   8  u64 position: packets: of the first one; taken: of the first that is not safe yet
 *   16 payload
 *
 * packets: whole pcapng blocks, INGEST_PAYLOAD_MAX bytes at most, compressed or not as the upgrade
 * agreed. Compressed, all payloads of a connection are one zstd stream (window up to 1 MiB), which
 * is flushed at the end of each. A payload that begins with a Section Header Block begins a new
 * section, and all before it is forgotten; the first payload of a connection does, so each
 * connection can be read by itself. A section has one interface.
 *
 * taken: 0 u64 credit (bytes that may have been sent since the upgrade, payloads before compression
 * and INGEST_MESSAGE_COST for each message), so that a node bounds what waits in it. A message
 * without packets (a description, statistics) costs nothing, since nothing of it is kept.
 *
 * Positions number the packets of a stream, from 0. A stream is what one run of a sniffer captured
 * on one interface; its id is a UUID.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/iface.h"
#include "shared/packet/pcapng_read.h"

#define INGEST_VERSION      1
#define INGEST_HEADER_BYTES 16u
#define INGEST_PAYLOAD_MAX  (1024u * 1024u) /* before compression */
/* Of a WebSocket message: what zstd makes of an incompressible payload, and the header. */
#define INGEST_MESSAGE_MAX  (INGEST_PAYLOAD_MAX + 64u * 1024u)
#define INGEST_MESSAGE_COST 256u
#define INGEST_NAME_MAX     64 /* of a sniffer, with its terminator */
#define INGEST_POSITION_MAX (UINT64_MAX / 4)

/* What the sniffer says in the upgrade: GET /ingest?v=1&name=…&interface=…&… */
#define INGEST_PATH "/ingest"
/* Headers of the answer: the position to send from, and the first credit. */
#define INGEST_POSITION_HEADER "Packetrecorder-Position"
#define INGEST_CREDIT_HEADER   "Packetrecorder-Credit"

enum ingest_kind { INGEST_PACKETS = 1, INGEST_TAKEN = 2 };

struct ingest_header {
    enum ingest_kind kind;
    uint32_t n_packets;
    uint64_t position;
};

/* True when the text can name a sniffer: 1 to 63 of A-Z a-z 0-9 . _ -, the first not a dot. */
bool ingest_name_is_good(const char *text);
/* True when the text can name an interface in NAME:IFACE: printable ASCII without blanks, '/', '%'.
 */
bool ingest_interface_is_good(const char *text);

/* The sender's side: one a connection. */
struct ingest_encoder;
struct ingest_encoder *ingest_encoder_new(bool compress);
void ingest_encoder_free(struct ingest_encoder *encoder); /* takes NULL */
/* A whole message behind what is in `out`. n at most INGEST_PAYLOAD_MAX. */
void ingest_encode_packets(struct ingest_encoder *encoder, const struct ingest_header *header,
                           const void *payload, size_t n, struct buf *out);
void ingest_encode_taken(uint64_t position, uint64_t credit, struct buf *out);

/* Reads a message of the kind "taken". ERR_DAMAGED. */
int ingest_decode_taken(const uint8_t *data, size_t n, uint64_t *position, uint64_t *credit,
                        struct err *err);

/* The receiver's side: one a connection. Its memory is bounded whatever comes: a payload, a zstd
 * window of 1 MiB, one interface. */
struct ingest_decoder;
struct ingest_decoder *ingest_decoder_new(bool compressed);
void ingest_decoder_free(struct ingest_decoder *decoder); /* takes NULL */

/* What a message held. */
struct ingest_batch {
    struct ingest_header header;
    uint64_t cost;             /* of its credit; 0 without packets */
    const struct iface *iface; /* the section's, borrowed from the decoder; NULL: none described */
    bool is_new_section;
    struct block *block; /* the packets, interface 0, time stamps in ns since 1970; moved to the
                            caller; NULL when there are none */
    bool has_statistics; /* the last block of them in the message */
    struct pcapng_told_statistics statistics;
};

/* Reads a message of the kind "packets" whole. Packets before the position wanted_from are checked
 * but not in the block: they are there already. ERR_DAMAGED, ERR_LIMIT, ERR_UNSUPPORTED,
 * ERR_NO_MEMORY: the connection must end, nothing more may be fed. */
int ingest_decode_packets(struct ingest_decoder *decoder, const uint8_t *data, size_t n,
                          uint64_t wanted_from, struct ingest_batch *out, struct err *err);
