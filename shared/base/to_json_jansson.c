/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/to_json.h"

#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

/* Bytes of the UTF-8 sequence at p (RFC 3629), 0 when it is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                    ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0  ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0  ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates and what lies above U+10FFFF. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static char *mend_utf8(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *mended = x_alloc(strlen(text) * (sizeof replacement - 1) + 1);
    char *out = mended;

    while (*text != '\0') {
        size_t n = utf8_length((const unsigned char *)text);
        const char *from = n == 0 ? replacement : text;
        size_t take = n == 0 ? sizeof replacement - 1 : n;
        memcpy(out, from, take);
        out += take;
        text += n == 0 ? 1 : n;
    }
    return mended;
}

json_t *to_json_text(const char *text)
{
    if (text == NULL || *text == '\0') {
        return json_null();
    }
    json_t *value = json_string(text);
    if (value == NULL) {
        char *mended = mend_utf8(text);
        value = json_string(mended);
        mem_free(mended);
    }
    REQUIRE(value != NULL);
    return value;
}

json_t *to_json_count(uint64_t count)
{
    if (count == UINT64_MAX) {
        return json_null();
    }
    return count > INT64_MAX ? json_real((double)count) : json_integer((json_int_t)count);
}

json_t *to_json_time(uint64_t ns)
{
    char text[TEXT_NUMBER_MAX];

    if (ns == UINT64_MAX) {
        return json_null();
    }
    text_format_time(ns, text);
    return json_string(text);
}
