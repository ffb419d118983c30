/* SPDX-License-Identifier: Apache-2.0
 *
 * Meta data of members: what comes back, that the longest fits, and bytes that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/pack.h"
#include "shared/swarm/swim_meta.h"

static struct swim_meta test_meta(void)
{
    return (struct swim_meta){
        .proto_min = 1,
        .proto_max = 2,
        .n_keys = 2,
        .rpc_port = 8081,
        .http_port = 8080,
        .iface_count = 3,
        .flags = SWIM_META_CAN_CAPTURE | SWIM_META_MLOCKED,
        .iface_digest = 0x0123456789abcdef,
        .tags_digest = 77,
        .version = "0.1.0",
        .name = "n12",
        .site = "rack 4",
        .key_ids = {5, 0xdeadbeef},
    };
}

static struct swim_meta greatest_meta(void)
{
    struct swim_meta meta = {
        .proto_min = UINT8_MAX,
        .proto_max = UINT8_MAX,
        .n_keys = SWIM_KEYS_MAX,
        .rpc_port = UINT16_MAX,
        .http_port = UINT16_MAX,
        .iface_count = UINT16_MAX,
        .flags = UINT32_MAX,
        .iface_digest = UINT64_MAX,
        .tags_digest = UINT64_MAX,
    };

    memset(meta.version, '~', SWIM_META_VERSION_MAX);
    memset(meta.name, '~', SWIM_META_NAME_MAX);
    memset(meta.site, '~', SWIM_META_SITE_MAX);
    memset(meta.key_ids, 0xff, sizeof meta.key_ids);
    return meta;
}

static void assert_same_meta(const struct swim_meta *a, const struct swim_meta *b)
{
    assert_int_equal(a->proto_min, b->proto_min);
    assert_int_equal(a->proto_max, b->proto_max);
    assert_int_equal(a->rpc_port, b->rpc_port);
    assert_int_equal(a->http_port, b->http_port);
    assert_int_equal(a->iface_count, b->iface_count);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->iface_digest == b->iface_digest && a->tags_digest == b->tags_digest);
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->site, b->site);
    assert_int_equal(a->n_keys, b->n_keys);
    assert_memory_equal(a->key_ids, b->key_ids, sizeof a->key_ids);
}

static void meta_data_comes_back_as_it_was_written(void **state)
{
    struct swim_meta metas[] = {test_meta(), {.proto_min = 1, .proto_max = 1}, greatest_meta()};
    uint8_t bytes[SWIM_META_MAX];
    struct swim_meta got;

    (void)state;
    for (unsigned i = 0; i < sizeof metas / sizeof metas[0]; i++) {
        size_t n = swim_meta_write(&metas[i], bytes);
        assert_true(n > 0);
        assert_true(swim_meta_read(bytes, n, &got));
        assert_same_meta(&got, &metas[i]);
    }
}

static void the_longest_fits_and_leaves_room_for_later_versions(void **state)
{
    struct swim_meta meta = greatest_meta();
    uint8_t bytes[SWIM_META_MAX];

    (void)state;
    /* Each element at its widest; as much again is free. */
    assert_int_equal(swim_meta_write(&meta, bytes), 134);
}

static void what_may_not_be_said_is_not_written(void **state)
{
    uint8_t bytes[SWIM_META_MAX];
    struct swim_meta meta = test_meta();

    (void)state;
    meta.proto_min = 3;
    assert_int_equal(swim_meta_write(&meta, bytes), 0);
    meta.proto_min = 0;
    assert_int_equal(swim_meta_write(&meta, bytes), 0);
    meta = test_meta();
    meta.n_keys = SWIM_KEYS_MAX + 1;
    assert_int_equal(swim_meta_write(&meta, bytes), 0);
    meta = test_meta();
    meta.name[1] = '\x1b';
    assert_int_equal(swim_meta_write(&meta, bytes), 0);
    meta = test_meta();
    memset(meta.site, 'x', sizeof meta.site); /* no end */
    assert_int_equal(swim_meta_write(&meta, bytes), 0);
}

static void elements_of_later_versions_are_read_over(void **state)
{
    struct swim_meta meta = test_meta();
    uint8_t bytes[SWIM_META_MAX];
    struct swim_meta got;

    (void)state;
    size_t n = swim_meta_write(&meta, bytes);
    memcpy(bytes + n, "\x82\x01\xc0\x02\x91\x07\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 15);
    bytes[0] += 2;
    assert_true(swim_meta_read(bytes, n + 15, &got));
    assert_same_meta(&got, &meta);
    assert_false(swim_meta_read(bytes, n + 14, &got));
}

static void damaged_and_longer_bytes_are_refused(void **state)
{
    struct swim_meta meta = test_meta();
    uint8_t bytes[SWIM_META_MAX + 1] = {0};
    struct swim_meta got = {.n_keys = 77};

    (void)state;
    size_t n = swim_meta_write(&meta, bytes);
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(swim_meta_read(bytes, cut, &got));
    }
    assert_false(swim_meta_read(bytes, n + 1, &got));
    bytes[0]--; /* an element too few, and one behind the end */
    assert_false(swim_meta_read(bytes, n, &got));
    assert_int_equal(got.n_keys, 77);
}

/* One element at a time is what it may not be. */
struct parts {
    uint64_t proto_min, proto_max;
    uint64_t port, flags, count;
    const char *name;
    size_t n_version, n_name, n_site;
    uint32_t n_keys;
    uint64_t key;
    bool text_is_bin;
};

static const struct parts good_parts = {
    .proto_min = 1,
    .proto_max = 255,
    .port = 65535,
    .flags = UINT32_MAX,
    .count = 65535,
    .name = "a name of thirty-two characters..",
    .n_version = 24,
    .n_name = 32,
    .n_site = 16,
    .n_keys = SWIM_KEYS_MAX,
    .key = UINT32_MAX,
};

static bool is_read(struct parts parts)
{
    uint8_t bytes[SWIM_META_MAX];
    struct pack p = pack_into(bytes, sizeof bytes);
    struct swim_meta got;

    pack_array(&p, 12);
    pack_u64(&p, parts.proto_min);
    pack_u64(&p, parts.proto_max);
    pack_str(&p, good_parts.name, parts.n_version);
    pack_u64(&p, parts.port);
    pack_u64(&p, parts.port);
    pack_u64(&p, parts.flags);
    pack_u64(&p, UINT64_MAX);
    pack_u64(&p, parts.count);
    pack_u64(&p, 0);
    if (parts.text_is_bin) {
        pack_bin(&p, parts.name, parts.n_name);
    } else {
        pack_str(&p, parts.name, parts.n_name);
    }
    pack_str(&p, good_parts.name, parts.n_site);
    pack_array(&p, parts.n_keys);
    for (uint32_t i = 0; i < parts.n_keys; i++) {
        pack_u64(&p, parts.key);
    }
    assert_false(p.failed);
    return swim_meta_read(bytes, pack_length(&p), &got);
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct parts parts = good_parts;                                                           \
        change;                                                                                    \
        assert_false(is_read(parts));                                                              \
    } while (0)

static void elements_beyond_their_bounds_are_refused(void **state)
{
    (void)state;
    assert_true(is_read(good_parts));
    REFUSED(parts.proto_min = 0);
    REFUSED((parts.proto_min = 3, parts.proto_max = 2));
    REFUSED(parts.proto_max = 256);
    REFUSED(parts.port = 65536);
    REFUSED(parts.flags = 1ull << 32);
    REFUSED(parts.count = 65536);
    REFUSED(parts.n_version = SWIM_META_VERSION_MAX + 1);
    REFUSED(parts.n_name = SWIM_META_NAME_MAX + 1);
    REFUSED(parts.n_site = SWIM_META_SITE_MAX + 1);
    REFUSED(parts.n_keys = SWIM_KEYS_MAX + 1);
    REFUSED(parts.key = 1ull << 32);
    REFUSED(parts.text_is_bin = true);
}

static void texts_that_a_terminal_would_obey_are_refused(void **state)
{
    (void)state;
    REFUSED((parts.name = "\x1b]0;", parts.n_name = 4));
    REFUSED((parts.name = "a\0b", parts.n_name = 3));
    REFUSED((parts.name = "\x7f", parts.n_name = 1));
    REFUSED((parts.name = "\xc2\x9b", parts.n_name = 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meta_data_comes_back_as_it_was_written),
        cmocka_unit_test(the_longest_fits_and_leaves_room_for_later_versions),
        cmocka_unit_test(what_may_not_be_said_is_not_written),
        cmocka_unit_test(elements_of_later_versions_are_read_over),
        cmocka_unit_test(damaged_and_longer_bytes_are_refused),
        cmocka_unit_test(elements_beyond_their_bounds_are_refused),
        cmocka_unit_test(texts_that_a_terminal_would_obey_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
