/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of the protocol: positional msgpack arrays, first element the type. A datagram and a
 * message of a stream hold a run of them (an array of frames; the count is not announced: frames
 * follow each other to the end). Unknown types and elements after the known ones are read over.
 *
 *    1 PING    [1, seq u64, to sid, t1 i64, vhash u64, khash u32, n members, lh]
 *    2 ACK     [2, seq, t2 i64, t3 - t2 u32, lh, load, x i64, x_bound u64, root u64,
 *                wall i64]
 *    3 PINGREQ [3, seq, target sid, ttl_ms]
 *    4 NACK    [4, seq]
 *    5 FACK    [5, seq]
 *    6 ALIVE   [6, record bin]
 *    7 SUSPECT [7, sid, boot, seq, from sid, lh]
 *    8 DEAD    [8, sid, boot, seq, from sid, n confirmations]
 *    9 LEFT    [9, record bin]
 *   10 YOUARE  [10, state, boot, seq]     what we hold of the receiver
 *   11 DIGEST  [11, part, bin]            enum swim_digest_part
 *   12 WANT    [12, bin]                  sids, u64 LE each
 *   13 KV      [13, owner sid, key bin16, version u64, flags u8, value bin]
 *   14 HELLO   [14, seq u64, record bin]  first contact; answered with ALIVE of the answerer, ACK
 *   15 SYNC    [15, what u8]              enum swim_sync_what
 *   16 LEAVEACK[16]
 *   17 VIEW    [17, vhash, khash u32, n members]  goes with gossip: who agrees needs no more of it
 *
 * A list of members: the buckets that it covers, a u64 LE of 64 bits, then entries of 21 bytes: sid
 * u64 LE, boot u64 LE, seq u32 LE, state u8. The bucket of a member is the top 6 bits of its sid.
 *
 * The sender of a datagram is known by the boot nonce of its envelope, which its record vouches
 * for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/pack.h"
#include "shared/base/unpack.h"
#include "shared/swarm/swim_record.h"

enum swim_frame_type {
    SWIM_PING = 1,
    SWIM_ACK = 2,
    SWIM_PINGREQ = 3,
    SWIM_NACK = 4,
    SWIM_FACK = 5,
    SWIM_ALIVE_FRAME = 6,
    SWIM_SUSPECT_FRAME = 7,
    SWIM_DEAD_FRAME = 8,
    SWIM_LEFT_FRAME = 9,
    SWIM_YOUARE = 10,
    SWIM_DIGEST = 11,
    SWIM_WANT = 12,
    SWIM_KV = 13,
    SWIM_HELLO = 14,
    SWIM_SYNC = 15,
    SWIM_LEAVEACK = 16,
    SWIM_VIEW = 17,
};

#define SWIM_BUCKETS            64
#define SWIM_DIGEST_ENTRY       21
#define SWIM_BIN_MAX            1024  /* in a datagram */
#define SWIM_STREAM_BIN_MAX     32768 /* in a message of a stream */
#define SWIM_KV_KEY_BYTES       16
#define SWIM_KV_VALUE_MAX       1024
#define SWIM_FRAME_DEPTH        4 /* arrays and maps inside each other, the frame's own included */
#define SWIM_FRAME_ELEMENTS_MAX 256

/* The part of a DIGEST. */
enum swim_digest_part {
    SWIM_DIGEST_SUMS = 0, /* of the members: SWIM_BUCKETS × u64 LE */
    SWIM_DIGEST_LIST = 1, /* of members; nothing follows */
    SWIM_DIGEST_MORE = 2, /* of members; the next frame goes on (stream) */
    SWIM_DIGEST_KV = 3,   /* of KV */
};

enum swim_sync_what {
    SWIM_SYNC_WHOLE = 0,  /* the whole state of the sender came before, the receiver's is wanted */
    SWIM_SYNC_STREAM = 1, /* too much for datagrams: open a stream */
    SWIM_SYNC_DONE = 2,   /* that was all */
    SWIM_SYNC_DELTA = 3,  /* what follows in this datagram is from an exchange, not gossip */
};

/* One frame, decoded; which members mean something depends on the type. Pointers borrow. */
struct swim_frame {
    uint8_t type;
    uint8_t state; /* YOUARE, and DIGEST's part, SYNC's what, KV's flags */
    uint8_t lh;    /* local health of the sender or accuser; DEAD: confirmations */
    uint8_t load;
    uint64_t seq;  /* of the probe */
    uint64_t sid;  /* PING: to; PINGREQ, SUSPECT, DEAD: whom; KV: owner */
    uint64_t from; /* accuser */
    uint64_t root; /* ACK: whose clock the sender's swarm time follows */
    struct swim_incarnation incarnation;
    int64_t t1, t2, t3; /* ns of steady clocks */
    uint64_t vhash;
    uint32_t khash;
    uint32_t n_members;
    uint32_t ttl_ms;
    int64_t x_ns;        /* the sender's swarm-time correction */
    uint64_t x_bound_ns; /* as swim_clock_pack_bound makes it */
    int64_t wall_ns;     /* the sender's wall clock minus its steady clock: 0 until it steps */
    uint64_t version;    /* KV */
    const uint8_t *key;  /* KV: SWIM_KV_KEY_BYTES */
    const uint8_t *bin;  /* record, entries, sids, value */
    size_t n_bin;
};

/* Appends; pack->failed when there is no room (nothing half-written counts: check the length
 * before). */
void swim_frame_write(struct pack *pack, const struct swim_frame *frame);
/* Bytes that swim_frame_write will take. Time stamps count at their widest (t1, t2, t3, x_ns), so
 * that they can be put in after the frame was measured; everything else is exact. */
size_t swim_frame_size(const struct swim_frame *frame);

enum swim_frame_read {
    SWIM_FRAME_END, /* no more */
    SWIM_FRAME_OK,
    SWIM_FRAME_OTHER, /* a type we do not know: read over */
    SWIM_FRAME_BAD,   /* drop all of it */
};
/* The next frame of a run; max_bin bounds each byte string. *frame is set for SWIM_FRAME_OK alone.
 * Bad is also what no correct node says: a boot of 0, a sid of 0 in PINGREQ, SUSPECT and DEAD, a
 * state behind SWIM_LEFT, bucket sums that are not SWIM_BUCKETS, broken entries or sids, records
 * and values beyond their limits. After a bad one all that follow are bad. */
enum swim_frame_read swim_frame_read(struct unpack *run, size_t max_bin, struct swim_frame *frame);
