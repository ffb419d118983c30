/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes that both tables of cryptography share (swim_crypto.h): ids, key ids, and the keyed
 * short hash of views and schedules. The key of the latter is no secret: what goes in is chosen by
 * members that are authenticated, and it must be the same on every node.
 */
#include <sodium.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/swarm/swim_crypto.h"

_Static_assert(crypto_shorthash_BYTES == 8, "a hash is 64 bits");

static const uint8_t hash_key[crypto_shorthash_KEYBYTES + 1] = "packetrecorder 1";

struct swim_id swim_id_of(const uint8_t public_key[SWIM_PUBLIC_BYTES])
{
    struct swim_id id;

    crypto_generichash(id.bytes, sizeof id.bytes, public_key, SWIM_PUBLIC_BYTES, NULL, 0);
    return id;
}

uint32_t swim_key_id(const uint8_t key[SWIM_KEY_BYTES])
{
    static const char text[] = "ring key id";
    uint8_t hash[crypto_generichash_BYTES];

    crypto_generichash(hash, sizeof hash, (const uint8_t *)text, sizeof text - 1, key,
                       SWIM_KEY_BYTES);
    return get_be32(hash);
}

uint64_t swim_hash(const void *bytes, size_t n)
{
    uint8_t hash[crypto_shorthash_BYTES];

    crypto_shorthash(hash, bytes, n, hash_key);
    return get_le64(hash);
}

void swim_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}
