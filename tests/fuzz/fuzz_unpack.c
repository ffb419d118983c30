/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack of strangers: the first byte is a number of calls, one byte each follows that says which
 * one, then the msgpack that they read. Whatever comes, what is borrowed lies within the input,
 * counts fit the bytes left, and a failure gives zeros for good. Then all of it is walked by the
 * typed readers, and unpack_skip must end where they do.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "shared/base/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_run(const struct unpack *u, const uint8_t *start, const uint8_t *p, size_t n,
                      size_t max)
{
    if (unpack_failed(u)) {
        REQUIRE(p == NULL && n == 0);
    } else {
        REQUIRE(p >= start && p + n == u->in.p && n <= max);
    }
}

static uint64_t call_number(struct unpack *u, unsigned op, size_t max)
{
    switch (op) {
    case 0:
        return unpack_array(u, (uint32_t)max);
    case 1:
        return 2 * (uint64_t)unpack_map(u, (uint32_t)max);
    case 2:
        return unpack_u64(u) > 0 && unpack_failed(u);
    case 3:
        REQUIRE(unpack_u64_most(u, max) <= max);
        return 0;
    case 4:
        return unpack_i64(u) > 0 && unpack_failed(u);
    case 5:
        return unpack_bool(u) && unpack_failed(u);
    case 6:
        return unpack_is_nil(u) && unpack_failed(u);
    default:
        unpack_skip(u, (unsigned)max);
        return 0;
    }
}

static void call(struct unpack *u, const uint8_t *start, uint8_t what)
{
    size_t max = what >> 4;
    unsigned op = what & 15;
    size_t length = 9;
    const uint8_t *p;

    switch (op) {
    case 8:
        p = unpack_bin(u, max * max, &length);
        check_run(u, start, p, length, max * max);
        break;
    case 9:
        p = unpack_bin_of(u, max);
        check_run(u, start, p, p == NULL ? 0 : max, max);
        break;
    case 10:
        p = (const uint8_t *)unpack_str(u, max * max, &length);
        check_run(u, start, p, length, max * max);
        break;
    default: {
        uint64_t inside = call_number(u, op, max);
        REQUIRE(inside <= unpack_left(u) && inside <= 2 * max);
        REQUIRE(!unpack_failed(u) || inside == 0);
        break;
    }
    }
}

/* By the typed readers; false: not msgpack, deeper than they may, or a float or an extension. */
static bool walk(struct unpack *u, unsigned depth)
{
    size_t length;
    uint64_t inside = 0;

    if (unpack_left(u) == 0) {
        return false;
    }
    uint8_t tag = *u->in.p;
    if ((tag >= 0x80 && tag < 0x90) || tag == 0xde || tag == 0xdf) {
        inside = 2 * (uint64_t)unpack_map(u, UINT32_MAX);
    } else if ((tag >= 0x90 && tag < 0xa0) || tag == 0xdc || tag == 0xdd) {
        inside = unpack_array(u, UINT32_MAX);
    } else if ((tag >= 0xa0 && tag < 0xc0) || (tag >= 0xd9 && tag <= 0xdb)) {
        (void)unpack_str(u, SIZE_MAX, &length);
    } else if (tag >= 0xc4 && tag <= 0xc6) {
        (void)unpack_bin(u, SIZE_MAX, &length);
    } else if (tag == 0xc2 || tag == 0xc3) {
        (void)unpack_bool(u);
    } else if (tag >= 0xcc && tag <= 0xcf) {
        (void)unpack_u64(u);
    } else if (!unpack_is_nil(u)) {
        (void)unpack_i64(u);
    }
    for (; inside > 0 && !unpack_failed(u); inside--) {
        if (depth == 0 || !walk(u, depth - 1)) {
            return false;
        }
    }
    return !unpack_failed(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    size_t n_calls = bytes_u8(&in);
    const uint8_t *calls = bytes_take(&in, n_calls);

    if (calls == NULL) {
        return 0;
    }
    const uint8_t *start = in.p;
    struct unpack u = unpack_from(start, bytes_left(&in));
    bool failed = false;
    for (size_t i = 0; i < n_calls; i++) {
        call(&u, start, calls[i]);
        REQUIRE(!failed || unpack_failed(&u));
        failed = unpack_failed(&u);
    }
    for (unsigned depth = 0; depth < 6; depth++) {
        struct unpack typed = unpack_from(start, bytes_left(&in));
        struct unpack skipped = typed;
        bool whole = walk(&typed, depth);
        unpack_skip(&skipped, depth);
        REQUIRE(!whole || (!unpack_failed(&skipped) && skipped.in.p == typed.in.p));
    }
    return 0;
}
