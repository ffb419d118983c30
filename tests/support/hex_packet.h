/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets written as hex in tests: blanks are skipped, so that headers can stand apart.
 */
#pragma once

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"

static inline unsigned hex_digit(char c)
{
    REQUIRE(isxdigit((unsigned char)c));
    return isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(c | 0x20) - 'a' + 10u;
}

/* Bytes written to out, which has room for `max`. */
static inline uint32_t hex_bytes(const char *hex, uint8_t *out, uint32_t max)
{
    uint32_t n = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ') {
            continue;
        }
        REQUIRE(n < max && hex[1] != '\0');
        out[n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        hex++;
    }
    return n;
}
