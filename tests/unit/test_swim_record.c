/* SPDX-License-Identifier: Apache-2.0
 *
 * Member records: what comes back, who signed it, and bytes that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/base/pack.h"
#include "shared/swarm/swim_record.h"
#include "tests/support/swim_keys.h"

static const struct swim_crypto *const real = &swim_crypto_sodium;
static const uint8_t cluster[SWIM_CLUSTER_BYTES] = "cluster of test";

static size_t write_record(const struct swim_record *record, uint8_t out[SWIM_RECORD_MAX])
{
    struct swim_test_member member = swim_test_member(real, 1);

    return swim_record_write(record, real, member.secret_key, cluster, out);
}

static struct swim_record test_record(void)
{
    struct swim_test_member member = swim_test_member(real, 1);

    return swim_test_record(&member);
}

static void assert_same_record(const struct swim_record *a, const struct swim_record *b)
{
    assert_memory_equal(a->public_key, b->public_key, sizeof a->public_key);
    assert_memory_equal(a->boot_nonce, b->boot_nonce, sizeof a->boot_nonce);
    assert_int_equal(swim_incarnation_compare(a->incarnation, b->incarnation), 0);
    assert_int_equal(a->left, b->left);
    assert_int_equal(a->n_addrs, b->n_addrs);
    for (unsigned i = 0; i < a->n_addrs; i++) {
        assert_true(swim_addr_is_same(&a->addrs[i], &b->addrs[i]));
    }
    assert_int_equal(a->n_meta, b->n_meta);
    assert_memory_equal(a->meta, b->meta, a->n_meta);
}

static void a_record_comes_back_as_it_was_written(void **state)
{
    uint8_t bytes[SWIM_RECORD_MAX];
    struct swim_record record = test_record();
    struct swim_record got;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        record.left = i == 1;
        record.n_addrs = i == 1 ? 0 : 2;
        record.n_meta = i == 1 ? 0 : record.n_meta;
        size_t n = write_record(&record, bytes);
        assert_true(n > 0);
        assert_true(swim_record_read(bytes, n, &got));
        assert_same_record(&got, &record);
        assert_true(swim_record_is_signed(bytes, n, &got, real, cluster));
    }
}

static void the_greatest_record_fits_and_a_greater_one_is_not_written(void **state)
{
    static const uint8_t meta[SWIM_META_MAX + 1];
    uint8_t bytes[SWIM_RECORD_MAX];
    struct swim_record record = test_record();
    struct swim_record got;

    (void)state;
    record.incarnation = (struct swim_incarnation){SWIM_BOOT_MAX, UINT32_MAX};
    record.meta = meta;
    record.n_meta = SWIM_META_MAX;
    record.n_addrs = SWIM_ADDRS_MAX;
    for (unsigned i = 0; i < SWIM_ADDRS_MAX; i++) {
        record.addrs[i] = (struct swim_addr){.family = 6, .port = UINT16_MAX};
    }
    size_t n = write_record(&record, bytes);
    assert_in_range(n, 1, SWIM_RECORD_MAX);
    assert_true(swim_record_read(bytes, n, &got));
    assert_same_record(&got, &record);

    record.n_meta = SWIM_META_MAX + 1;
    assert_int_equal(write_record(&record, bytes), 0);
    record.n_meta = 0;
    record.n_addrs = SWIM_ADDRS_MAX + 1;
    assert_int_equal(write_record(&record, bytes), 0);
    record.n_addrs = 1;
    record.addrs[0].family = 0;
    assert_int_equal(write_record(&record, bytes), 0);
    record.n_addrs = 0;
    record.incarnation.boot = 0;
    assert_int_equal(write_record(&record, bytes), 0);
}

/* swarm.md 2.3: 200 to 260 bytes; the pk, nonce and signature alone are 112. */
static void a_usual_record_is_small(void **state)
{
    uint8_t bytes[SWIM_RECORD_MAX];
    struct swim_record record = test_record();

    (void)state;
    assert_in_range(write_record(&record, bytes), 200, 260);
}

static void every_flipped_bit_is_found(void **state)
{
    uint8_t bytes[SWIM_RECORD_MAX];
    struct swim_record record = test_record();
    struct swim_record got;
    size_t n = write_record(&record, bytes);

    (void)state;
    for (size_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(swim_record_read(bytes, n, &got) &&
                     swim_record_is_signed(bytes, n, &got, real, cluster));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_cut_record_is_none(void **state)
{
    uint8_t bytes[SWIM_RECORD_MAX + 1] = {0};
    struct swim_record record = test_record();
    struct swim_record got;
    size_t n = write_record(&record, bytes);

    (void)state;
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(swim_record_read(bytes, cut, &got));
    }
    assert_false(swim_record_read(bytes, n + 1, &got));
    assert_false(swim_record_read(bytes, SWIM_RECORD_MAX + 1, &got));
    assert_true(swim_record_read(bytes, n, &got));
    assert_false(swim_record_is_signed(bytes, SWIM_SIGNATURE_BYTES, &got, real, cluster));
    assert_false(swim_record_is_signed(bytes, SWIM_RECORD_MAX + 1, &got, real, cluster));
}

static void nobody_signs_for_another_member_or_another_cluster(void **state)
{
    struct swim_test_member other = swim_test_member(real, 2);
    uint8_t bytes[SWIM_RECORD_MAX];
    uint8_t elsewhere[SWIM_CLUSTER_BYTES] = {1};
    struct swim_record record = test_record();
    struct swim_record got;

    (void)state;
    size_t n = swim_record_write(&record, real, other.secret_key, cluster, bytes);
    assert_true(swim_record_read(bytes, n, &got));
    assert_false(swim_record_is_signed(bytes, n, &got, real, cluster));
    n = write_record(&record, bytes);
    assert_true(swim_record_read(bytes, n, &got));
    assert_true(swim_record_is_signed(bytes, n, &got, real, cluster));
    assert_false(swim_record_is_signed(bytes, n, &got, real, elsewhere));
}

/* ---- records by hand ---- */

struct parts {
    uint32_t n_elements;
    size_t n_pk, n_nonce;
    uint64_t boot, seq, kind;
    bool negative_seq;
    uint32_t n_addrs, n_addr;
    uint64_t family, port;
    size_t n_ip, n_meta;
    const char *more; /* msgpack behind the known elements */
    size_t n_more;
};

static struct parts good_parts(void)
{
    return (struct parts){.n_elements = 7,
                          .n_pk = 32,
                          .n_nonce = 16,
                          .boot = 5,
                          .seq = 1,
                          .n_addrs = 1,
                          .n_addr = 3,
                          .family = 4,
                          .port = 9,
                          .n_ip = 4};
}

static size_t write_parts(const struct parts *parts, uint8_t *out, size_t room)
{
    static const uint8_t zeros[600];
    struct pack p = pack_into(out, room);

    pack_array(&p, parts->n_elements);
    pack_bin(&p, zeros, parts->n_pk);
    pack_u64(&p, parts->boot);
    pack_bin(&p, zeros, parts->n_nonce);
    pack_i64(&p, parts->negative_seq ? -1 : (int64_t)parts->seq);
    pack_u64(&p, parts->kind);
    pack_array(&p, parts->n_addrs);
    for (uint32_t i = 0; i < parts->n_addrs; i++) {
        pack_array(&p, parts->n_addr);
        pack_u64(&p, parts->family);
        pack_bin(&p, zeros, parts->n_ip);
        if (parts->n_addr > 2) {
            pack_u64(&p, parts->port);
        }
        for (uint32_t k = 3; k < parts->n_addr; k++) {
            pack_nil(&p);
        }
    }
    pack_bin(&p, zeros, parts->n_meta);
    pack_raw(&p, parts->more, parts->n_more);
    pack_raw(&p, zeros, SWIM_SIGNATURE_BYTES);
    assert_false(p.failed);
    return pack_length(&p);
}

static bool is_record(const struct parts *parts)
{
    uint8_t bytes[1024];
    struct swim_record got;

    return swim_record_read(bytes, write_parts(parts, bytes, sizeof bytes), &got);
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct parts parts = good_parts();                                                         \
        change;                                                                                    \
        assert_false(is_record(&parts));                                                           \
    } while (0)

static void what_no_node_would_say_is_refused(void **state)
{
    struct parts good = good_parts();

    (void)state;
    assert_true(is_record(&good));
    REFUSED(parts.n_elements = 6);
    REFUSED(parts.n_elements = 8);
    REFUSED(parts.n_pk = 31);
    REFUSED(parts.n_pk = 33);
    REFUSED(parts.n_nonce = 15);
    REFUSED(parts.boot = 0);
    REFUSED(parts.boot = SWIM_BOOT_MAX + 1);
    REFUSED(parts.seq = 1ull << 32);
    REFUSED(parts.negative_seq = true);
    REFUSED(parts.kind = 2);
    REFUSED(parts.n_addrs = SWIM_ADDRS_MAX + 1);
    REFUSED(parts.n_addr = 2);
    REFUSED(parts.family = 5);
    REFUSED(parts.family = 6); /* with the ip of an IPv4 address */
    REFUSED(parts.n_ip = 16);
    REFUSED(parts.n_ip = 17);
    REFUSED(parts.port = 65536);
    REFUSED(parts.n_meta = SWIM_META_MAX + 1);
    REFUSED((parts.more = "\x01", parts.n_more = 1)); /* behind the array */
}

static void elements_of_later_versions_are_read_over(void **state)
{
    struct parts parts = good_parts();

    (void)state;
    parts.n_elements = 9;
    parts.n_addr = 5;
    parts.more = "\x92\x01\x91\xc0\x81\x01\xca\x01\x02\x03\x04";
    parts.n_more = 11;
    assert_true(is_record(&parts));
    parts.n_elements = 8; /* too deep */
    parts.more = "\x91\x91\x91\x01";
    parts.n_more = 4;
    assert_false(is_record(&parts));
}

static void what_is_not_read_leaves_the_record_alone(void **state)
{
    struct swim_record got = {.n_meta = 77};

    (void)state;
    assert_false(swim_record_read((const uint8_t *)"", 0, &got));
    assert_int_equal(got.n_meta, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was_written),
        cmocka_unit_test(the_greatest_record_fits_and_a_greater_one_is_not_written),
        cmocka_unit_test(a_usual_record_is_small),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_cut_record_is_none),
        cmocka_unit_test(nobody_signs_for_another_member_or_another_cluster),
        cmocka_unit_test(what_no_node_would_say_is_refused),
        cmocka_unit_test(elements_of_later_versions_are_read_over),
        cmocka_unit_test(what_is_not_read_leaves_the_record_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
