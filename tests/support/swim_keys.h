/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the swarm's bytes share: one cluster with two keys, one member and its record. All
 * of it follows from constants, so that corpora stay valid.
 */
#pragma once

#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_crypto.h"
#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_record.h"

struct swim_test_member {
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];
};

static inline struct swim_test_member swim_test_member(const struct swim_crypto *crypto, uint8_t i)
{
    struct swim_test_member member;
    uint8_t seed[SWIM_SEED_BYTES];

    memset(seed, i, sizeof seed);
    crypto->make_pair(seed, member.public_key, member.secret_key);
    return member;
}

static inline struct swim_keyring swim_test_keyring(void)
{
    struct swim_keyring ring = {.n = 2};

    for (uint32_t i = 0; i < ring.n; i++) {
        memset(ring.keys[i].key, (int)(0x41 + i), SWIM_KEY_BYTES);
        ring.keys[i].id = swim_key_id(ring.keys[i].key);
        ring.keys[i].state = i == 1 ? SWIM_KEY_ACTIVE : SWIM_KEY_RETIRING;
    }
    memset(ring.cluster_id, 0xc1, sizeof ring.cluster_id);
    return ring;
}

/* Two addresses and 40 bytes of meta data. */
static inline struct swim_record swim_test_record(const struct swim_test_member *member)
{
    static const uint8_t meta[40] = "\x8d what a node says of itself";
    struct swim_record record = {
        .incarnation = {.boot = 1764000000123, .seq = 3},
        .n_addrs = 2,
        .addrs = {{.family = 4, .ip = {192, 0, 2, 7}, .port = 8081},
                  {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 7}, .port = 8081}},
        .meta = meta,
        .n_meta = sizeof meta,
    };

    memcpy(record.public_key, member->public_key, sizeof record.public_key);
    memset(record.boot_nonce, 0xb0, sizeof record.boot_nonce);
    return record;
}
