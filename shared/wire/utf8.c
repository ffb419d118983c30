/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080ULL

/* First bytes: how many follow, and where the first of those must lie (RFC 3629 §4). */
static bool start_character(struct utf8_check *check, uint8_t byte)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    uint8_t more = 0;

    if (byte >= 0xc2 && byte <= 0xdf) {
        more = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        more = 2;
        low = byte == 0xe0 ? 0xa0 : 0x80;
        high = byte == 0xed ? 0x9f : 0xbf;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        more = 3;
        low = byte == 0xf0 ? 0x90 : 0x80;
        high = byte == 0xf4 ? 0x8f : 0xbf;
    } else if (byte >= 0x80) {
        return false;
    }
    *check = (struct utf8_check){.more = more, .low = low, .high = high};
    return true;
}

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
        p += 8;
    }
    return p;
}

bool utf8_check_feed(struct utf8_check *check, const void *data, size_t n)
{
    const uint8_t *p = data;
    const uint8_t *end = n > 0 ? p + n : p;

    while (p < end) {
        if (check->more > 0) {
            if (*p < check->low || *p > check->high) {
                return false;
            }
            check->more--;
            check->low = 0x80;
            check->high = 0xbf;
            p++;
            continue;
        }
        p = skip_ascii(p, end);
        if (p < end && !start_character(check, *p++)) {
            return false;
        }
    }
    return true;
}

bool utf8_check_is_whole(const struct utf8_check *check)
{
    return check->more == 0;
}

bool utf8_is_valid(const void *data, size_t n)
{
    struct utf8_check check = {0};

    return utf8_check_feed(&check, data, n) && utf8_check_is_whole(&check);
}

size_t utf8_cut(const void *data, size_t n, size_t max)
{
    const uint8_t *bytes = data;

    if (n <= max) {
        return n;
    }
    while (max > 0 && (bytes[max] & 0xc0) == 0x80) {
        max--;
    }
    return max;
}
