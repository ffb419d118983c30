/* SPDX-License-Identifier: Apache-2.0
 *
 * Segment headers and frames as bytes: what was encoded is decoded, and no bit of it can change
 * unnoticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/store/segment.h"

static const uint8_t data_key[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t segment_id[16] = {4, 5, 6};

struct frame {
    uint8_t *bytes;
    size_t n;
    struct frame_header h;
};

static struct seal *new_seal(enum seal_algorithm algorithm, const uint8_t id[16])
{
    struct seal *seal = NULL;
    struct err err = {0};

    assert_int_equal(seal_new(algorithm, data_key, id, &seal, &err), 0);
    return seal;
}

static void encode(struct frame *f, const uint8_t *raw, size_t n, bool compress,
                   const struct seal *seal)
{
    struct frame_encoder *e = frame_encoder_new();
    const uint8_t *body = NULL;

    f->h =
        (struct frame_header){.kind = FRAME_PACKETS, .number = 7, .n_packets = (uint32_t)(n / 32)};
    f->bytes = x_alloc(frame_bound(n));
    f->n = frame_encode(e, &f->h, raw, n, compress, seal, f->bytes, &body);
    if (body != NULL) {
        assert_ptr_equal(body, raw);
        memcpy(f->bytes + f->n, body, n);
        f->n += n;
    }
    assert_true(f->n <= frame_bound(n));
    frame_encoder_free(e);
}

static int decode(const struct frame *f, const struct seal *seal, const uint8_t *raw, size_t n)
{
    struct frame_decoder *d = frame_decoder_new();
    struct frame_header h;
    const uint8_t *out = NULL;
    int r = frame_header_read(f->bytes, &h);

    r = r < 0 ? r : frame_decode(d, &h, f->bytes, seal, &out);
    if (r == 0) {
        assert_int_equal(h.raw_len, n);
        assert_int_equal(SEGMENT_FRAME_BYTES + h.stored_len, f->n);
        assert_true(n == 0 || memcmp(out, raw, n) == 0);
    }
    frame_decoder_free(d);
    return r;
}

/* A third of it repeats itself. */
static uint8_t *make_raw(size_t n)
{
    uint8_t *raw = x_alloc(n + 1);
    uint32_t state = 1;

    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        raw[i] = i % 3 == 0 ? 0 : (uint8_t)(state >> 24);
    }
    return raw;
}

static void round_trips(enum seal_algorithm algorithm, bool compress)
{
    static const size_t sizes[] = {0, 1, 15, 16, 31, 32, 1000, 65536, FRAME_RAW_BYTES + 12345};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct seal *seal = algorithm == SEAL_NONE ? NULL : new_seal(algorithm, segment_id);
        uint8_t *raw = make_raw(sizes[i]);
        struct frame f;
        encode(&f, raw, sizes[i], compress, seal);
        assert_int_equal(f.h.sealed, algorithm != SEAL_NONE);
        assert_int_equal(decode(&f, seal, raw, sizes[i]), 0);
        mem_free(f.bytes);
        mem_free(raw);
        seal_close(seal);
    }
}

static void frames_round_trip(void **state)
{
    (void)state;
    round_trips(SEAL_NONE, false);
    round_trips(SEAL_NONE, true);
    round_trips(SEAL_XCHACHA20POLY1305, false);
    round_trips(SEAL_XCHACHA20POLY1305, true);
    round_trips(seal_best(), true);
}

static void what_does_not_shrink_is_stored_as_it_is(void **state)
{
    uint8_t raw[4096];
    struct frame f;

    (void)state;
    seal_random(raw, sizeof raw);
    encode(&f, raw, sizeof raw, true, NULL);
    assert_false(f.h.compressed);
    mem_free(f.bytes);
    memset(raw, 'x', sizeof raw);
    encode(&f, raw, sizeof raw, true, NULL);
    assert_true(f.h.compressed);
    assert_true(f.n < 200);
    mem_free(f.bytes);
}

static void every_bit_counts(enum seal_algorithm algorithm, bool compress)
{
    struct seal *seal = algorithm == SEAL_NONE ? NULL : new_seal(algorithm, segment_id);
    uint8_t *raw = make_raw(160);
    struct frame f;

    encode(&f, raw, 160, compress, seal);
    for (size_t bit = 0; bit < f.n * 8; bit++) {
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decode(&f, seal, raw, 160), ERR_DAMAGED);
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(decode(&f, seal, raw, 160), 0);
    mem_free(f.bytes);
    mem_free(raw);
    seal_close(seal);
}

static void every_flipped_bit_of_a_frame_is_noticed(void **state)
{
    (void)state;
    every_bit_counts(SEAL_NONE, false);
    every_bit_counts(SEAL_NONE, true);
    every_bit_counts(SEAL_XCHACHA20POLY1305, true);
    every_bit_counts(seal_best(), false);
}

static int decode_forged(const struct frame *f, const struct frame_header *h, size_t flip,
                         const struct seal *seal)
{
    uint8_t *copy = x_alloc(f->n);
    struct frame forged = {.bytes = copy, .n = f->n};

    memcpy(copy, f->bytes, f->n);
    if (flip >= 8u * SEGMENT_FRAME_BYTES) {
        copy[flip / 8] ^= (uint8_t)(1u << flip % 8);
    }
    frame_header_finish(copy, h, copy + SEGMENT_FRAME_BYTES);
    int r = decode(&forged, seal, copy, h->raw_len);
    mem_free(copy);
    return r;
}

/* Whoever can write the file can make its checksums right; not the tag of a sealed frame. */
static void a_sealed_frame_cannot_be_changed_and_mended(void **state)
{
    struct seal *seal = new_seal(seal_best(), segment_id);
    uint8_t *raw = make_raw(320);
    struct frame f;
    struct frame_header h;

    (void)state;
    encode(&f, raw, 320, false, seal);
    for (size_t bit = 8u * SEGMENT_FRAME_BYTES; bit < f.n * 8; bit++) {
        assert_int_equal(decode_forged(&f, &f.h, bit, seal), ERR_DAMAGED);
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        h = f.h;
        h.number ^= 1u << bit;
        assert_int_equal(decode_forged(&f, &h, 0, seal), ERR_DAMAGED);
        h = f.h;
        h.n_packets = bit % 10;
        assert_int_equal(decode_forged(&f, &h, 0, seal), ERR_DAMAGED);
    }
    h = f.h;
    h.kind = FRAME_SESSION;
    assert_int_equal(decode_forged(&f, &h, 0, seal), ERR_DAMAGED);
    h = f.h;
    h.compressed = true;
    assert_int_equal(decode_forged(&f, &h, 0, seal), ERR_DAMAGED);
    h = f.h;
    h.sealed = false;
    assert_int_equal(decode_forged(&f, &h, 0, seal), ERR_DAMAGED);
    mem_free(f.bytes);
    mem_free(raw);
    seal_close(seal);
}

static void a_frame_of_another_segment_is_refused(void **state)
{
    static const uint8_t other_id[16] = {4, 5, 7};
    struct seal *seal = new_seal(seal_best(), segment_id);
    struct seal *other = new_seal(seal_best(), other_id);
    uint8_t *raw = make_raw(320);
    struct frame f;

    (void)state;
    encode(&f, raw, 320, true, seal);
    assert_int_equal(decode(&f, other, raw, 320), ERR_DAMAGED);
    assert_int_equal(decode(&f, NULL, raw, 320), ERR_DAMAGED);
    mem_free(f.bytes);
    encode(&f, raw, 320, true, NULL);
    assert_int_equal(decode(&f, seal, raw, 320), ERR_DAMAGED);
    mem_free(f.bytes);
    mem_free(raw);
    seal_close(seal);
    seal_close(other);
}

static void lengths_that_lie_are_damage(void **state)
{
    uint8_t *raw = make_raw(3200);
    struct frame f;

    (void)state;
    encode(&f, raw, 3200, true, NULL);
    assert_true(f.h.compressed);
    static const int off_by[] = {-3200, -32, -1, 1, 32, (int)FRAME_RAW_MAX};
    for (size_t i = 0; i < ARRAY_LEN(off_by); i++) {
        struct frame_header h = f.h;
        h.raw_len = (uint32_t)((int)h.raw_len + off_by[i]);
        frame_header_finish(f.bytes, &h, f.bytes + SEGMENT_FRAME_BYTES);
        assert_int_equal(decode(&f, NULL, raw, h.raw_len), ERR_DAMAGED);
    }
    mem_free(f.bytes);
    mem_free(raw);
}

static void make_header(uint8_t out[SEGMENT_HEADER_BYTES])
{
    struct segment_header h = {
        .sealed = true,
        .algorithm = SEAL_XCHACHA20POLY1305,
        .session_id = "session-sessio",
        .sequence = 3,
        .created_ns = UINT64_MAX - 1,
        .first_number = 1ull << 40,
    };

    memcpy(h.segment_id, segment_id, sizeof h.segment_id);
    segment_header_write(out, &h);
}

static void headers_round_trip(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header h;

    (void)state;
    make_header(bytes);
    assert_int_equal(segment_header_read(bytes, &h), 0);
    assert_true(h.sealed);
    assert_int_equal(h.algorithm, SEAL_XCHACHA20POLY1305);
    assert_string_equal((const char *)h.session_id, "session-sessio");
    assert_memory_equal(h.segment_id, segment_id, 16);
    assert_int_equal(h.sequence, 3);
    assert_true(h.created_ns == UINT64_MAX - 1);
    assert_true(h.first_number == 1ull << 40);
}

static void every_flipped_bit_of_a_header_is_damage(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header h;

    (void)state;
    make_header(bytes);
    for (size_t bit = 0; bit < 8u * SEGMENT_SLOT_A; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* Without the magic it is no segment; a flipped version is not a newer program's. */
        assert_int_equal(segment_header_read(bytes, &h), bit < 64 ? ERR_NOT_A_STORE : ERR_DAMAGED);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(segment_header_read(bytes, &h), 0);
}

/* Sealed or not: one flipped bit anywhere in a header costs nothing. */
static void a_header_is_mended_from_its_copy(void **state)
{
    uint8_t whole[SEGMENT_HEADER_BYTES];
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    uint8_t key[SEAL_KEY_BYTES];
    struct segment_header h;
    struct seal_kdf kdf = {0};

    (void)state;
    make_header(whole);
    seal_slot_write(whole + SEGMENT_SLOT_A, &kdf, data_key, data_key, whole, SEGMENT_BOUND_BYTES);
    segment_header_finish(whole, SEGMENT_SLOT_A);
    assert_false(segment_header_mend(whole));
    for (size_t bit = 0; bit < 8u * SEGMENT_HEADER_BYTES; bit++) {
        memcpy(bytes, whole, sizeof bytes);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool changed = segment_header_mend(bytes);
        /* The last 24 bytes mean nothing. */
        assert_int_equal(changed, bit < 8u * 488);
        assert_memory_equal(bytes, whole, 488);
        assert_int_equal(segment_header_read(bytes, &h), 0);
        assert_int_equal(
            seal_slot_read(bytes + SEGMENT_SLOT_A, data_key, bytes, SEGMENT_BOUND_BYTES, key), 0);
    }
}

static void a_header_without_a_whole_copy_stays_as_it_is(void **state)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header h;

    (void)state;
    make_header(bytes);
    segment_header_finish(bytes, SEGMENT_SLOT_A);
    bytes[20] ^= 1;
    bytes[300] ^= 1;
    assert_false(segment_header_mend(bytes));
    assert_int_equal(segment_header_read(bytes, &h), ERR_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_round_trip),
        cmocka_unit_test(what_does_not_shrink_is_stored_as_it_is),
        cmocka_unit_test(every_flipped_bit_of_a_frame_is_noticed),
        cmocka_unit_test(a_sealed_frame_cannot_be_changed_and_mended),
        cmocka_unit_test(a_frame_of_another_segment_is_refused),
        cmocka_unit_test(lengths_that_lie_are_damage),
        cmocka_unit_test(headers_round_trip),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_damage),
        cmocka_unit_test(a_header_is_mended_from_its_copy),
        cmocka_unit_test(a_header_without_a_whole_copy_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
