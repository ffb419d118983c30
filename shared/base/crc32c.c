/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* reflected */

/* Eight tables (slicing-by-8): row k is the effect of a byte with k bytes behind it. */
static uint32_t tables[8][256];
static bool is_ready;

/* Two threads may do this at once: both write the same. */
static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t sum = i;
        for (int bit = 0; bit < 8; bit++) {
            sum = sum >> 1 ^ (POLYNOMIAL & (0u - (sum & 1u)));
        }
        __atomic_store_n(&tables[0][i], sum, __ATOMIC_RELAXED);
    }
    for (uint32_t k = 1; k < 8; k++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t sum = tables[k - 1][i];
            __atomic_store_n(&tables[k][i], sum >> 8 ^ tables[0][sum & 0xFF], __ATOMIC_RELAXED);
        }
    }
    __atomic_store_n(&is_ready, true, __ATOMIC_RELEASE);
}

static uint32_t one_byte(uint32_t sum, uint8_t byte)
{
    return sum >> 8 ^ tables[0][(sum ^ byte) & 0xFF];
}

uint32_t crc32c_portable(uint32_t sum, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    if (!__atomic_load_n(&is_ready, __ATOMIC_ACQUIRE)) {
        make_tables();
    }
    sum = ~sum;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t low = sum ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        sum = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
              tables[4][low >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
              tables[0][p[7]];
    }
    for (; n > 0; n--, p++) {
        sum = one_byte(sum, *p);
    }
    return ~sum;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const uint8_t *p,
                                                                 size_t n)
{
    uint64_t wide = ~sum;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    sum = (uint32_t)wide;
    for (; n > 0; n--, p++) {
        sum = __builtin_ia32_crc32qi(sum, *p);
    }
    return ~sum;
}

uint32_t crc32c(uint32_t sum, const void *bytes, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(sum, bytes, n)
                                            : crc32c_portable(sum, bytes, n);
}

#else

uint32_t crc32c(uint32_t sum, const void *bytes, size_t n)
{
    return crc32c_portable(sum, bytes, n);
}

#endif
