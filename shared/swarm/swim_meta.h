/* SPDX-License-Identifier: Apache-2.0
 *
 * What a member says of itself in the meta data of its signed record: facts that seldom change,
 * since every change is told to the whole swarm. The core carries these bytes and does not read
 * them; whoever shows or asks members does. Numbers that change fast go by RPC or in the ACK.
 *
 *   msgpack [proto_min, proto_max, version, rpc_port, http_port, flags, iface_digest, iface_count,
 *            tags_digest, name, site, [key id…]]
 *
 * Elements behind the known ones are read over, so that a later version may add some. The texts
 * are printable ASCII: what a peer sends reaches terminals.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_record.h"

#define SWIM_META_VERSION_MAX 24 /* characters of the software's version */
#define SWIM_META_NAME_MAX    32
#define SWIM_META_SITE_MAX    16

/* Bits of flags; unknown ones are kept. */
#define SWIM_META_CAN_CAPTURE  1u
#define SWIM_META_CLOCK_ANCHOR 2u /* its wall clock is synchronised by something outside */
#define SWIM_META_MLOCKED      4u /* its secrets cannot be swapped out */

struct swim_meta {
    uint8_t proto_min, proto_max; /* versions of the protocol it speaks; from 1 */
    uint8_t n_keys;
    uint16_t rpc_port, http_port; /* 0: none */
    uint16_t iface_count;
    uint32_t flags;
    uint64_t iface_digest; /* changes when its list of interfaces does */
    uint64_t tags_digest;
    char version[SWIM_META_VERSION_MAX + 1];
    char name[SWIM_META_NAME_MAX + 1]; /* a label: names may collide */
    char site[SWIM_META_SITE_MAX + 1];
    uint32_t key_ids[SWIM_KEYS_MAX]; /* of its ring: who lacks a key is seen before it is used */
};

/* Bytes written; 0: a text is not printable, the versions are not in order, or too many keys.
 * Whatever is written fits, however long its texts and numbers are. */
size_t swim_meta_write(const struct swim_meta *meta, uint8_t out[SWIM_META_MAX]);
/* False: not such meta data; *meta is untouched then. */
bool swim_meta_read(const uint8_t *bytes, size_t n, struct swim_meta *meta);
