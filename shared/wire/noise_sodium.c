/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in brackets are those of the Noise specification, revision 34: sections 4.3 (HMAC-HASH,
 * HKDF), 5.1 (CipherState), 5.2 (SymmetricState), 9.2 (psk tokens), 12.3 (ChaChaPoly), 12.8
 * (BLAKE2b).
 */
#include <sodium.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/wire/noise.h"

#define BLOCK_BYTES 128 /* BLOCKLEN of BLAKE2b */

_Static_assert(NOISE_KEY_BYTES == crypto_scalarmult_BYTES, "X25519");
_Static_assert(NOISE_KEY_BYTES == crypto_aead_chacha20poly1305_IETF_KEYBYTES, "ChaCha20");
_Static_assert(NOISE_TAG_BYTES == crypto_aead_chacha20poly1305_IETF_ABYTES, "Poly1305");
_Static_assert(NOISE_HASH_BYTES == crypto_generichash_BYTES_MAX, "BLAKE2b");
_Static_assert(sizeof NOISE_PROTOCOL_NAME - 1 <= NOISE_HASH_BYTES, "the name is its own hash");

struct run {
    const void *bytes;
    size_t n;
};

/* HASH(a || b) */
static void hash(struct run a, struct run b, uint8_t out[NOISE_HASH_BYTES])
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
    (void)crypto_generichash_update(&state, a.bytes, a.n);
    (void)crypto_generichash_update(&state, b.bytes, b.n);
    (void)crypto_generichash_final(&state, out, NOISE_HASH_BYTES);
    sodium_memzero(&state, sizeof state);
}

/* HMAC (RFC 2104) over a || b. Keys are hashes: shorter than a block. */
static void hmac(const uint8_t key[NOISE_HASH_BYTES], struct run a, struct run b,
                 uint8_t out[NOISE_HASH_BYTES])
{
    uint8_t pad[BLOCK_BYTES];
    uint8_t inner[NOISE_HASH_BYTES];
    crypto_generichash_state state;

    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < NOISE_HASH_BYTES; i++) {
        pad[i] ^= key[i];
    }
    (void)crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
    (void)crypto_generichash_update(&state, pad, sizeof pad);
    (void)crypto_generichash_update(&state, a.bytes, a.n);
    (void)crypto_generichash_update(&state, b.bytes, b.n);
    (void)crypto_generichash_final(&state, inner, sizeof inner);
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    hash((struct run){pad, sizeof pad}, (struct run){inner, sizeof inner}, out);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

/* HKDF: two or three outputs of the chaining key and what is mixed in. */
static void hkdf(const uint8_t chaining_key[NOISE_HASH_BYTES], struct run input,
                 uint8_t out[][NOISE_HASH_BYTES], uint8_t n)
{
    uint8_t temp[NOISE_HASH_BYTES];

    hmac(chaining_key, input, (struct run){NULL, 0}, temp);
    for (uint8_t i = 1; i <= n; i++) {
        struct run before = i == 1 ? (struct run){NULL, 0} : (struct run){out[i - 2], sizeof temp};
        hmac(temp, before, (struct run){&i, 1}, out[i - 1]);
    }
    sodium_memzero(temp, sizeof temp);
}

static void put_nonce(uint64_t n, uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES])
{
    memset(nonce, 0, 4);
    put_le64(nonce + 4, n);
}

/* [ENCRYPT] with additional data. */
static void seal(struct noise_cipher *cipher, struct run ad, struct run plain, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

    REQUIRE(cipher->n != UINT64_MAX);
    put_nonce(cipher->n++, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.bytes, plain.n, ad.bytes, ad.n,
                                                    NULL, nonce, cipher->key);
}

static bool open_sealed(struct noise_cipher *cipher, struct run ad, struct run sealed, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

    if (sealed.n < NOISE_TAG_BYTES || cipher->n == UINT64_MAX) {
        return false;
    }
    put_nonce(cipher->n, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.bytes, sealed.n, ad.bytes,
                                                  ad.n, nonce, cipher->key) != 0) {
        return false;
    }
    cipher->n++;
    return true;
}

/* [MixHash] */
static void mix_hash(struct noise_handshake *hs, const void *bytes, size_t n)
{
    hash((struct run){hs->hash, sizeof hs->hash}, (struct run){bytes, n}, hs->hash);
}

static void take_key(struct noise_handshake *hs, const uint8_t key[NOISE_HASH_BYTES])
{
    memcpy(hs->cipher.key, key, NOISE_KEY_BYTES); /* HASHLEN is 64: cut */
    hs->cipher.n = 0;
}

/* [MixKey] */
static void mix_key(struct noise_handshake *hs, const uint8_t input[NOISE_KEY_BYTES])
{
    uint8_t out[2][NOISE_HASH_BYTES];

    hkdf(hs->chaining_key, (struct run){input, NOISE_KEY_BYTES}, out, 2);
    memcpy(hs->chaining_key, out[0], sizeof out[0]);
    take_key(hs, out[1]);
    sodium_memzero(out, sizeof out);
}

/* [MixKeyAndHash] */
static void mix_psk(struct noise_handshake *hs, const uint8_t psk[NOISE_KEY_BYTES])
{
    uint8_t out[3][NOISE_HASH_BYTES];

    hkdf(hs->chaining_key, (struct run){psk, NOISE_KEY_BYTES}, out, 3);
    memcpy(hs->chaining_key, out[0], sizeof out[0]);
    mix_hash(hs, out[1], sizeof out[1]);
    take_key(hs, out[2]);
    sodium_memzero(out, sizeof out);
}

/* Token "e" of a pattern with a psk: the public key is mixed into the key as well. */
static void mix_ephemeral(struct noise_handshake *hs, const uint8_t public_key[NOISE_KEY_BYTES])
{
    mix_hash(hs, public_key, NOISE_KEY_BYTES);
    mix_key(hs, public_key);
}

/* Token "ee". False for the points that give zeros whatever the secret is (RFC 7748, 6.1). */
static bool mix_shared(struct noise_handshake *hs)
{
    uint8_t shared[NOISE_KEY_BYTES];
    bool good = crypto_scalarmult(shared, hs->ephemeral, hs->remote) == 0;

    if (good) {
        mix_key(hs, shared);
    }
    sodium_memzero(shared, sizeof shared);
    return good;
}

void noise_begin(struct noise_handshake *hs, enum noise_role role,
                 const uint8_t psk[NOISE_KEY_BYTES], const uint8_t ephemeral[NOISE_KEY_BYTES],
                 const void *prologue, size_t n)
{
    *hs = (struct noise_handshake){.role = role};
    memcpy(hs->hash, NOISE_PROTOCOL_NAME, sizeof NOISE_PROTOCOL_NAME - 1);
    memcpy(hs->chaining_key, hs->hash, sizeof hs->hash);
    memcpy(hs->ephemeral, ephemeral, sizeof hs->ephemeral);
    mix_hash(hs, prologue, n);
    mix_psk(hs, psk); /* psk0: before anything is sent */
}

bool noise_write(struct noise_handshake *hs, const void *payload, size_t n, uint8_t *out)
{
    (void)crypto_scalarmult_base(out, hs->ephemeral);
    mix_ephemeral(hs, out);
    if (hs->role == NOISE_RESPONDER && !mix_shared(hs)) {
        return false;
    }
    seal(&hs->cipher, (struct run){hs->hash, sizeof hs->hash}, (struct run){payload, n},
         out + NOISE_KEY_BYTES);
    mix_hash(hs, out + NOISE_KEY_BYTES, n + NOISE_TAG_BYTES);
    return true;
}

bool noise_read(struct noise_handshake *hs, const uint8_t *message, size_t n, uint8_t *payload)
{
    if (n < NOISE_EXTRA_BYTES) {
        return false;
    }
    struct run sealed = {message + NOISE_KEY_BYTES, n - NOISE_KEY_BYTES};
    memcpy(hs->remote, message, sizeof hs->remote);
    mix_ephemeral(hs, hs->remote);
    if (hs->role == NOISE_INITIATOR && !mix_shared(hs)) {
        return false;
    }
    if (!open_sealed(&hs->cipher, (struct run){hs->hash, sizeof hs->hash}, sealed, payload)) {
        return false;
    }
    mix_hash(hs, sealed.bytes, sealed.n);
    return true;
}

void noise_split(struct noise_handshake *hs, struct noise_cipher *send,
                 struct noise_cipher *receive)
{
    bool first = hs->role == NOISE_INITIATOR;
    uint8_t out[2][NOISE_HASH_BYTES];
    uint8_t kept[NOISE_HASH_BYTES];

    hkdf(hs->chaining_key, (struct run){NULL, 0}, out, 2);
    *send = (struct noise_cipher){.n = 0};
    *receive = (struct noise_cipher){.n = 0};
    memcpy(send->key, out[first ? 0 : 1], NOISE_KEY_BYTES);
    memcpy(receive->key, out[first ? 1 : 0], NOISE_KEY_BYTES);
    sodium_memzero(out, sizeof out);
    memcpy(kept, hs->hash, sizeof kept);
    sodium_memzero(hs, sizeof *hs);
    memcpy(hs->hash, kept, sizeof kept);
}

void noise_seal(struct noise_cipher *cipher, const void *plain, size_t n, uint8_t *out)
{
    seal(cipher, (struct run){NULL, 0}, (struct run){plain, n}, out);
}

bool noise_open(struct noise_cipher *cipher, const uint8_t *sealed, size_t n, uint8_t *out)
{
    return open_sealed(cipher, (struct run){NULL, 0}, (struct run){sealed, n}, out);
}

void noise_rekey(struct noise_cipher *cipher)
{
    static const uint8_t zeros[NOISE_KEY_BYTES];
    uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];
    uint8_t out[NOISE_KEY_BYTES + NOISE_TAG_BYTES];

    put_nonce(UINT64_MAX, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, zeros, sizeof zeros, NULL, 0, NULL,
                                                    nonce, cipher->key);
    memcpy(cipher->key, out, NOISE_KEY_BYTES);
    sodium_memzero(out, sizeof out);
}
