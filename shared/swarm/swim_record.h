/* SPDX-License-Identifier: Apache-2.0
 *
 * The signed record of a member: what it says of itself in one incarnation. It travels and is kept
 * as its bytes; only the owner of the key can make one, so it may come from anybody.
 *
 *   msgpack [pk bin32, boot, boot_nonce bin16, seq, kind, [[family, ip, port]…], meta bin]
 *   signature, 64 bytes
 *
 * kind: 0 alive, 1 left. The signature covers "packetrecorder member 1" ‖ cluster id ‖ the msgpack
 * bytes. Elements after the known ones are kept and signed, and not understood (forward
 * compatibility).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/swarm/swim_crypto.h"

#define SWIM_RECORD_MAX    512
#define SWIM_META_MAX      256
#define SWIM_ADDRS_MAX     4
#define SWIM_CLUSTER_BYTES 16
/* A boot further in the future than this is refused. */
#define SWIM_BOOT_AHEAD_MS (24ull * 3600 * 1000)

struct swim_record {
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t boot_nonce[SWIM_NONCE_BYTES]; /* of the envelopes of this life */
    struct swim_incarnation incarnation;
    bool left;
    uint8_t n_addrs;
    struct swim_addr addrs[SWIM_ADDRS_MAX];
    const uint8_t *meta; /* borrowed */
    uint16_t n_meta;
};

/* Bytes written to `out`, at most SWIM_RECORD_MAX; 0 when the meta data is too long. */
size_t swim_record_write(const struct swim_record *record, const struct swim_crypto *crypto,
                         const uint8_t secret_key[SWIM_SECRET_BYTES],
                         const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                         uint8_t out[SWIM_RECORD_MAX]);
/* Parses without checking the signature; false: not a record. *record borrows from bytes. */
bool swim_record_read(const uint8_t *bytes, size_t n, struct swim_record *record);
bool swim_record_is_signed(const uint8_t *bytes, size_t n, const struct swim_record *record,
                           const struct swim_crypto *crypto,
                           const uint8_t cluster_id[SWIM_CLUSTER_BYTES]);
