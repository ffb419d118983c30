/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_envelope.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/swarm/swim_limits.h"

#define FLAG_BOUND  1
#define AD_MOST     (CLEAR_BYTES + SWIM_CLUSTER_BYTES + SWIM_LIFE_BYTES)
#define CLEAR_BYTES 8 /* magic to key id: authenticated, not part of the nonce */

_Static_assert(SWIM_HEAD_BYTES == CLEAR_BYTES + SWIM_AEAD_NONCE, "the nonce ends the head");

static void put_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static void put_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

bool swim_envelope_read(const uint8_t *bytes, size_t n, struct swim_envelope *envelope)
{
    if (n < SWIM_SEALED_EXTRA || bytes[0] != SWIM_MAGIC || bytes[1] != SWIM_VERSION ||
        (bytes[2] & ~FLAG_BOUND) != 0 || bytes[3] > SWIM_CLASS_STREAM) {
        return false;
    }
    size_t most = bytes[3] == SWIM_CLASS_STREAM ? SWIM_STREAM_MESSAGE_MAX + SWIM_SEALED_EXTRA
                                                : SWIM_DATAGRAM_MAX;
    uint64_t counter = get_be64(bytes + 24);
    if (n > most || counter == 0) {
        return false;
    }
    envelope->key_id = get_be32(bytes + 4);
    envelope->class = bytes[3];
    memcpy(envelope->boot_nonce, bytes + 8, SWIM_NONCE_BYTES);
    envelope->counter = counter;
    envelope->bound = (bytes[2] & FLAG_BOUND) != 0;
    return true;
}

const struct swim_key *swim_keyring_find(const struct swim_keyring *ring, uint32_t key_id)
{
    for (uint32_t i = 0; i < ring->n; i++) {
        if (ring->keys[i].id == key_id) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

const struct swim_key *swim_keyring_active(const struct swim_keyring *ring)
{
    for (uint32_t i = 0; i < ring->n; i++) {
        if (ring->keys[i].state == SWIM_KEY_ACTIVE) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

/* What is authenticated and not encrypted; gives its bytes. */
static size_t make_ad(uint8_t ad[AD_MOST], const uint8_t *head, const struct swim_keyring *ring,
                      const uint8_t to_nonce[SWIM_NONCE_BYTES])
{
    size_t n = CLEAR_BYTES + SWIM_CLUSTER_BYTES;

    memcpy(ad, head, CLEAR_BYTES);
    memcpy(ad + CLEAR_BYTES, ring->cluster_id, SWIM_CLUSTER_BYTES);
    if ((head[2] & FLAG_BOUND) != 0) {
        memcpy(ad + n, to_nonce, SWIM_LIFE_BYTES);
        n += SWIM_LIFE_BYTES;
    }
    return n;
}

size_t swim_envelope_seal(const struct swim_keyring *ring, const struct swim_key *key,
                          const struct swim_crypto *crypto, const struct swim_envelope *envelope,
                          uint8_t *bytes, size_t n)
{
    uint8_t ad[AD_MOST];

    bytes[0] = SWIM_MAGIC;
    bytes[1] = SWIM_VERSION;
    bytes[2] = envelope->bound ? FLAG_BOUND : 0;
    bytes[3] = envelope->class;
    put_be32(bytes + 4, key->id);
    memcpy(bytes + 8, envelope->boot_nonce, SWIM_NONCE_BYTES);
    put_be64(bytes + 24, envelope->counter);
    size_t n_ad = make_ad(ad, bytes, ring, envelope->to_nonce);
    crypto->seal(key->key, bytes + CLEAR_BYTES, ad, n_ad, bytes + SWIM_HEAD_BYTES, n);
    return n + SWIM_SEALED_EXTRA;
}

bool swim_envelope_open(const struct swim_keyring *ring, const struct swim_key *key,
                        const struct swim_crypto *crypto, const uint8_t own_nonce[SWIM_NONCE_BYTES],
                        uint8_t *bytes, size_t n, const uint8_t **frames, size_t *n_frames)
{
    uint8_t ad[AD_MOST];

    if (n < SWIM_SEALED_EXTRA) {
        return false;
    }
    size_t n_ad = make_ad(ad, bytes, ring, own_nonce);
    if (!crypto->open(key->key, bytes + CLEAR_BYTES, ad, n_ad, bytes + SWIM_HEAD_BYTES,
                      n - SWIM_SEALED_EXTRA)) {
        return false;
    }
    *frames = bytes + SWIM_HEAD_BYTES;
    *n_frames = n - SWIM_SEALED_EXTRA;
    return true;
}
