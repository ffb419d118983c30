/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/pack.h"

#include <string.h>

struct pack pack_into(void *memory, size_t n)
{
    uint8_t *start = memory;

    return (struct pack){.start = start, .at = start, .end = n > 0 ? start + n : start};
}

/* Where the next n bytes go, or NULL when they do not fit, now or after an earlier miss. */
static uint8_t *take(struct pack *p, size_t n)
{
    if (p->failed || pack_room(p) < n) {
        p->failed = true;
        return NULL;
    }
    uint8_t *at = p->at;
    p->at += n;
    return at;
}

/* A tag, then the lowest n bytes of v, the highest first. */
static void put(struct pack *p, uint8_t tag, uint64_t v, unsigned n)
{
    uint8_t *at = take(p, 1 + (size_t)n);

    if (at == NULL) {
        return;
    }
    *at = tag;
    for (unsigned i = n; i > 0; i--) {
        at[i] = (uint8_t)v;
        v >>= 8;
    }
}

void pack_array(struct pack *p, uint32_t n_elements)
{
    if (n_elements < 16) {
        put(p, (uint8_t)(0x90 | n_elements), 0, 0);
    } else if (n_elements <= UINT16_MAX) {
        put(p, 0xdc, n_elements, 2);
    } else {
        put(p, 0xdd, n_elements, 4);
    }
}

void pack_map(struct pack *p, uint32_t n_pairs)
{
    if (n_pairs < 16) {
        put(p, (uint8_t)(0x80 | n_pairs), 0, 0);
    } else if (n_pairs <= UINT16_MAX) {
        put(p, 0xde, n_pairs, 2);
    } else {
        put(p, 0xdf, n_pairs, 4);
    }
}

void pack_nil(struct pack *p)
{
    put(p, 0xc0, 0, 0);
}

void pack_bool(struct pack *p, bool v)
{
    put(p, v ? 0xc3 : 0xc2, 0, 0);
}

void pack_u64(struct pack *p, uint64_t v)
{
    if (v < 0x80) {
        put(p, (uint8_t)v, 0, 0);
    } else if (v <= UINT8_MAX) {
        put(p, 0xcc, v, 1);
    } else if (v <= UINT16_MAX) {
        put(p, 0xcd, v, 2);
    } else if (v <= UINT32_MAX) {
        put(p, 0xce, v, 4);
    } else {
        put(p, 0xcf, v, 8);
    }
}

void pack_i64(struct pack *p, int64_t v)
{
    if (v >= 0) {
        pack_u64(p, (uint64_t)v);
    } else if (v >= -32) {
        put(p, (uint8_t)v, 0, 0);
    } else if (v >= INT8_MIN) {
        put(p, 0xd0, (uint64_t)v, 1);
    } else if (v >= INT16_MIN) {
        put(p, 0xd1, (uint64_t)v, 2);
    } else if (v >= INT32_MIN) {
        put(p, 0xd2, (uint64_t)v, 4);
    } else {
        put(p, 0xd3, (uint64_t)v, 8);
    }
}

void pack_u64_fixed(struct pack *p, uint64_t v)
{
    put(p, 0xcf, v, 8);
}

void pack_raw(struct pack *p, const void *bytes, size_t n)
{
    uint8_t *at = take(p, n);

    if (at != NULL && n > 0) {
        memcpy(at, bytes, n);
    }
}

void pack_bin(struct pack *p, const void *bytes, size_t n)
{
    if (n > UINT32_MAX) {
        p->failed = true;
    } else if (n <= UINT8_MAX) {
        put(p, 0xc4, n, 1);
    } else if (n <= UINT16_MAX) {
        put(p, 0xc5, n, 2);
    } else {
        put(p, 0xc6, n, 4);
    }
    pack_raw(p, bytes, n);
}

void pack_string(struct pack *p, const char *text)
{
    pack_str(p, text, strlen(text));
}

void pack_str(struct pack *p, const char *text, size_t n)
{
    if (n > UINT32_MAX) {
        p->failed = true;
    } else if (n < 32) {
        put(p, (uint8_t)(0xa0 | n), 0, 0);
    } else if (n <= UINT8_MAX) {
        put(p, 0xd9, n, 1);
    } else if (n <= UINT16_MAX) {
        put(p, 0xda, n, 2);
    } else {
        put(p, 0xdb, n, 4);
    }
    pack_raw(p, text, n);
}
