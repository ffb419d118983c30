/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>

#include "shared/swarm/swim_crypto.h"

_Static_assert(crypto_sign_SEEDBYTES == SWIM_SEED_BYTES, "size");
_Static_assert(crypto_sign_PUBLICKEYBYTES == SWIM_PUBLIC_BYTES, "size");
_Static_assert(crypto_sign_SECRETKEYBYTES == SWIM_SECRET_BYTES, "size");
_Static_assert(crypto_sign_BYTES == SWIM_SIGNATURE_BYTES, "size");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SWIM_KEY_BYTES, "size");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == SWIM_AEAD_NONCE, "size");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SWIM_TAG_BYTES, "size");

static void make_pair(const uint8_t seed[SWIM_SEED_BYTES], uint8_t public_key[SWIM_PUBLIC_BYTES],
                      uint8_t secret_key[SWIM_SECRET_BYTES])
{
    crypto_sign_seed_keypair(public_key, secret_key, seed);
}

static void sign(const uint8_t secret_key[SWIM_SECRET_BYTES], const void *bytes, size_t n,
                 uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    crypto_sign_detached(signature, NULL, bytes, n, secret_key);
}

static bool verify(const uint8_t public_key[SWIM_PUBLIC_BYTES], const void *bytes, size_t n,
                   const uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, bytes, n, public_key) == 0;
}

static void seal(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(bytes, NULL, bytes, n, ad, n_ad, NULL, nonce, key);
}

static bool open_sealed(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                        const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(bytes, NULL, NULL, bytes, n + SWIM_TAG_BYTES,
                                                      ad, n_ad, nonce, key) == 0;
}

const struct swim_crypto swim_crypto_sodium = {
    .make_pair = make_pair,
    .sign = sign,
    .verify = verify,
    .seal = seal,
    .open = open_sealed,
};
