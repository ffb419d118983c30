/* SPDX-License-Identifier: Apache-2.0 */
#include "node/byte_range.h"

#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"

/* Digits; more than fits is beyond the end of everything. False when there are none. */
static bool read_number(const char **at, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = *at;

    for (; *p >= '0' && *p <= '9'; p++) {
        n = n > (UINT64_C(1) << 59) ? UINT64_MAX / 2 : n * 10 + (uint64_t)(*p - '0');
    }
    bool any = p != *at;
    *at = p;
    *out = n;
    return any;
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

enum byte_range_result byte_range_parse(const char *header, uint64_t length, uint64_t *first,
                                        uint64_t *last)
{
    uint64_t a = 0;
    uint64_t b = UINT64_MAX;

    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0) {
        return BYTE_RANGE_WHOLE;
    }
    const char *p = skip_blanks(header + 6);
    bool has_first = read_number(&p, &a);
    if (*p != '-') {
        return BYTE_RANGE_WHOLE;
    }
    p++;
    bool has_last = read_number(&p, &b);
    if (*skip_blanks(p) != '\0' || (!has_first && !has_last) || (has_first && has_last && b < a)) {
        return BYTE_RANGE_WHOLE; /* several, or nonsense */
    }
    if (!has_first) { /* the last b bytes */
        if (b == 0 || length == 0) {
            return BYTE_RANGE_NONE;
        }
        *first = b < length ? length - b : 0;
        *last = length - 1;
        return BYTE_RANGE_PART;
    }
    if (a >= length) {
        return BYTE_RANGE_NONE;
    }
    *first = a;
    *last = has_last && b < length ? b : length - 1;
    return BYTE_RANGE_PART;
}

bool etag_is_listed(const char *list, const char *etag, bool weak)
{
    const char *p = skip_blanks(list);

    if (strcmp(p, "*") == 0) {
        return true;
    }
    while (*p != '\0') {
        bool is_weak = strncmp(p, "W/", 2) == 0;
        p += is_weak ? 2 : 0;
        const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
        if (end == NULL) {
            return false;
        }
        size_t n = (size_t)(end + 1 - p);
        if ((weak || !is_weak) && n == strlen(etag) && memcmp(p, etag, n) == 0) {
            return true;
        }
        p = skip_blanks(end + 1);
        p = *p == ',' ? skip_blanks(p + 1) : p;
        if (*p != '"' && strncmp(p, "W/", 2) != 0) {
            return false;
        }
    }
    return false;
}
