/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's only source of randomness: ChaCha20 under a key that whoever starts it gives (the
 * product from the system's random numbers, the simulator from its seed). The same seed, the same
 * numbers, on every machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SWIM_RANDOM_BLOCK 256

struct swim_random {
    uint8_t key[32];
    uint64_t n_blocks;
    uint32_t used;
    uint8_t block[SWIM_RANDOM_BLOCK];
};

void swim_random_init(struct swim_random *random, const uint8_t seed[32]);
uint64_t swim_random_u64(struct swim_random *random);
/* 0 to n − 1, each as likely; 0 for n = 0. */
uint64_t swim_random_below(struct swim_random *random, uint64_t n);
