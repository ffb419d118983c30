/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/unpack.h"

struct unpack unpack_from(const void *bytes, size_t n)
{
    return (struct unpack){.in = bytes_reader(bytes, n)};
}

/* A number of n bytes (1, 2, 4 or 8; 0: none), the highest first. */
static uint64_t take_number(struct unpack *u, unsigned n)
{
    const uint8_t *p = bytes_take(&u->in, n);

    if (p == NULL) {
        return 0;
    }
    switch (n) {
    case 1:
        return *p;
    case 2:
        return get_be16(p);
    case 4:
        return get_be32(p);
    default:
        return n == 8 ? get_be64(p) : 0;
    }
}

/* The count behind `tag`: short tags hold it, `wide` and those after it announce 2^k bytes of it.
 * Anything else is another type. */
static uint64_t take_count(struct unpack *u, uint8_t tag, uint8_t shortest, uint8_t n_short,
                           uint8_t wide)
{
    if (u->in.failed) {
        return 0;
    }
    if (tag >= shortest && tag < shortest + n_short) {
        return (uint8_t)(tag - shortest);
    }
    if (tag == wide) {
        return take_number(u, 2);
    }
    if (tag == wide + 1) {
        return take_number(u, 4);
    }
    u->in.failed = true;
    return 0;
}

static uint32_t bound_count(struct unpack *u, uint64_t n, uint64_t max, unsigned bytes_each)
{
    if (n > max || n * bytes_each > unpack_left(u)) {
        u->in.failed = true;
    }
    return u->in.failed ? 0 : (uint32_t)n;
}

uint32_t unpack_array(struct unpack *u, uint32_t max)
{
    uint8_t tag = bytes_u8(&u->in);

    return bound_count(u, take_count(u, tag, 0x90, 16, 0xdc), max, 1);
}

uint32_t unpack_map(struct unpack *u, uint32_t max_pairs)
{
    uint8_t tag = bytes_u8(&u->in);

    return bound_count(u, take_count(u, tag, 0x80, 16, 0xde), max_pairs, 2);
}

/* Any integer as its two's complement, with its sign beside it. */
static uint64_t take_integer(struct unpack *u, bool *is_negative)
{
    uint8_t tag = bytes_u8(&u->in);
    uint64_t v = 0;

    *is_negative = false;
    if (tag < 0x80) {
        return tag; /* 0 after a failure */
    }
    if (tag >= 0xe0) {
        v = (uint64_t)(int64_t)(int8_t)tag;
    } else if (tag >= 0xcc && tag <= 0xcf) {
        return take_number(u, 1u << (tag - 0xcc));
    } else if (tag >= 0xd0 && tag <= 0xd3) {
        unsigned n = 1u << (tag - 0xd0);
        unsigned shift = 64 - 8 * n;
        v = (uint64_t)((int64_t)(take_number(u, n) << shift) >> shift);
    } else {
        u->in.failed = true;
    }
    *is_negative = (int64_t)v < 0;
    return v;
}

uint64_t unpack_u64_most(struct unpack *u, uint64_t max)
{
    bool is_negative;
    uint64_t v = take_integer(u, &is_negative);

    if (is_negative || v > max) {
        u->in.failed = true;
    }
    return u->in.failed ? 0 : v;
}

uint64_t unpack_u64(struct unpack *u)
{
    return unpack_u64_most(u, UINT64_MAX);
}

int64_t unpack_i64(struct unpack *u)
{
    bool is_negative;
    uint64_t v = take_integer(u, &is_negative);

    if (!is_negative && v > INT64_MAX) {
        u->in.failed = true;
    }
    return u->in.failed ? 0 : (int64_t)v;
}

bool unpack_bool(struct unpack *u)
{
    uint8_t tag = bytes_u8(&u->in);

    if (tag != 0xc2 && tag != 0xc3) {
        u->in.failed = true;
    }
    return !u->in.failed && tag == 0xc3;
}

bool unpack_is_nil(struct unpack *u)
{
    if (u->in.failed || unpack_left(u) == 0 || *u->in.p != 0xc0) {
        return false;
    }
    u->in.p++;
    return true;
}

static const uint8_t *take_run(struct unpack *u, uint64_t length, size_t max, size_t *n)
{
    if (length > max) {
        u->in.failed = true;
    }
    const uint8_t *bytes = bytes_take(&u->in, (size_t)length);
    *n = bytes == NULL ? 0 : (size_t)length;
    return bytes;
}

static uint64_t take_bin_length(struct unpack *u, uint8_t tag)
{
    return tag == 0xc4 ? take_number(u, 1) : take_count(u, tag, 0, 0, 0xc5);
}

static uint64_t take_str_length(struct unpack *u, uint8_t tag)
{
    return tag == 0xd9 ? take_number(u, 1) : take_count(u, tag, 0xa0, 32, 0xda);
}

const uint8_t *unpack_bin(struct unpack *u, size_t max, size_t *n)
{
    uint8_t tag = bytes_u8(&u->in);

    return take_run(u, take_bin_length(u, tag), max, n);
}

const uint8_t *unpack_bin_of(struct unpack *u, size_t n)
{
    size_t got;
    const uint8_t *bytes = unpack_bin(u, n, &got);

    if (got != n) {
        u->in.failed = true;
        return NULL;
    }
    return bytes;
}

const char *unpack_str(struct unpack *u, size_t max, size_t *n)
{
    uint8_t tag = bytes_u8(&u->in);

    return (const char *)take_run(u, take_str_length(u, tag), max, n);
}

void unpack_string(struct unpack *u, char *out, size_t max)
{
    size_t n = 0;
    const char *text = unpack_str(u, max, &n);

    out[0] = '\0';
    if (text == NULL || memchr(text, '\0', n) != NULL) {
        u->in.failed = true;
        return;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

/* Reads over one value without what it contains, and gives the number of values in it. */
static uint64_t skip_one(struct unpack *u)
{
    /* From 0xc4: bytes of a length, or bytes of a fixed size, and what comes on top. */
    static const struct {
        uint8_t length_bytes, fixed;
    } runs[] = {
        [0xc4 - 0xc4] = {1, 0}, [0xc5 - 0xc4] = {2, 0},  [0xc6 - 0xc4] = {4, 0}, /* bin */
        [0xc7 - 0xc4] = {1, 1}, [0xc8 - 0xc4] = {2, 1},  [0xc9 - 0xc4] = {4, 1}, /* ext */
        [0xca - 0xc4] = {0, 4}, [0xcb - 0xc4] = {0, 8},                          /* float */
        [0xcc - 0xc4] = {0, 1}, [0xcd - 0xc4] = {0, 2},  [0xce - 0xc4] = {0, 4}, /* uint */
        [0xcf - 0xc4] = {0, 8}, [0xd0 - 0xc4] = {0, 1},  [0xd1 - 0xc4] = {0, 2}, /* int */
        [0xd2 - 0xc4] = {0, 4}, [0xd3 - 0xc4] = {0, 8},                          /* int */
        [0xd4 - 0xc4] = {0, 2}, [0xd5 - 0xc4] = {0, 3},  [0xd6 - 0xc4] = {0, 5}, /* fixext */
        [0xd7 - 0xc4] = {0, 9}, [0xd8 - 0xc4] = {0, 17},                         /* fixext */
        [0xd9 - 0xc4] = {1, 0}, [0xda - 0xc4] = {2, 0},  [0xdb - 0xc4] = {4, 0}, /* str */
    };
    uint8_t tag = bytes_u8(&u->in);

    if (tag < 0x80 || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
        return 0; /* an integer, nil, a bool; or a failure */
    }
    if (tag < 0x90 || tag >= 0xde) {
        return 2 * (uint64_t)bound_count(u, take_count(u, tag, 0x80, 16, 0xde), UINT32_MAX, 2);
    }
    if (tag < 0xa0 || tag >= 0xdc) {
        return bound_count(u, take_count(u, tag, 0x90, 16, 0xdc), UINT32_MAX, 1);
    }
    if (tag < 0xc0) {
        (void)bytes_take(&u->in, tag & 0x1fu);
    } else if (tag == 0xc1) { /* never used, says the specification */
        u->in.failed = true;
    } else {
        uint64_t n = take_number(u, runs[tag - 0xc4].length_bytes);
        (void)bytes_take(&u->in, (size_t)(n + runs[tag - 0xc4].fixed));
    }
    return 0;
}

void unpack_skip(struct unpack *u, unsigned depth)
{
    uint64_t left[UNPACK_DEPTH_MAX + 1] = {1}; /* values to come on each level */
    unsigned level = 0;

    if (depth > UNPACK_DEPTH_MAX) {
        depth = UNPACK_DEPTH_MAX;
    }
    for (;;) {
        while (left[level] == 0) {
            if (level == 0) {
                return;
            }
            level--;
        }
        left[level]--;
        uint64_t n = skip_one(u);
        if (n > 0 && level == depth) {
            u->in.failed = true;
        }
        if (u->in.failed) {
            return;
        }
        if (n > 0) {
            left[++level] = n;
        }
    }
}
