/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/id.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct id id_make(uint64_t unix_ms, const uint8_t random[ID_RANDOM_BYTES])
{
    struct id id;

    for (unsigned i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(unix_ms >> (8 * (5 - i)));
    }
    memcpy(id.bytes + 6, random, ID_RANDOM_BYTES);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

static bool hyphen_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void id_format(const struct id *id, char out[ID_TEXT_MAX])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;

    for (unsigned i = 0; i < ID_BYTES; i++) {
        if (hyphen_before(i)) {
            *p++ = '-';
        }
        *p++ = digits[id->bytes[i] >> 4];
        *p++ = digits[id->bytes[i] & 15];
    }
    *p = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool id_parse(const char *text, struct id *out)
{
    struct id id;
    const char *p = text;

    for (unsigned i = 0; i < ID_BYTES; i++) {
        if (hyphen_before(i) && *p++ != '-') {
            return false;
        }
        int high = nibble(p[0]);
        int low = high < 0 ? -1 : nibble(p[1]);
        if (low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    if (*p != '\0') {
        return false;
    }
    *out = id;
    return true;
}

bool id_has_prefix(const struct id *id, const char *text)
{
    char whole[ID_TEXT_MAX];
    size_t n = strlen(text);

    id_format(id, whole);
    return n >= ID_PREFIX_MIN && strncasecmp(whole, text, n) == 0;
}

uint64_t id_unix_ms(const struct id *id)
{
    uint64_t ms = 0;

    for (unsigned i = 0; i < 6; i++) {
        ms = ms << 8 | id->bytes[i];
    }
    return ms;
}

int id_compare(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, ID_BYTES);
}
