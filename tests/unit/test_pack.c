/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack written and read: the forms of the specification, and bytes that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/base/pack.h"
#include "shared/base/unpack.h"

#define GUARD 0xa5

struct sample {
    int64_t value;
    const char *bytes;
    size_t n;
};

#define SAMPLE(value, bytes)                                                                       \
    {                                                                                              \
        (value), (bytes), sizeof(bytes) - 1                                                        \
    }

static const struct sample integers[] = {
    SAMPLE(0, "\x00"),
    SAMPLE(127, "\x7f"),
    SAMPLE(128, "\xcc\x80"),
    SAMPLE(255, "\xcc\xff"),
    SAMPLE(256, "\xcd\x01\x00"),
    SAMPLE(65535, "\xcd\xff\xff"),
    SAMPLE(65536, "\xce\x00\x01\x00\x00"),
    SAMPLE(UINT32_MAX, "\xce\xff\xff\xff\xff"),
    SAMPLE(1ll << 32, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
    SAMPLE(INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
    SAMPLE(-1, "\xff"),
    SAMPLE(-32, "\xe0"),
    SAMPLE(-33, "\xd0\xdf"),
    SAMPLE(-128, "\xd0\x80"),
    SAMPLE(-129, "\xd1\xff\x7f"),
    SAMPLE(-32768, "\xd1\x80\x00"),
    SAMPLE(-32769, "\xd2\xff\xff\x7f\xff"),
    SAMPLE(INT32_MIN, "\xd2\x80\x00\x00\x00"),
    SAMPLE(INT32_MIN - 1ll, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"),
    SAMPLE(INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
};

static void numbers_take_their_shortest_form_and_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        const struct sample *s = &integers[i];
        uint8_t out[16];
        struct pack p = pack_into(out, sizeof out);
        pack_i64(&p, s->value);
        assert_false(p.failed);
        assert_int_equal(pack_length(&p), s->n);
        assert_memory_equal(out, s->bytes, s->n);
        struct unpack u = unpack_from(out, s->n);
        assert_true(unpack_i64(&u) == s->value);
        assert_false(unpack_failed(&u));
        assert_int_equal(unpack_left(&u), 0);
        u = unpack_from(out, s->n);
        uint64_t v = unpack_u64(&u);
        assert_int_equal(unpack_failed(&u), s->value < 0); /* a negative one is none */
        assert_true(v == (s->value < 0 ? 0 : (uint64_t)s->value));
    }
}

static void the_greatest_number_is_unsigned_alone(void **state)
{
    uint8_t out[9];
    struct pack p = pack_into(out, sizeof out);
    struct unpack u = unpack_from(out, sizeof out);
    struct unpack as_signed = u;

    (void)state;
    pack_u64(&p, UINT64_MAX);
    assert_int_equal(pack_length(&p), 9);
    assert_true(unpack_u64(&u) == UINT64_MAX);
    assert_false(unpack_failed(&u));
    assert_true(unpack_i64(&as_signed) == 0);
    assert_true(unpack_failed(&as_signed));
}

static void longer_forms_and_signed_ones_of_a_number_are_read(void **state)
{
    static const struct sample cases[] = {
        SAMPLE(5, "\xcc\x05"),
        SAMPLE(5, "\xcd\x00\x05"),
        SAMPLE(5, "\xd0\x05"),
        SAMPLE(5, "\xd1\x00\x05"),
        SAMPLE(5, "\xd2\x00\x00\x00\x05"),
        SAMPLE(5, "\xd3\x00\x00\x00\x00\x00\x00\x00\x05"),
        SAMPLE(5, "\xcf\x00\x00\x00\x00\x00\x00\x00\x05"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct unpack u = unpack_from(cases[i].bytes, cases[i].n);
        struct unpack v = u;
        assert_true(unpack_u64(&u) == 5 && unpack_i64(&v) == 5);
        assert_false(unpack_failed(&u) || unpack_failed(&v));
        assert_int_equal(unpack_left(&u), 0);
    }
}

static void a_fixed_number_has_nine_bytes_whatever_it_is(void **state)
{
    static const uint64_t values[] = {0, 1, 300, UINT32_MAX, UINT64_MAX};
    uint8_t out[9];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct pack p = pack_into(out, sizeof out);
        pack_u64_fixed(&p, values[i]);
        assert_false(p.failed);
        assert_int_equal(pack_length(&p), 9);
        struct unpack u = unpack_from(out, sizeof out);
        assert_true(unpack_u64(&u) == values[i]);
    }
}

static void numbers_above_their_bound_are_refused(void **state)
{
    struct unpack u = unpack_from("\x08\x09", 2);

    (void)state;
    assert_int_equal(unpack_u64_most(&u, 8), 8);
    assert_false(unpack_failed(&u));
    assert_int_equal(unpack_u64_most(&u, 8), 0);
    assert_true(unpack_failed(&u));
}

static void runs_have_the_shortest_head_and_come_back(void **state)
{
    static const struct {
        size_t n;
        size_t bin_head, str_head;
        uint8_t bin_tag, str_tag;
    } cases[] = {
        {0, 2, 1, 0xc4, 0xa0},     {1, 2, 1, 0xc4, 0xa1},     {31, 2, 1, 0xc4, 0xbf},
        {32, 2, 2, 0xc4, 0xd9},    {255, 2, 2, 0xc4, 0xd9},   {256, 3, 3, 0xc5, 0xda},
        {65535, 3, 3, 0xc5, 0xda}, {65536, 5, 5, 0xc6, 0xdb},
    };
    static uint8_t bytes[65536];
    static uint8_t out[65536 + 8];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = cases[i].n;
        size_t got;
        struct pack p = pack_into(out, sizeof out);
        pack_bin(&p, n == 0 ? NULL : bytes, n);
        assert_false(p.failed);
        assert_int_equal(out[0], cases[i].bin_tag);
        assert_int_equal(pack_length(&p), cases[i].bin_head + n);
        struct unpack u = unpack_from(out, pack_length(&p));
        const uint8_t *bin = unpack_bin(&u, n, &got);
        assert_ptr_equal(bin, out + cases[i].bin_head);
        assert_int_equal(got, n);
        u = unpack_from(out, pack_length(&p));
        assert_non_null(unpack_bin_of(&u, n));
        u = unpack_from(out, pack_length(&p));
        assert_null(unpack_bin_of(&u, n + 1));
        assert_true(unpack_failed(&u));
        if (n > 0) {
            u = unpack_from(out, pack_length(&p));
            assert_null(unpack_bin(&u, n - 1, &got)); /* longer than its bound */
            assert_int_equal(got, 0);
            assert_true(unpack_failed(&u));
        }

        p = pack_into(out, sizeof out);
        pack_str(&p, (const char *)bytes, n);
        assert_int_equal(out[0], cases[i].str_tag);
        assert_int_equal(pack_length(&p), cases[i].str_head + n);
        u = unpack_from(out, pack_length(&p));
        assert_ptr_equal(unpack_str(&u, n, &got), out + cases[i].str_head);
        assert_int_equal(got, n);
    }
}

static void a_string_is_no_bin_and_a_bin_no_string(void **state)
{
    size_t n;
    struct unpack u = unpack_from("\xa1x", 2);
    struct unpack v = unpack_from("\xc4\x01x", 3);

    (void)state;
    assert_null(unpack_bin(&u, 9, &n));
    assert_null(unpack_str(&v, 9, &n));
    assert_true(unpack_failed(&u) && unpack_failed(&v));
}

static void arrays_and_maps_have_the_shortest_head(void **state)
{
    static const struct {
        uint32_t n;
        size_t head;
        uint8_t array_tag, map_tag;
    } cases[] = {
        {0, 1, 0x90, 0x80},     {15, 1, 0x9f, 0x8f},    {16, 3, 0xdc, 0xde},
        {65535, 3, 0xdc, 0xde}, {65536, 5, 0xdd, 0xdf},
    };
    static uint8_t out[2 * 65536 + 8];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pack p = pack_into(out, sizeof out);
        pack_array(&p, cases[i].n);
        assert_int_equal(out[0], cases[i].array_tag);
        assert_int_equal(pack_length(&p), cases[i].head);
        struct unpack u = unpack_from(out, cases[i].head + cases[i].n);
        assert_int_equal(unpack_array(&u, cases[i].n), cases[i].n);
        assert_false(unpack_failed(&u));
        p = pack_into(out, sizeof out);
        pack_map(&p, cases[i].n);
        assert_int_equal(out[0], cases[i].map_tag);
        u = unpack_from(out, cases[i].head + 2 * (size_t)cases[i].n);
        assert_int_equal(unpack_map(&u, cases[i].n), cases[i].n);
        assert_false(unpack_failed(&u));
    }
}

static void announced_counts_are_held_against_the_bytes_left(void **state)
{
    struct unpack claims = unpack_from("\xdd\x0f\xff\xff\xff", 5); /* 268 million elements */
    struct unpack most = unpack_from("\x93\x01\x02\x03", 4);
    struct unpack cut = unpack_from("\x93\x01\x02", 3);
    struct unpack pairs = unpack_from("\x82\x01\x02\x03", 4);

    (void)state;
    assert_int_equal(unpack_array(&claims, UINT32_MAX), 0);
    assert_true(unpack_failed(&claims));
    assert_int_equal(unpack_array(&most, 2), 0); /* more than its bound */
    assert_true(unpack_failed(&most));
    assert_int_equal(unpack_array(&cut, 9), 0);
    assert_true(unpack_failed(&cut));
    assert_int_equal(unpack_map(&pairs, 9), 0);
    assert_true(unpack_failed(&pairs));
}

static void booleans_and_nil(void **state)
{
    struct unpack u = unpack_from("\xc3\xc2\xc0\x01", 4);

    (void)state;
    assert_false(unpack_is_nil(&u)); /* looks only */
    assert_true(unpack_bool(&u));
    assert_false(unpack_bool(&u));
    assert_true(unpack_is_nil(&u));
    assert_false(unpack_failed(&u));
    assert_false(unpack_is_nil(&u));
    assert_int_equal(unpack_u64(&u), 1);
    assert_false(unpack_is_nil(&u)); /* at the end */
    assert_false(unpack_failed(&u));
    struct unpack v = unpack_from("\x01", 1);
    assert_false(unpack_bool(&v));
    assert_true(unpack_failed(&v));
}

static void the_first_failure_is_for_good_and_gives_zeros(void **state)
{
    struct unpack u = unpack_from("\xc1\x05\x91\xc3\xc4\x01x\xc0", 8);
    size_t n = 7;

    (void)state;
    assert_int_equal(unpack_u64(&u), 0);
    assert_true(unpack_failed(&u));
    assert_int_equal(unpack_u64(&u), 0);
    assert_int_equal(unpack_i64(&u), 0);
    assert_int_equal(unpack_array(&u, 9), 0);
    assert_false(unpack_bool(&u));
    assert_null(unpack_bin(&u, 9, &n));
    assert_int_equal(n, 0);
    assert_false(unpack_is_nil(&u));
    unpack_skip(&u, 9);
    assert_true(unpack_failed(&u));
}

/* One of everything that the writer has. */
static void write_all(struct pack *p)
{
    pack_array(p, 9);
    pack_nil(p);
    pack_bool(p, true);
    pack_u64(p, 70000);
    pack_i64(p, -70000);
    pack_u64_fixed(p, 1);
    pack_bin(p, "abc", 3);
    pack_str(p, "defg", 4);
    pack_map(p, 1);
    pack_u64(p, 1);
    pack_array(p, 0);
    pack_raw(p, "\xc2", 1);
}

static void with_too_little_room_it_fails_and_writes_nothing_beyond(void **state)
{
    uint8_t whole[64];
    uint8_t out[sizeof whole];
    struct pack p = pack_into(whole, sizeof whole);

    (void)state;
    write_all(&p);
    assert_false(p.failed);
    size_t n = pack_length(&p);
    for (size_t room = 0; room <= n; room++) {
        memset(out, GUARD, sizeof out);
        p = pack_into(out, room);
        write_all(&p);
        assert_int_equal(p.failed, room < n);
        assert_true(pack_length(&p) <= room);
        assert_memory_equal(out, whole, pack_length(&p));
        for (size_t i = pack_length(&p); i < sizeof out; i++) {
            assert_int_equal(out[i], GUARD);
        }
    }
}

static void after_a_miss_not_even_the_small_is_written(void **state)
{
    uint8_t out[4] = {0};
    struct pack p = pack_into(out, sizeof out);

    (void)state;
    pack_u64(&p, UINT64_MAX);
    assert_true(p.failed);
    pack_nil(&p);
    assert_true(p.failed);
    assert_int_equal(pack_length(&p), 0);
    assert_int_equal(pack_room(&p), 4);
    assert_int_equal(out[0], 0);
    p = pack_into(NULL, 0);
    pack_raw(&p, NULL, 0);
    assert_false(p.failed);
    pack_nil(&p);
    assert_true(p.failed);
}

static void cut_anywhere_it_cannot_be_skipped(void **state)
{
    uint8_t whole[64];
    struct pack p = pack_into(whole, sizeof whole);

    (void)state;
    write_all(&p);
    for (size_t n = 0; n <= pack_length(&p); n++) {
        struct unpack u = unpack_from(whole, n);
        unpack_skip(&u, 2);
        assert_int_equal(unpack_failed(&u), n < pack_length(&p));
        assert_true(n < pack_length(&p) || unpack_left(&u) == 0);
    }
}

static void skipping_reads_over_every_type(void **state)
{
    static const struct {
        uint8_t head[6];
        size_t n_head, n_more;
    } cases[] = {
        {{0x00}, 1, 0},
        {{0x7f}, 1, 0},
        {{0xc0}, 1, 0},
        {{0xc2}, 1, 0},
        {{0xc3}, 1, 0},
        {{0xc4, 3}, 2, 3},
        {{0xc5, 1, 0}, 3, 256},
        {{0xc6, 0, 0, 1, 0}, 5, 256},
        {{0xc7, 4}, 2, 5},
        {{0xc8, 1, 0}, 3, 257},
        {{0xc9, 0, 0, 1, 0}, 5, 257},
        {{0xca}, 1, 4},
        {{0xcb}, 1, 8},
        {{0xcc}, 1, 1},
        {{0xcd}, 1, 2},
        {{0xce}, 1, 4},
        {{0xcf}, 1, 8},
        {{0xd0}, 1, 1},
        {{0xd1}, 1, 2},
        {{0xd2}, 1, 4},
        {{0xd3}, 1, 8},
        {{0xd4}, 1, 2},
        {{0xd5}, 1, 3},
        {{0xd6}, 1, 5},
        {{0xd7}, 1, 9},
        {{0xd8}, 1, 17},
        {{0xd9, 9}, 2, 9},
        {{0xda, 1, 0}, 3, 256},
        {{0xdb, 0, 0, 1, 0}, 5, 256},
        {{0xe0}, 1, 0},
        {{0xff}, 1, 0},
        {{0xa0}, 1, 0},
        {{0xbf}, 1, 31},
        {{0x90}, 1, 0},
        {{0x9f}, 1, 15},
        {{0xdc, 1, 0}, 3, 256},
        {{0xdd, 0, 0, 1, 0}, 5, 256},
        {{0x80}, 1, 0},
        {{0x8f}, 1, 30},
        {{0xde, 0, 9}, 3, 18},
        {{0xdf, 0, 0, 0, 9}, 5, 18},
    };
    uint8_t bytes[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = cases[i].n_head + cases[i].n_more;
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, cases[i].head, cases[i].n_head);
        struct unpack u = unpack_from(bytes, n + 1);
        unpack_skip(&u, 1);
        assert_false(unpack_failed(&u));
        assert_int_equal(unpack_left(&u), 1);
        u = unpack_from(bytes, n - 1);
        unpack_skip(&u, 1);
        assert_true(unpack_failed(&u));
    }
    struct unpack never = unpack_from("\xc1", 1);
    unpack_skip(&never, 1);
    assert_true(unpack_failed(&never));
}

static void skipping_is_bounded_in_depth(void **state)
{
    uint8_t bytes[UNPACK_DEPTH_MAX + 4];

    (void)state;
    for (unsigned depth = 0; depth <= UNPACK_DEPTH_MAX + 2; depth++) {
        memset(bytes, 0x91, depth); /* each holds the next */
        bytes[depth] = 0x05;
        for (unsigned allowed = 0; allowed <= UNPACK_DEPTH_MAX + 2; allowed++) {
            struct unpack u = unpack_from(bytes, depth + 1);
            unpack_skip(&u, allowed);
            assert_int_equal(unpack_failed(&u), depth > allowed || depth > UNPACK_DEPTH_MAX);
        }
    }
    struct unpack siblings = unpack_from("\x93\x91\x01\x91\x01\x82\x01\x02\x03\x91\x04\x07", 12);
    unpack_skip(&siblings, 3);
    assert_false(unpack_failed(&siblings));
    assert_int_equal(unpack_u64(&siblings), 7);
}

static void strings_are_copied_whole_or_not_at_all(void **state)
{
    uint8_t bytes[32];
    char out[6] = "?????";

    (void)state;
    struct pack p = pack_into(bytes, sizeof bytes);
    pack_string(&p, "");
    pack_string(&p, "five.");
    pack_string(&p, "sixsix");
    struct unpack u = unpack_from(bytes, pack_length(&p));
    unpack_string(&u, out, 5);
    assert_string_equal(out, "");
    unpack_string(&u, out, 5);
    assert_string_equal(out, "five.");
    assert_false(unpack_failed(&u));
    unpack_string(&u, out, 5);
    assert_true(unpack_failed(&u));
    assert_string_equal(out, "");
    u = unpack_from("\xa3"
                    "a\0b",
                    4); /* its end is not where it says */
    unpack_string(&u, out, 5);
    assert_true(unpack_failed(&u));
    assert_string_equal(out, "");
    u = unpack_from("\x07", 1);
    unpack_string(&u, out, 5);
    assert_true(unpack_failed(&u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_their_shortest_form_and_come_back),
        cmocka_unit_test(the_greatest_number_is_unsigned_alone),
        cmocka_unit_test(longer_forms_and_signed_ones_of_a_number_are_read),
        cmocka_unit_test(a_fixed_number_has_nine_bytes_whatever_it_is),
        cmocka_unit_test(numbers_above_their_bound_are_refused),
        cmocka_unit_test(runs_have_the_shortest_head_and_come_back),
        cmocka_unit_test(a_string_is_no_bin_and_a_bin_no_string),
        cmocka_unit_test(strings_are_copied_whole_or_not_at_all),
        cmocka_unit_test(arrays_and_maps_have_the_shortest_head),
        cmocka_unit_test(announced_counts_are_held_against_the_bytes_left),
        cmocka_unit_test(booleans_and_nil),
        cmocka_unit_test(the_first_failure_is_for_good_and_gives_zeros),
        cmocka_unit_test(with_too_little_room_it_fails_and_writes_nothing_beyond),
        cmocka_unit_test(after_a_miss_not_even_the_small_is_written),
        cmocka_unit_test(cut_anywhere_it_cannot_be_skipped),
        cmocka_unit_test(skipping_reads_over_every_type),
        cmocka_unit_test(skipping_is_bounded_in_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
