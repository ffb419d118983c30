/* SPDX-License-Identifier: Apache-2.0
 *
 * The cryptography of the swarm behind one table of functions, so that the simulator can run with
 * the real one or with a fast stand-in that keeps every size and every check. Pure functions of
 * their arguments. swim_crypto_sodium is libsodium's Ed25519, XChaCha20-Poly1305 (IETF) and
 * BLAKE2b; swim_crypto_null has 16-byte checksums in the places of tags and 64-byte checksums in
 * those of signatures: it finds every damage, and keeps no secret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/swarm/swim_types.h"

#define SWIM_KEY_BYTES       32
#define SWIM_TAG_BYTES       16
#define SWIM_AEAD_NONCE      24
#define SWIM_SIGNATURE_BYTES 64
#define SWIM_SEED_BYTES      32

struct swim_crypto {
    /* A key pair from 32 random bytes. */
    void (*make_pair)(const uint8_t seed[SWIM_SEED_BYTES], uint8_t public_key[SWIM_PUBLIC_BYTES],
                      uint8_t secret_key[SWIM_SECRET_BYTES]);
    void (*sign)(const uint8_t secret_key[SWIM_SECRET_BYTES], const void *bytes, size_t n,
                 uint8_t signature[SWIM_SIGNATURE_BYTES]);
    bool (*verify)(const uint8_t public_key[SWIM_PUBLIC_BYTES], const void *bytes, size_t n,
                   const uint8_t signature[SWIM_SIGNATURE_BYTES]);
    /* n bytes in place, the tag behind them; `ad` is authenticated too. */
    void (*seal)(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n);
    /* In place; false: nothing of it may be used. n without the tag, which stands behind. */
    bool (*open)(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n);
};

extern const struct swim_crypto swim_crypto_sodium;
extern const struct swim_crypto swim_crypto_null;

/* The same for both: */
struct swim_id swim_id_of(const uint8_t public_key[SWIM_PUBLIC_BYTES]);
/* BLAKE2b("ring key id" keyed with the key), first 4 bytes. */
uint32_t swim_key_id(const uint8_t key[SWIM_KEY_BYTES]);
/* SipHash-2-4 with a fixed key: what view hashes, rendezvous and schedules are made of. Equal on
 * every node. */
uint64_t swim_hash(const void *bytes, size_t n);
/* Zeroes that the compiler does not leave out. */
void swim_wipe(void *bytes, size_t n);
