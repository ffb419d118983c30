/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and sealed frames: what was not changed opens with the right key, everything else does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/store/seal.h"

#define BOUND 72

struct keys {
    uint8_t master[SEAL_KEY_BYTES];
    uint8_t other[SEAL_KEY_BYTES];
    uint8_t data[SEAL_KEY_BYTES];
    uint8_t bound[BOUND];
    uint8_t slot[SEAL_SLOT_BYTES];
};

static void make(struct keys *k)
{
    struct seal_kdf kdf;

    seal_random(k, sizeof *k);
    seal_kdf_new(&kdf, false);
    seal_slot_write(k->slot, &kdf, k->master, k->data, k->bound, BOUND);
}

static void a_wrapped_key_opens_with_its_master_and_place_alone(void **state)
{
    struct keys k;
    uint8_t out[SEAL_KEY_BYTES];

    (void)state;
    make(&k);
    assert_int_equal(seal_slot_read(k.slot, k.master, k.bound, BOUND, out), 0);
    assert_memory_equal(out, k.data, sizeof out);
    assert_int_equal(seal_slot_read(k.slot, k.other, k.bound, BOUND, out), ERR_KEY);
    for (size_t i = 1; i < SEAL_SLOT_BYTES; i++) { /* byte 0 says only whether it is used */
        k.slot[i] ^= 0x10;
        assert_int_equal(seal_slot_read(k.slot, k.master, k.bound, BOUND, out), ERR_KEY);
        k.slot[i] ^= 0x10;
    }
    for (size_t i = 0; i < BOUND; i++) {
        k.bound[i] ^= 1;
        assert_int_equal(seal_slot_read(k.slot, k.master, k.bound, BOUND, out), ERR_KEY);
        k.bound[i] ^= 1;
    }
    memset(k.slot, 0, sizeof k.slot);
    assert_int_equal(seal_slot_read(k.slot, k.master, k.bound, BOUND, out), ERR_KEY);
}

static void two_wrappings_of_a_key_share_nothing(void **state)
{
    struct keys k;
    uint8_t again[SEAL_SLOT_BYTES];
    struct seal_kdf kdf = {0};

    (void)state;
    make(&k);
    seal_slot_write(again, &kdf, k.master, k.data, k.bound, BOUND);
    assert_memory_not_equal(again + 32, k.slot + 32, 24);
    assert_memory_not_equal(again + 56, k.slot + 56, SEAL_KEY_BYTES);
}

static void costs_out_of_a_file_are_bounded(void **state)
{
    static const struct seal_kdf refused[] = {
        {.passphrase = true, .ops = 0, .mem_bytes = 1 << 20},
        {.passphrase = true, .ops = 65, .mem_bytes = 1 << 20},
        {.passphrase = true, .ops = 1, .mem_bytes = 0},
        {.passphrase = true, .ops = 1, .mem_bytes = (1u << 30) + 1},
        {.passphrase = true, .ops = 1, .mem_bytes = UINT64_MAX},
        {.passphrase = true, .ops = UINT32_MAX, .mem_bytes = UINT64_MAX},
    };
    const struct seal_kdf small = {.passphrase = true, .ops = 1, .mem_bytes = 1 << 16};
    uint8_t master[SEAL_KEY_BYTES];
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_int_equal(seal_master(&refused[i], (const uint8_t *)"x", 1, master, &err),
                         ERR_LIMIT);
    }
    assert_int_equal(seal_master(&small, (const uint8_t *)"x", 1, master, &err), 0);
}

static void a_sealed_frame(enum seal_algorithm algorithm)
{
    struct keys k;
    struct seal *seal = NULL;
    struct seal *elsewhere = NULL;
    struct err err = {0};
    uint8_t id[16] = {1};
    uint8_t text[100];
    uint8_t aad[24] = {2};
    uint8_t out[sizeof text + SEAL_TAG_BYTES];
    uint8_t back[sizeof text];

    make(&k);
    memset(text, 'a', sizeof text);
    assert_int_equal(seal_new(algorithm, k.data, id, &seal, &err), 0);
    id[0] = 9;
    assert_int_equal(seal_new(algorithm, k.data, id, &elsewhere, &err), 0);
    seal_frame(seal, 7, aad, sizeof aad, text, sizeof text, out);
    assert_int_equal(seal_open(seal, 7, aad, sizeof aad, out, sizeof out, back), 0);
    assert_memory_equal(back, text, sizeof text);
    assert_int_equal(seal_open(seal, 8, aad, sizeof aad, out, sizeof out, back), ERR_DAMAGED);
    assert_int_equal(seal_open(elsewhere, 7, aad, sizeof aad, out, sizeof out, back), ERR_DAMAGED);
    assert_int_equal(seal_open(seal, 7, aad, sizeof aad, out, sizeof out - 1, back), ERR_DAMAGED);
    assert_int_equal(seal_open(seal, 7, aad, sizeof aad, out, SEAL_TAG_BYTES - 1, back),
                     ERR_DAMAGED);
    for (size_t i = 0; i < sizeof out; i++) {
        out[i] ^= 0x80;
        assert_int_equal(seal_open(seal, 7, aad, sizeof aad, out, sizeof out, back), ERR_DAMAGED);
        out[i] ^= 0x80;
    }
    aad[23] ^= 1;
    assert_int_equal(seal_open(seal, 7, aad, sizeof aad, out, sizeof out, back), ERR_DAMAGED);
    seal_close(seal);
    seal_close(elsewhere);
}

static void a_sealed_frame_opens_in_its_place_alone(void **state)
{
    (void)state;
    a_sealed_frame(SEAL_XCHACHA20POLY1305);
    if (seal_best() == SEAL_AES256GCM) {
        a_sealed_frame(SEAL_AES256GCM);
    }
}

static void an_unknown_algorithm_is_refused(void **state)
{
    uint8_t key[SEAL_KEY_BYTES] = {0};
    uint8_t id[16] = {0};
    struct seal *seal = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(seal_new((enum seal_algorithm)3, key, id, &seal, &err), ERR_VERSION);
    assert_int_equal(seal_new(SEAL_NONE, key, id, &seal, &err), ERR_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrapped_key_opens_with_its_master_and_place_alone),
        cmocka_unit_test(two_wrappings_of_a_key_share_nothing),
        cmocka_unit_test(costs_out_of_a_file_are_bounded),
        cmocka_unit_test(a_sealed_frame_opens_in_its_place_alone),
        cmocka_unit_test(an_unknown_algorithm_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
