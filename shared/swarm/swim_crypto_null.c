/* SPDX-License-Identifier: Apache-2.0
 *
 * The stand-in of swim_crypto.h for simulations: XXH3 in the places of tags and signatures. It
 * finds every damage that is not made on purpose, and another key, nonce, cluster or signer, so
 * that runs take the same turns as with the real one. It hides nothing: bytes stay clear, and
 * whoever has a public key can sign for it. A simulated attacker must not be told so; one that
 * forges signatures is simulated with swim_crypto_sodium.
 */
#include <string.h>
#include <xxhash.h>

#include "shared/base/bytes.h"
#include "shared/swarm/swim_crypto.h"

/* 16 bytes at `out`, little-endian: the same on every machine. */
static void put_hash(uint8_t *out, XXH128_hash_t hash)
{
    put_le64(out, hash.low64);
    put_le64(out + 8, hash.high64);
}

static void make_pair(const uint8_t seed[SWIM_SEED_BYTES], uint8_t public_key[SWIM_PUBLIC_BYTES],
                      uint8_t secret_key[SWIM_SECRET_BYTES])
{
    for (unsigned i = 0; i < SWIM_PUBLIC_BYTES / 16; i++) {
        put_hash(public_key + (size_t)i * 16, XXH3_128bits_withSeed(seed, SWIM_SEED_BYTES, i));
    }
    memcpy(secret_key, seed, SWIM_SEED_BYTES); /* the layout of Ed25519: seed, then public key */
    memcpy(secret_key + SWIM_SEED_BYTES, public_key, SWIM_PUBLIC_BYTES);
}

static void checksum(const uint8_t public_key[SWIM_PUBLIC_BYTES], const void *bytes, size_t n,
                     uint8_t out[SWIM_SIGNATURE_BYTES])
{
    uint8_t whole[SWIM_PUBLIC_BYTES + 16];

    memcpy(whole, public_key, SWIM_PUBLIC_BYTES);
    put_hash(whole + SWIM_PUBLIC_BYTES, XXH3_128bits(bytes, n));
    for (unsigned i = 0; i < SWIM_SIGNATURE_BYTES / 16; i++) {
        put_hash(out + (size_t)i * 16, XXH3_128bits_withSeed(whole, sizeof whole, i));
    }
}

static void sign(const uint8_t secret_key[SWIM_SECRET_BYTES], const void *bytes, size_t n,
                 uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    checksum(secret_key + SWIM_SEED_BYTES, bytes, n, signature);
}

static bool verify(const uint8_t public_key[SWIM_PUBLIC_BYTES], const void *bytes, size_t n,
                   const uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    uint8_t right[SWIM_SIGNATURE_BYTES];

    checksum(public_key, bytes, n, right);
    return memcmp(right, signature, sizeof right) == 0;
}

static void make_tag(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                     const void *ad, size_t n_ad, const uint8_t *bytes, size_t n,
                     uint8_t tag[SWIM_TAG_BYTES])
{
    uint8_t whole[SWIM_KEY_BYTES + SWIM_AEAD_NONCE + 16 + 16];
    uint8_t *at = whole + SWIM_KEY_BYTES + SWIM_AEAD_NONCE;

    memcpy(whole, key, SWIM_KEY_BYTES);
    memcpy(whole + SWIM_KEY_BYTES, nonce, SWIM_AEAD_NONCE);
    put_hash(at, XXH3_128bits(ad, n_ad));
    put_hash(at + 16, XXH3_128bits(bytes, n));
    put_hash(tag, XXH3_128bits(whole, sizeof whole));
}

static void seal(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    make_tag(key, nonce, ad, n_ad, bytes, n, bytes + n);
}

static bool open_sealed(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                        const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    uint8_t tag[SWIM_TAG_BYTES];

    make_tag(key, nonce, ad, n_ad, bytes, n, tag);
    return memcmp(tag, bytes + n, sizeof tag) == 0;
}

const struct swim_crypto swim_crypto_null = {
    .make_pair = make_pair,
    .sign = sign,
    .verify = verify,
    .seal = seal,
    .open = open_sealed,
};
