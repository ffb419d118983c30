/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cursor_text.h"

#include <string.h>

#include "shared/base/bytes.h"

#define SUM_BASIS 2166136261u

/* FNV-1a. */
static uint32_t sum_on(uint32_t sum, uint8_t byte)
{
    return (sum ^ byte) * 16777619u;
}

static char *put_byte(char *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
    return out;
}

void cursor_text_write(const uint8_t *bytes, size_t n, char *out)
{
    uint32_t sum = SUM_BASIS;
    uint8_t end[4];

    for (size_t i = 0; i < n; i++) {
        sum = sum_on(sum, bytes[i]);
        out = put_byte(out, bytes[i]);
    }
    put_le32(end, sum);
    for (size_t i = 0; i < sizeof end; i++) {
        out = put_byte(out, end[i]);
    }
    *out = '\0';
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool get_byte(const char *text, uint8_t *out)
{
    int high = digit(text[0]);
    int low = digit(text[1]);

    *out = (uint8_t)(high * 16 + low);
    return high >= 0 && low >= 0;
}

bool cursor_text_read(const char *text, uint8_t version, uint8_t *bytes, size_t n)
{
    uint32_t sum = SUM_BASIS;
    uint8_t end[4] = {0};
    bool good = strlen(text) == CURSOR_TEXT(n) - 1;

    for (size_t i = 0; good && i < n; i++) {
        good = get_byte(text + 2 * i, &bytes[i]);
        sum = sum_on(sum, bytes[i]);
    }
    for (size_t i = 0; good && i < sizeof end; i++) {
        good = get_byte(text + 2 * (n + i), &end[i]);
    }
    return good && bytes[0] == version && get_le32(end) == sum;
}
