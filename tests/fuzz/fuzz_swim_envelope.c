/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams from anybody, as a receiver takes them: head, key, replay window, cipher, both ciphers.
 * What opens was sealed by one who has the key: sealing it again gives the same bytes. Then the
 * input stands as the clear text of a datagram of ours, which opens, and does not when it was
 * damaged.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "tests/support/swim_keys.h"

#define INPUT_MAX 4096

static const uint8_t own_nonce[SWIM_NONCE_BYTES] = "life of another";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void receive(const struct swim_crypto *crypto, const uint8_t *data, size_t n)
{
    static uint8_t bytes[INPUT_MAX];
    struct swim_keyring ring = swim_test_keyring();
    struct swim_replay replay = {0};
    struct swim_envelope envelope;
    const uint8_t *frames;
    size_t n_frames;

    memcpy(bytes, data, n);
    if (!swim_envelope_read(bytes, n, &envelope)) {
        return;
    }
    REQUIRE(n >= SWIM_SEALED_EXTRA && envelope.counter > 0);
    const struct swim_key *key = swim_keyring_find(&ring, envelope.key_id);
    if (key == NULL || !swim_replay_is_new(&replay, envelope.counter) ||
        !swim_envelope_open(&ring, key, crypto, own_nonce, bytes, n, &frames, &n_frames)) {
        return;
    }
    memcpy(envelope.to_nonce, own_nonce, SWIM_NONCE_BYTES);
    swim_replay_take(&replay, envelope.counter);
    REQUIRE(!swim_replay_is_new(&replay, envelope.counter));
    REQUIRE(frames == bytes + SWIM_HEAD_BYTES && n_frames == n - SWIM_SEALED_EXTRA);
    REQUIRE(swim_envelope_seal(&ring, key, crypto, &envelope, bytes, n_frames) == n);
    REQUIRE(memcmp(bytes, data, n) == 0);
}

static void send(const struct swim_crypto *crypto, const uint8_t *data, size_t n)
{
    static uint8_t bytes[INPUT_MAX + SWIM_SEALED_EXTRA];
    static uint8_t damaged[INPUT_MAX + SWIM_SEALED_EXTRA];
    struct swim_keyring ring = swim_test_keyring();
    struct swim_envelope envelope = {.class = n > 1000 ? SWIM_CLASS_STREAM : SWIM_CLASS_DATAGRAM,
                                     .counter = n + 1,
                                     .bound = n % 2 == 0};
    struct swim_envelope got;
    const uint8_t *frames;
    size_t n_frames;

    memcpy(envelope.to_nonce, own_nonce, SWIM_NONCE_BYTES);
    memcpy(bytes + SWIM_HEAD_BYTES, data, n);
    size_t all = swim_envelope_seal(&ring, swim_keyring_active(&ring), crypto, &envelope, bytes, n);
    memcpy(damaged, bytes, all);
    size_t at = n == 0 ? 0 : (data[0] + 256u * data[n - 1]) % (all - 8);
    damaged[8 + at] ^= (uint8_t)(1u << n % 8); /* behind the key id */
    REQUIRE(swim_envelope_read(bytes, all, &got));
    const struct swim_key *key = swim_keyring_find(&ring, got.key_id);
    REQUIRE(key == swim_keyring_active(&ring));
    REQUIRE(swim_envelope_open(&ring, key, crypto, own_nonce, bytes, all, &frames, &n_frames));
    REQUIRE(n_frames == n && memcmp(frames, data, n) == 0);
    REQUIRE(!swim_envelope_open(&ring, key, crypto, own_nonce, damaged, all, &frames, &n_frames));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n <= INPUT_MAX && n > 0) {
        receive(&swim_crypto_sodium, data, n);
        receive(&swim_crypto_null, data, n);
        send(&swim_crypto_sodium, data, n);
        send(&swim_crypto_null, data, n);
    }
    return 0;
}
