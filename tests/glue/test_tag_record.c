/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags as records of the swarm: whose they are is decided by the digest that their node signed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/tag_record_sodium.h"
#include "shared/base/mem.h"

#define EXPIRES_NS INT64_C(1700000000000000000)

static struct tags some(const char *first, const char *second)
{
    struct tags tags = {0};

    assert_int_equal(tags_add(&tags, first, NULL), 0);
    assert_int_equal(tags_add(&tags, second, NULL), 0);
    return tags;
}

static void what_is_written_is_read(void **state)
{
    struct tags tags = some("site=north", "rack=7");
    uint8_t bytes[TAG_RECORD_MAX];
    struct tags back;

    (void)state;
    size_t n = tag_record_write(&tags, EXPIRES_NS, bytes);
    assert_true(tag_record_read(bytes, n, tag_digest(&tags), &back));
    assert_true(back.n == 2 && tags_have(&back, "site=north") && tags_have(&back, "rack=7"));
    assert_true(tag_record_is(bytes, n));
    assert_false(tag_record_is(bytes, 9));
    assert_int_equal(tag_record_expires_ns(bytes, n), EXPIRES_NS);
    assert_int_equal(tag_record_expires_ns(bytes, 8), INT64_MIN);
}

static void those_of_another_digest_are_nobodys(void **state)
{
    struct tags tags = some("site=north", "rack=7");
    struct tags other = some("site=north", "rack=8");
    struct tags none = {0};
    uint8_t bytes[TAG_RECORD_MAX];
    struct tags back;

    (void)state;
    assert_int_equal(tag_digest(&none), 0);
    assert_true(tag_digest(&tags) != tag_digest(&other));
    struct tags turned = some("rack=7", "site=north");
    assert_true(tag_digest(&tags) == tag_digest(&turned));
    size_t n = tag_record_write(&other, EXPIRES_NS, bytes);
    assert_false(tag_record_read(bytes, n, tag_digest(&tags), &back));
    assert_int_equal(back.n, 0);
    assert_false(tag_record_read(bytes, n, 0, &back));
    n = tag_record_write(&none, EXPIRES_NS, bytes);
    assert_false(tag_record_read(bytes, n, 0, &back));
}

/* Every byte behind the time counts. */
static void damage_is_seen(void **state)
{
    struct tags tags = some("site=north", "rack=7");
    uint8_t bytes[TAG_RECORD_MAX];
    size_t n = tag_record_write(&tags, EXPIRES_NS, bytes);
    uint64_t digest = tag_digest(&tags);
    struct tags back;

    (void)state;
    for (size_t i = 8; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            assert_false(tag_record_read(bytes, n, digest, &back));
            bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(tag_record_read(bytes, cut, digest, &back));
    }
    assert_true(tag_record_read(bytes, n, digest, &back));
}

static void each_node_has_a_place_of_its_own(void **state)
{
    uint8_t keys[64][SWIM_KV_KEY_BYTES];
    uint8_t again[SWIM_KV_KEY_BYTES];

    (void)state;
    for (uint64_t i = 0; i < ARRAY_LEN(keys); i++) {
        tag_record_key(i, keys[i]);
        for (uint64_t k = 0; k < i; k++) {
            assert_memory_not_equal(keys[i], keys[k], sizeof keys[i]);
        }
    }
    tag_record_key(63, again);
    assert_memory_equal(again, keys[63], sizeof again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(those_of_another_digest_are_nobodys),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(each_node_has_a_place_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
