/* SPDX-License-Identifier: Apache-2.0
 *
 * What a segment file looks like. A segment is a header and then frames; a frame is a header and a
 * payload: a run of packets (packet/block), or the session's description as JSON. Little-endian.
 * Computes only.
 *
 *   header, SEGMENT_HEADER_BYTES
 *   0   magic "PRSEGMNT"         8   u16 format version   10  u16 header length
 *   12  u8 flags (1 = sealed)    13  u8 seal algorithm    14  u16 0
 *   16  session id (16)          32  segment id, random (16)
 *   48  u32 sequence in the session, from 1               52  u32 0
 *   56  u64 created, ns          64  u64 number of the first packet, from 1
 *   72  u64 XXH3 of bytes 0..71  80  key slot A (104)     184 key slot B (104)
 *   288 copy of bytes 0..79      368 copy of a slot (104) 472 u64 XXH3 of bytes 288..471
 *   480 u64 XXH3 of bytes 80..287                         488.. 0
 *
 *   frame, SEGMENT_FRAME_BYTES + stored length
 *   0   magic "PRFR"             4   u8 kind              5   u8 flags (1 = zstd, 2 = sealed)
 *   6   u16 0                    8   u32 number, from 0: place in the segment, and nonce
 *   12  u32 packets              16  u32 raw length       20  u32 stored length (with the tag)
 *   24  u64 XXH3 of the payload as stored                 32  u64 XXH3 of bytes 0..31
 *   40  payload
 *
 * A sealed frame authenticates bytes 0..23 of its header, and by its key the segment and the
 * session: frames cannot be reordered, spliced or moved. Slots wrap the session's data key; two, so
 * that rekey survives a crash.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/store/seal.h"

#define SEGMENT_FORMAT       1u
#define SEGMENT_HEADER_BYTES 512u
#define SEGMENT_FRAME_BYTES  40u
#define SEGMENT_SLOT_A       80u
#define SEGMENT_SLOT_B       184u
/* What a slot of a segment is bound to. */
#define SEGMENT_BOUND_BYTES 72u
/* A frame holds about this much; one packet that is larger gets a frame of its own, up to the
 * maximum. */
#define FRAME_RAW_BYTES (1024u * 1024u)
#define FRAME_RAW_MAX   (17u * 1024u * 1024u)

struct segment_header {
    bool sealed;
    enum seal_algorithm algorithm;
    uint8_t session_id[16];
    uint8_t segment_id[16];
    uint32_t sequence;
    uint64_t created_ns;
    uint64_t first_number;
};

/* Slots are left empty; segment_header_finish is for later. */
void segment_header_write(uint8_t out[SEGMENT_HEADER_BYTES], const struct segment_header *h);
/* ERR_NOT_A_STORE, ERR_VERSION, ERR_DAMAGED. in: SEGMENT_HEADER_BYTES. */
int segment_header_read(const uint8_t *in, struct segment_header *h);

/* Once the slots are written: their sum, and the copy with the slot at slot_at (SEGMENT_SLOT_A or
 * SEGMENT_SLOT_B). in and out: SEGMENT_HEADER_BYTES. */
void segment_header_finish(uint8_t *bytes, uint32_t slot_at);
/* A header is little beside its segment, and all of it is lost with it: what is damaged is taken
 * from the copy, where that is whole. True when anything changed. Before segment_header_read. */
bool segment_header_mend(uint8_t *bytes);

enum frame_kind { FRAME_SESSION = 1, FRAME_PACKETS = 2 };

struct frame_header {
    enum frame_kind kind;
    bool compressed;
    bool sealed;
    uint32_t number;
    uint32_t n_packets;
    uint32_t raw_len;
    uint32_t stored_len;
    uint64_t payload_hash;
};

/* Writes the whole header, SEGMENT_FRAME_BYTES, for a payload of h->stored_len bytes. */
void frame_header_finish(uint8_t *out, const struct frame_header *h, const uint8_t *payload);
/* The first 24 bytes alone, which sealing authenticates. */
void frame_header_start(uint8_t *out, const struct frame_header *h);
/* ERR_DAMAGED when this is no frame header or was changed. in: SEGMENT_FRAME_BYTES. */
int frame_header_read(const uint8_t *in, struct frame_header *h);

/* Makes frames. One a thread: it holds the compressor's memory. */
struct frame_encoder;

struct frame_encoder *frame_encoder_new(void);
void frame_encoder_free(struct frame_encoder *e);
/* Bytes that `out` must have for a raw payload of n bytes. */
size_t frame_bound(size_t n);
/* Compresses (when asked and when it pays), seals (seal may be NULL) and frames. h: kind, number,
 * n_packets are given, the rest is filled in. Returns the frame's bytes in `out`, header included.
 * A payload that stays as it is is not copied: then *body is `raw`, and its n bytes belong behind
 * the header that was returned; else *body is NULL. */
size_t frame_encode(struct frame_encoder *e, struct frame_header *h, const uint8_t *raw, size_t n,
                    bool compress, const struct seal *seal, uint8_t *out, const uint8_t **body);

struct frame_decoder;

struct frame_decoder *frame_decoder_new(void);
void frame_decoder_free(struct frame_decoder *d);
/* Checks and undoes what frame_encode did. `h` was read from `frame`; *raw is borrowed from the
 * decoder or from `frame` until the next call. ERR_DAMAGED, also when it is sealed and seal is NULL
 * or the other way round; ERR_NO_MEMORY. */
int frame_decode(struct frame_decoder *d, const struct frame_header *h, const uint8_t *frame,
                 const struct seal *seal, const uint8_t **raw);
