/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: each one there and back, cut, grown, and what no node says; then the lists in digests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_digest.h"
#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_frame.h"
#include "tests/support/swim_frames.h"

#define WALL  1764000000123456789ll /* ns */
#define BOOT  1764000000123ull      /* ms */
#define SID   0xf39a2cad58411cd4ull
#define GUARD 0xa5

static const uint8_t some_bytes[1024] = {1, 2, 3};
static const uint8_t one_entry[8 + 21] = {[0] = 1};

/* One of each type, every number as wide as it usually is. */
static const struct swim_frame samples[] = {
    {.type = SWIM_PING,
     .seq = SID + 1,
     .sid = SID,
     .t1 = WALL,
     .vhash = SID + 2,
     .khash = 0xdeadbeef,
     .n_members = 1000,
     .lh = 1},
    {.type = SWIM_ACK,
     .seq = SID + 1,
     .t2 = WALL,
     .t3 = WALL + 70000,
     .lh = 2,
     .load = 200,
     .x_ns = -1500000,
     .x_bound_ns = 90000,
     .root = SID,
     .wall_ns = -3},
    {.type = SWIM_PINGREQ, .seq = SID, .sid = SID + 1, .ttl_ms = 320},
    {.type = SWIM_NACK, .seq = SID},
    {.type = SWIM_FACK, .seq = SID},
    {.type = SWIM_ALIVE_FRAME, .bin = some_bytes, .n_bin = 230},
    {.type = SWIM_SUSPECT_FRAME, .sid = SID, .incarnation = {BOOT, 4}, .from = SID + 5, .lh = 8},
    {.type = SWIM_DEAD_FRAME, .sid = SID, .incarnation = {BOOT, 4}, .from = SID + 5, .lh = 3},
    {.type = SWIM_LEFT_FRAME, .bin = some_bytes, .n_bin = SWIM_RECORD_MAX},
    {.type = SWIM_YOUARE, .state = SWIM_LEFT, .incarnation = {BOOT, UINT32_MAX}},
    {.type = SWIM_DIGEST, .state = SWIM_DIGEST_SUMS, .bin = some_bytes, .n_bin = 512},
    {.type = SWIM_DIGEST, .state = SWIM_DIGEST_LIST, .bin = one_entry, .n_bin = sizeof one_entry},
    {.type = SWIM_DIGEST, .state = SWIM_DIGEST_MORE, .bin = one_entry, .n_bin = 8},
    {.type = SWIM_DIGEST, .state = SWIM_DIGEST_KV, .bin = some_bytes, .n_bin = 48},
    {.type = SWIM_WANT, .bin = some_bytes, .n_bin = 80},
    {.type = SWIM_WANT},
    {.type = SWIM_KV,
     .sid = SID,
     .key = some_bytes,
     .version = 7,
     .state = 1,
     .bin = some_bytes,
     .n_bin = SWIM_KV_VALUE_MAX},
    {.type = SWIM_HELLO, .seq = SID, .bin = some_bytes, .n_bin = 240},
    {.type = SWIM_SYNC, .state = SWIM_SYNC_DONE},
    {.type = SWIM_LEAVEACK},
    {.type = SWIM_VIEW, .vhash = SID, .khash = 5, .n_members = 12},
};

static size_t write_one(const struct swim_frame *frame, uint8_t *out, size_t room)
{
    struct pack p = pack_into(out, room);

    swim_frame_write(&p, frame);
    assert_false(p.failed);
    return pack_length(&p);
}

static enum swim_frame_read read_one(const uint8_t *bytes, size_t n, struct swim_frame *frame)
{
    struct unpack u = unpack_from(bytes, n);

    return swim_frame_read(&u, SWIM_BIN_MAX, frame);
}

static void each_frame_comes_back_as_it_was_written(void **state)
{
    uint8_t bytes[2048];
    struct swim_frame got;
    uint32_t types = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = write_one(&samples[i], bytes, sizeof bytes);
        assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_OK);
        assert_true(swim_frames_are_same(&got, &samples[i]));
        types |= 1u << samples[i].type;
    }
    assert_int_equal(types, (2u << SWIM_VIEW) - 2); /* none is missing */
}

static void frames_follow_each_other_to_the_end(void **state)
{
    static uint8_t bytes[8192];
    struct pack p = pack_into(bytes, sizeof bytes);
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        swim_frame_write(&p, &samples[i]);
    }
    assert_false(p.failed);
    struct unpack u = unpack_from(bytes, pack_length(&p));
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_OK);
        assert_true(swim_frames_are_same(&got, &samples[i]));
    }
    assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_END);
    assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_END);
}

static void the_measured_size_is_the_written_one(void **state)
{
    static const uint64_t numbers[] = {1,     127,   128,        255,        256,
                                       65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
    static const size_t runs[] = {0, 8, 248, 256, 504, 1024};
    uint8_t bytes[2048];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
            struct swim_frame f = samples[i];
            uint64_t v = numbers[k];
            f.seq = f.sid = f.from = f.root = f.vhash = f.version = f.incarnation.boot = v;
            f.x_bound_ns = v;
            f.khash = f.n_members = f.ttl_ms = f.incarnation.seq = (uint32_t)v;
            f.lh = f.load = (uint8_t)v;
            f.x_ns = f.wall_ns = INT64_MIN; /* stamps at their widest */
            f.t1 = f.t2 = WALL;
            f.t3 = WALL + UINT32_MAX;
            assert_int_equal(write_one(&f, bytes, sizeof bytes), swim_frame_size(&f));
            f.t1 = f.t2 = f.t3 = f.x_ns = f.wall_ns = 0; /* put in late, and narrow */
            assert_true(write_one(&f, bytes, sizeof bytes) <= swim_frame_size(&f));
        }
        for (size_t k = 0; k < ARRAY_LEN(runs) && samples[i].bin != NULL; k++) {
            struct swim_frame f = samples[i];
            f.bin = some_bytes;
            f.n_bin = runs[k];
            assert_int_equal(write_one(&f, bytes, sizeof bytes), swim_frame_size(&f));
        }
    }
}

/* swarm.md 2.3 announces datagrams of 90 and 89 bytes; the hash of KV, the number of members, and
 * swim time with its root were added since. Section 4.3 allows 210 bytes a second at rest: one
 * probe and one answer to another's. */
static void a_probe_and_its_answer_keep_to_the_bytes_of_a_node_at_rest(void **state)
{
    size_t ping = swim_frame_size(&samples[0]) + SWIM_SEALED_EXTRA;
    size_t ack = swim_frame_size(&samples[1]) + SWIM_SEALED_EXTRA;

    (void)state;
    assert_int_equal(ping, 95);
    assert_true(ping + ack <= 210);
    assert_int_equal(swim_frame_size(&samples[6]), 31);   /* SUSPECT: 32 */
    assert_int_equal(swim_frame_size(&samples[7]), 31);   /* DEAD: 32 */
    assert_int_equal(swim_frame_size(&samples[10]), 518); /* sums: 520 */
}

static void every_frame_fits_a_datagram_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        assert_true(swim_frame_size(&samples[i]) + SWIM_SEALED_EXTRA <= 1232);
    }
}

static void with_too_little_room_it_fails_and_writes_nothing_beyond(void **state)
{
    uint8_t bytes[2048];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = write_one(&samples[i], bytes, sizeof bytes);
        for (size_t room = 0; room < n; room++) {
            memset(bytes, GUARD, sizeof bytes);
            struct pack p = pack_into(bytes, room);
            swim_frame_write(&p, &samples[i]);
            assert_true(p.failed);
            for (size_t k = room; k < n + 8; k++) {
                assert_int_equal(bytes[k], GUARD);
            }
        }
    }
}

static void cut_anywhere_it_is_bad(void **state)
{
    uint8_t bytes[2048];
    struct swim_frame got = {.type = 99};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = write_one(&samples[i], bytes, sizeof bytes);
        for (size_t cut = 1; cut < n; cut++) {
            struct unpack u = unpack_from(bytes, cut);
            assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_BAD);
            assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got),
                             SWIM_FRAME_BAD); /* for good */
        }
    }
    assert_int_equal(got.type, 99); /* untouched */
}

/* The frame's array may hold up to 15 elements with the same head. */
static void elements_of_later_versions_are_read_over(void **state)
{
    static const uint8_t more[] = {0x92, 0x01, 0x81, 0xa1, 'k', 0xca, 0, 0, 0, 0, 0xc4, 1, 9};
    uint8_t bytes[2048];
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = write_one(&samples[i], bytes, sizeof bytes);
        bytes[0] += 2; /* the array and the byte string */
        memcpy(bytes + n, more, sizeof more);
        n += sizeof more;
        struct unpack u = unpack_from(bytes, n);
        assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_OK);
        assert_true(swim_frames_are_same(&got, &samples[i]));
        assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_END);
        bytes[0]++; /* an element that is not there */
        assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_BAD);
    }
}

static void an_element_too_few_is_bad(void **state)
{
    uint8_t bytes[4096];
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = write_one(&samples[i], bytes, sizeof bytes);
        n += write_one(&samples[i], bytes + n, sizeof bytes - n); /* no borrowing from the next */
        bytes[0]--;
        assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_BAD);
    }
}

static void types_of_later_versions_are_read_over(void **state)
{
    static const uint8_t first[] = {0x93, 18, 0x91, 0x91, 0x05, 0xc0};
    static const uint8_t big[] = {0x91, 0xcf, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t zero[] = {0x92, 0, 0xd4, 1, 1};
    uint8_t bytes[64];
    struct pack p = pack_into(bytes, sizeof bytes);
    struct swim_frame got = {0};

    (void)state;
    pack_raw(&p, first, sizeof first);
    pack_raw(&p, big, sizeof big);
    pack_raw(&p, zero, sizeof zero);
    swim_frame_write(&p, &samples[3]);
    struct unpack u = unpack_from(bytes, pack_length(&p));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_OTHER);
        assert_int_equal(got.type, 0);
    }
    assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_OK);
    assert_true(swim_frames_are_same(&got, &samples[3]));
    assert_int_equal(swim_frame_read(&u, SWIM_BIN_MAX, &got), SWIM_FRAME_END);
}

static void what_is_not_an_array_with_a_type_is_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\x90", 1},                         /* empty */
        {"\x05", 1},                         /* a number */
        {"\x81\x04\x05", 3},                 /* a map */
        {"\x92\xff\x05", 3},                 /* a negative type */
        {"\x92\xa1\x04\x05", 4},             /* a type of text */
        {"\xdd\xff\xff\xff\xff", 5},         /* four billion elements */
        {"\xc1", 1},                         /* never used */
        {"\x92\x12\x91\x91\x91\x91\x05", 7}, /* too deep, though of an unknown type */
    };
    static uint8_t long_array[3 + 257] = {0xdc, 0x01, 0x01, 0x12}; /* 257 elements */
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_one((const uint8_t *)cases[i].bytes, cases[i].n, &got),
                         SWIM_FRAME_BAD);
    }
    assert_int_equal(read_one(long_array, sizeof long_array, &got), SWIM_FRAME_BAD);
    long_array[2] = 0;
    assert_int_equal(read_one(long_array, sizeof long_array - 1, &got), SWIM_FRAME_OTHER);
}

static bool is_read(struct swim_frame f)
{
    uint8_t bytes[2048];
    size_t n = write_one(&f, bytes, sizeof bytes);
    struct swim_frame got;

    return read_one(bytes, n, &got) == SWIM_FRAME_OK;
}

static void what_no_node_would_say_is_bad(void **state)
{
    static const uint8_t big[2000];
    struct swim_frame f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        f = samples[i];
        f.incarnation.boot = 0;
        bool has_boot =
            f.type == SWIM_SUSPECT_FRAME || f.type == SWIM_DEAD_FRAME || f.type == SWIM_YOUARE;
        assert_int_equal(is_read(f), !has_boot);
        f = samples[i];
        f.sid = 0;
        bool has_sid =
            f.type == SWIM_SUSPECT_FRAME || f.type == SWIM_DEAD_FRAME || f.type == SWIM_PINGREQ;
        assert_int_equal(is_read(f), !has_sid);
        f = samples[i];
        f.bin = big;
        bool is_long = f.type == SWIM_KV || f.type == SWIM_DIGEST;
        f.n_bin = is_long ? SWIM_BIN_MAX + 1 : SWIM_RECORD_MAX + 1;
        assert_int_equal(is_read(f), samples[i].n_bin == 0 && f.type != SWIM_WANT);
    }
    f = samples[9];
    f.state = SWIM_LEFT + 1;
    assert_false(is_read(f));
    f = samples[6];
    f.from = 0;
    assert_false(is_read(f));
}

static void byte_strings_keep_to_their_bounds_and_shapes(void **state)
{
    static const uint8_t big[2048];
    static const struct {
        uint8_t type, part;
        size_t n;
        bool good;
    } cases[] = {
        {SWIM_DIGEST, SWIM_DIGEST_SUMS, 511, false},
        {SWIM_DIGEST, SWIM_DIGEST_SUMS, 520, false},
        {SWIM_DIGEST, SWIM_DIGEST_SUMS, 0, false},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 0, false},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 7, false},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 8, true},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 8 + 20, false},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 8 + 48 * 21, true},
        {SWIM_DIGEST, SWIM_DIGEST_LIST, 8 + 49 * 21, false}, /* more than SWIM_BIN_MAX */
        {SWIM_DIGEST, SWIM_DIGEST_MORE, 8 + 22, false},
        {SWIM_DIGEST, SWIM_DIGEST_KV, 1025, false},
        {SWIM_DIGEST, 200, 5, true}, /* a part of a later version */
        {SWIM_WANT, 0, 7, false},
        {SWIM_WANT, 0, 1024, true},
        {SWIM_WANT, 0, 1032, false},
        {SWIM_ALIVE_FRAME, 0, SWIM_RECORD_MAX, true},
        {SWIM_ALIVE_FRAME, 0, SWIM_RECORD_MAX + 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct swim_frame f = {
            .type = cases[i].type, .state = cases[i].part, .bin = big, .n_bin = cases[i].n};
        assert_int_equal(is_read(f), cases[i].good);
    }
    /* On a stream a list may be long; a record may not. */
    uint8_t bytes[4096];
    struct swim_frame f = {.type = SWIM_WANT, .bin = big, .n_bin = 2048};
    struct swim_frame got;
    struct unpack u = unpack_from(bytes, write_one(&f, bytes, sizeof bytes));
    assert_int_equal(swim_frame_read(&u, SWIM_STREAM_BIN_MAX, &got), SWIM_FRAME_OK);
    f = (struct swim_frame){.type = SWIM_ALIVE_FRAME, .bin = big, .n_bin = SWIM_RECORD_MAX + 1};
    u = unpack_from(bytes, write_one(&f, bytes, sizeof bytes));
    assert_int_equal(swim_frame_read(&u, SWIM_STREAM_BIN_MAX, &got), SWIM_FRAME_BAD);
}

/* A frame by hand: numbers of the wrong sign and width. */
static void numbers_keep_to_their_types(void **state)
{
    static const struct {
        int64_t seq, ttl;
        bool good;
    } cases[] = {
        {5, 7, true}, {-5, 7, false}, {5, -7, false}, {5, UINT32_MAX, true}, {5, 1ll << 32, false},
    };
    uint8_t bytes[64];
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pack p = pack_into(bytes, sizeof bytes);
        pack_array(&p, 4);
        pack_u64(&p, SWIM_PINGREQ);
        pack_i64(&p, cases[i].seq);
        pack_u64(&p, SID);
        pack_i64(&p, cases[i].ttl);
        assert_int_equal(read_one(bytes, pack_length(&p), &got) == SWIM_FRAME_OK, cases[i].good);
    }
}

static void the_turn_of_an_answer_is_bounded(void **state)
{
    static const struct {
        int64_t t2, t3, want_t3;
    } cases[] = {
        {WALL, WALL, WALL},
        {WALL, WALL - 1, WALL}, /* the clock stepped back meanwhile */
        {WALL, WALL + UINT32_MAX, WALL + UINT32_MAX},
        {WALL, WALL + UINT32_MAX + 1, WALL + UINT32_MAX},
        {INT64_MIN, INT64_MAX, INT64_MIN + UINT32_MAX},
        {-5, 5, 5},
    };
    uint8_t bytes[64];
    struct swim_frame got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct swim_frame f = {.type = SWIM_ACK, .t2 = cases[i].t2, .t3 = cases[i].t3};
        size_t n = write_one(&f, bytes, sizeof bytes);
        assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_OK);
        assert_true(got.t2 == cases[i].t2 && got.t3 == cases[i].want_t3);
    }
    struct swim_frame f = {.type = SWIM_ACK, .t2 = INT64_MAX - 1, .t3 = INT64_MAX};
    size_t n = write_one(&f, bytes, sizeof bytes);
    assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_OK);
    assert_int_equal(bytes[12], 1); /* t3 - t2: behind the head, seq and t2 */
    bytes[12] = 2;
    assert_int_equal(read_one(bytes, n, &got), SWIM_FRAME_BAD); /* t3 past the end of time */
}

/* ---- lists ---- */

static const struct swim_digest_entry entries[] = {
    {.sid = 1, .incarnation = {BOOT, 0}, .state = SWIM_ALIVE},
    {.sid = 0x0400000000000000, .incarnation = {BOOT + 9, 4}, .state = SWIM_LEFT},
    {.sid = UINT64_MAX, .incarnation = {UINT64_MAX, UINT32_MAX}, .state = SWIM_DEAD},
};

#define BUCKETS (1ull | 1ull << 1 | 1ull << 63)

static size_t write_list(uint64_t buckets, uint8_t *out)
{
    swim_digest_put_head(out, buckets);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        swim_digest_put_entry(out + SWIM_DIGEST_HEAD + i * SWIM_DIGEST_ENTRY, &entries[i]);
    }
    return SWIM_DIGEST_HEAD + ARRAY_LEN(entries) * SWIM_DIGEST_ENTRY;
}

/* Entries before the end of the list, or -1 when it is none. */
static int count_entries(const uint8_t *bytes, size_t n, uint64_t last)
{
    struct swim_digest_list list;
    struct swim_digest_entry got;
    int rc = swim_digest_open(bytes, n, last, &list) ? 1 : -1;
    int n_entries = -1;

    for (; rc == 1; rc = swim_digest_next(&list, &got)) {
        n_entries++;
    }
    return rc == 0 ? n_entries : -1;
}

static void a_list_comes_back_as_it_was_written(void **state)
{
    uint8_t bytes[128];
    struct swim_digest_list list;
    struct swim_digest_entry got;

    (void)state;
    assert_true(swim_digest_open(bytes, write_list(BUCKETS, bytes), 0, &list));
    assert_true(list.buckets == BUCKETS);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        assert_int_equal(swim_digest_next(&list, &got), 1);
        assert_true(got.sid == entries[i].sid && got.state == entries[i].state);
        assert_int_equal(swim_incarnation_compare(got.incarnation, entries[i].incarnation), 0);
    }
    assert_int_equal(swim_digest_next(&list, &got), 0);
    assert_int_equal(swim_digest_next(&list, &got), 0);
}

static void a_list_that_lies_is_none(void **state)
{
    static const uint8_t zeros[8];
    uint8_t bytes[128];
    size_t n = write_list(BUCKETS, bytes);

    (void)state;
    assert_int_equal(count_entries(bytes, n, 0), 3);
    assert_int_equal(count_entries(bytes, 8, 0), 0);
    assert_int_equal(count_entries(bytes, 7, 0), -1);
    assert_int_equal(count_entries(bytes, n - 1, 0), -1);
    assert_int_equal(count_entries(bytes, n, 1), -1); /* the list before it ended there */
    write_list(BUCKETS & ~2ull, bytes);               /* an entry of a bucket not covered */
    assert_int_equal(count_entries(bytes, n, 0), -1);
    write_list(BUCKETS, bytes);
    memcpy(bytes + 8 + 21, bytes + 8, 8); /* the same sid twice */
    assert_int_equal(count_entries(bytes, n, 0), -1);
    write_list(BUCKETS, bytes);
    memcpy(bytes + 8, zeros, 8); /* nobody */
    assert_int_equal(count_entries(bytes, n, 0), -1);
    write_list(BUCKETS, bytes);
    memcpy(bytes + 8 + 8, zeros, 8); /* boot 0 */
    assert_int_equal(count_entries(bytes, n, 0), -1);
    write_list(BUCKETS, bytes);
    bytes[8 + 20] = SWIM_LEFT + 1;
    assert_int_equal(count_entries(bytes, n, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_comes_back_as_it_was_written),
        cmocka_unit_test(frames_follow_each_other_to_the_end),
        cmocka_unit_test(the_measured_size_is_the_written_one),
        cmocka_unit_test(a_probe_and_its_answer_keep_to_the_bytes_of_a_node_at_rest),
        cmocka_unit_test(every_frame_fits_a_datagram_alone),
        cmocka_unit_test(with_too_little_room_it_fails_and_writes_nothing_beyond),
        cmocka_unit_test(cut_anywhere_it_is_bad),
        cmocka_unit_test(elements_of_later_versions_are_read_over),
        cmocka_unit_test(an_element_too_few_is_bad),
        cmocka_unit_test(types_of_later_versions_are_read_over),
        cmocka_unit_test(what_is_not_an_array_with_a_type_is_bad),
        cmocka_unit_test(what_no_node_would_say_is_bad),
        cmocka_unit_test(byte_strings_keep_to_their_bounds_and_shapes),
        cmocka_unit_test(numbers_keep_to_their_types),
        cmocka_unit_test(the_turn_of_an_answer_is_bounded),
        cmocka_unit_test(a_list_comes_back_as_it_was_written),
        cmocka_unit_test(a_list_that_lies_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
