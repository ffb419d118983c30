/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b (noiseprotocol.org, revision 34) and nothing else of Noise:
 * two handshake messages between sides that share a 32-byte key, then two ciphers. libsodium's
 * primitives; no I/O, no randomness (the ephemeral secret is an argument), no allocation. Driver:
 * shared/wire/channel_sodium.c, which frames it and says what a failure means.
 *
 *   -> psk, e          message 1: e 32, sealed payload n + 16
 *   <- e, ee           message 2: e 32, sealed payload n + 16
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY_BYTES     32
#define NOISE_HASH_BYTES    64
#define NOISE_TAG_BYTES     16
#define NOISE_EXTRA_BYTES   (NOISE_KEY_BYTES + NOISE_TAG_BYTES) /* of a handshake message */
#define NOISE_MESSAGE_MAX   65535u                              /* with the tag; Noise section 3 */
#define NOISE_PROTOCOL_NAME "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"

enum noise_role { NOISE_INITIATOR, NOISE_RESPONDER };

/* One direction. n counts the messages and is the nonce (little endian, behind 32 zero bits). */
struct noise_cipher {
    uint8_t key[NOISE_KEY_BYTES];
    uint64_t n;
};

struct noise_handshake {
    uint8_t chaining_key[NOISE_HASH_BYTES];
    uint8_t hash[NOISE_HASH_BYTES]; /* after both messages: the handshake hash */
    struct noise_cipher cipher;
    uint8_t ephemeral[NOISE_KEY_BYTES]; /* secret */
    uint8_t remote[NOISE_KEY_BYTES];    /* the other side's public one */
    enum noise_role role;
};

/* `ephemeral`: 32 fresh random bytes for this handshake alone. Both sides must give the same
 * prologue and psk. */
void noise_begin(struct noise_handshake *hs, enum noise_role role,
                 const uint8_t psk[NOISE_KEY_BYTES], const uint8_t ephemeral[NOISE_KEY_BYTES],
                 const void *prologue, size_t n);

/* Writes this side's message: n + NOISE_EXTRA_BYTES bytes. The initiator writes, then reads; the
 * responder reads, then writes. False when the other side's point was of low order: give up. */
bool noise_write(struct noise_handshake *hs, const void *payload, size_t n, uint8_t *out);
/* Reads the other side's message of n bytes; the payload has n - NOISE_EXTRA_BYTES. False when it
 * is too short, altered, made with another psk or prologue, or its point is of low order; the
 * handshake is of no use then. */
bool noise_read(struct noise_handshake *hs, const uint8_t *message, size_t n, uint8_t *payload);

/* After both messages: the ciphers of both directions. Wipes all of the handshake but its hash. */
void noise_split(struct noise_handshake *hs, struct noise_cipher *send,
                 struct noise_cipher *receive);

/* A transport message: n bytes and the tag; out may be `plain`. REQUIREs that not all 2^64 - 1
 * nonces are used up. */
void noise_seal(struct noise_cipher *cipher, const void *plain, size_t n, uint8_t *out);
/* n with the tag; out (n - NOISE_TAG_BYTES bytes) may be `sealed`. False: altered, out of its
 * order, or shorter than a tag; the cipher has not moved on. */
bool noise_open(struct noise_cipher *cipher, const uint8_t *sealed, size_t n, uint8_t *out);
/* Rekey() of section 4.2: the next key; what was sealed before cannot be read with it. */
void noise_rekey(struct noise_cipher *cipher);
