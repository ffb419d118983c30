/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/text_clean.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins there; 0: it is none, or one of Unicode's second block of
 * control characters. RFC 3629, table 3-7 of Unicode. */
static size_t character_bytes(const unsigned char *c)
{
    if (c[0] < 0x80) {
        return c[0] < 0x20 || c[0] == 0x7f ? 0 : 1;
    }
    size_t n = c[0] >= 0xc2 && c[0] <= 0xdf   ? 2
               : c[0] >= 0xe0 && c[0] <= 0xef ? 3
               : c[0] >= 0xf0 && c[0] <= 0xf4 ? 4
                                              : 0;
    uint32_t code = n == 0 ? 0 : c[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) { /* a 0 at the end is none of these either */
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    bool is_too_long = (n == 3 && code < 0x800) || (n == 4 && code < 0x10000);
    return is_surrogate || is_too_long || code > 0x10ffff || code < 0xa0 ? 0 : n;
}

void text_clean(char *text)
{
    unsigned char *c = (unsigned char *)text;

    while (*c != '\0') {
        size_t n = character_bytes(c);
        if (n == 0) {
            *c = '?';
        }
        c += n == 0 ? 1 : n;
    }
}

bool text_is_clean(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t n = 1;

    while (*c != '\0' && n > 0) {
        n = character_bytes(c);
        c += n;
    }
    return *c == '\0';
}
