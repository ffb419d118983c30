/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_random.h"

#include <sodium.h>
#include <string.h>

#include "shared/base/bytes.h"

_Static_assert(crypto_stream_chacha20_KEYBYTES == 32, "a seed is a key");
_Static_assert(SWIM_RANDOM_BLOCK % 8 == 0, "numbers do not straddle blocks");

void swim_random_init(struct swim_random *random, const uint8_t seed[32])
{
    *random = (struct swim_random){.used = SWIM_RANDOM_BLOCK};
    memcpy(random->key, seed, sizeof random->key);
}

uint64_t swim_random_u64(struct swim_random *random)
{
    if (random->used == SWIM_RANDOM_BLOCK) {
        uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
        put_le64(nonce, random->n_blocks++);
        crypto_stream_chacha20(random->block, sizeof random->block, nonce, random->key);
        random->used = 0;
    }
    uint64_t v = get_le64(random->block + random->used);
    random->used += 8;
    return v;
}

/* Lemire, "Fast Random Integer Generation in an Interval" (2019): the high half of v × n, and those
 * v are drawn again that would make some results likelier than others. */
uint64_t swim_random_below(struct swim_random *random, uint64_t n)
{
    if (n == 0) {
        return 0;
    }
    for (;;) {
        unsigned __int128 product = (unsigned __int128)swim_random_u64(random) * n;
        uint64_t low = (uint64_t)product;
        if (low >= n || low >= -n % n) {
            return (uint64_t)(product >> 64);
        }
    }
}
