/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile bytes. A bytes_reader walks a borrowed run of bytes; every read is checked, and the first
 * one that does not fit sets `failed` for good and gives zeros, so that a parser checks once at its
 * end. No struct is ever cast onto input. The put/get pairs below it are for fixed positions that
 * the caller has already checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

static inline struct bytes_reader bytes_reader(const void *data, size_t n)
{
    const uint8_t *p = data;

    return (struct bytes_reader){.p = p, .end = n > 0 ? p + n : p}; /* p may be NULL then */
}

static inline size_t bytes_left(const struct bytes_reader *r)
{
    return (size_t)(r->end - r->p);
}

/* Borrowed pointer to the next n bytes, or NULL with `failed` set. */
static inline const uint8_t *bytes_take(struct bytes_reader *r, size_t n)
{
    if (r->failed || bytes_left(r) < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static inline uint16_t get_be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t get_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t get_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline uint16_t get_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t get_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void put_le16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void put_le32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void put_le64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline uint8_t bytes_u8(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 1);
    return p == NULL ? 0 : *p;
}

static inline uint16_t bytes_be16(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 2);
    return p == NULL ? 0 : get_be16(p);
}

static inline uint32_t bytes_be32(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 4);
    return p == NULL ? 0 : get_be32(p);
}

static inline uint16_t bytes_le16(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 2);
    return p == NULL ? 0 : get_le16(p);
}

static inline uint32_t bytes_le32(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 4);
    return p == NULL ? 0 : get_le32(p);
}

static inline uint64_t bytes_le64(struct bytes_reader *r)
{
    const uint8_t *p = bytes_take(r, 8);
    return p == NULL ? 0 : get_le64(p);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "blocks are little-endian runs; a big-endian host needs swaps here");
