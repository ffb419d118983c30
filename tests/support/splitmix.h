/* SPDX-License-Identifier: Apache-2.0
 *
 * splitmix64, https://prng.di.unimi.it/splitmix64.c: everything follows from the state at the
 * start.
 */
#pragma once

#include <stdint.h>

static inline uint64_t splitmix_u64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 … n-1; 0 for n = 0. */
static inline uint32_t splitmix_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((splitmix_u64(state) >> 32) * n >> 32);
}
