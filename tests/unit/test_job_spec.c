/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "tests/support/job_examples.h"

static void a_specification_comes_back_as_it_was(void **state)
{
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);
    struct job_spec back;
    uint8_t bytes[JOB_VALUE_MAX];

    (void)state;
    spec.selector = (struct job_selector){.by = JOB_SELECTS_NODES, .n = 2, .sids = {7, UINT64_MAX}};
    spec.max_packets = UINT64_MAX;
    spec.policy = JOB_QUORUM;
    spec.quorum = 66;
    size_t n = job_spec_write(&spec, bytes);
    assert_true(n > 0);
    assert_true(job_spec_read(bytes, n, &back));
    assert_memory_equal(&back, &spec, sizeof spec);
    spec.selector =
        (struct job_selector){.by = JOB_SELECTS_TAGS, .n = 2, .tags = {"site=north", "rack=7"}};
    n = job_spec_write(&spec, bytes);
    assert_true(job_spec_read(bytes, n, &back));
    assert_memory_equal(&back, &spec, sizeof spec);
    assert_int_equal((int64_t)get_le64(bytes), job_spec_expires_ns(&spec));
}

static void a_later_versions_elements_are_read_over(void **state)
{
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);
    struct job_spec back;
    uint8_t bytes[JOB_VALUE_MAX];

    (void)state;
    size_t n = job_spec_write(&spec, bytes);
    /* array16 of 17 elements; one more, a text, behind them */
    assert_int_equal(bytes[9], 0xdc);
    bytes[11]++;
    bytes[n++] = 0xa1;
    bytes[n++] = 'x';
    assert_true(job_spec_read(bytes, n, &back));
    assert_memory_equal(&back, &spec, sizeof spec);
}

static void what_is_too_long_for_a_record_is_not_written(void **state)
{
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);
    uint8_t bytes[JOB_VALUE_MAX];

    (void)state;
    memset(spec.filter, 'f', JOB_FILTER_MAX);
    assert_true(job_spec_write(&spec, bytes) > JOB_FILTER_MAX);
    spec.selector = (struct job_selector){.by = JOB_SELECTS_NODES, .n = JOB_NODES_MAX};
    memset(spec.selector.sids, 0xff, sizeof spec.selector.sids);
    memset(spec.name, 'n', JOB_NAME_MAX);
    memset(spec.interface, 'i', JOB_INTERFACE_MAX);
    assert_int_equal(job_spec_write(&spec, bytes) > JOB_VALUE_MAX, 0);
}

static void every_cut_and_every_flipped_bit_is_safe(void **state)
{
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);
    struct job_spec back;
    uint8_t bytes[JOB_VALUE_MAX];

    (void)state;
    size_t n = job_spec_write(&spec, bytes);
    for (size_t cut = 0; cut < n; cut++) {
        assert_false(job_spec_read(bytes, cut, &back));
    }
    for (size_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (job_spec_read(bytes, n, &back)) { /* another one, but a good one */
            assert_int_equal(job_spec_check(&back, NULL), 0);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(job_spec_read(bytes, n, &back));
}

static void refused(const struct job_spec *spec, const char *why)
{
    struct err err = {0};
    uint8_t bytes[JOB_VALUE_MAX];

    assert_int_equal(job_spec_check(spec, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(job_spec_write(spec, bytes), 0);
}

static void what_is_not_well_is_refused_in_words(void **state)
{
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);

    (void)state;
    assert_int_equal(job_spec_check(&spec, NULL), 0);
    spec.interface[0] = '\0';
    refused(&spec, "interface");
    snprintf(spec.interface, sizeof spec.interface, "  ");
    refused(&spec, "interface");
    spec = job_example(1, JOB_EXAMPLE_T);
    spec.end_ns = spec.start_ns;
    refused(&spec, "behind its start");
    spec.end_ns = spec.start_ns + JOB_LONGEST_NS + 1;
    refused(&spec, "366 days");
    spec = job_example(1, JOB_EXAMPLE_T);
    strncpy(spec.filter, "tcp\033[2J", sizeof spec.filter - 1);
    refused(&spec, "one line");
    strncpy(spec.filter,
            "tcp\xc2\x9b"
            "2J",
            sizeof spec.filter - 1);
    refused(&spec, "one line");
    strncpy(spec.filter, "tcp\xff", sizeof spec.filter - 1);
    refused(&spec, "one line");
    spec = job_example(1, JOB_EXAMPLE_T);
    spec.selector.by = JOB_SELECTS_NODES;
    refused(&spec, "1 to 32 nodes");
    spec.selector = (struct job_selector){.by = JOB_SELECTS_TAGS, .n = 1, .tags = {"north"}};
    refused(&spec, "KEY=VALUE");
    spec = job_example(1, JOB_EXAMPLE_T);
    spec.snaplen = JOB_SNAPLEN_MAX + 1;
    refused(&spec, "262144");
    spec = job_example(1, JOB_EXAMPLE_T);
    spec.version = 0;
    refused(&spec, "");
}

static void a_flag_is_one_of_the_two_and_stands_elsewhere(void **state)
{
    struct job_flag flag = {.flags = JOB_ABORT, .who = 9, .until_ns = 77};
    struct job_flag back;
    struct job_spec spec;
    uint8_t bytes[JOB_VALUE_MAX];
    uint8_t keys[3][JOB_KEY_BYTES];

    (void)state;
    flag.id = job_example(1, JOB_EXAMPLE_T).id;
    size_t n = job_flag_write(&flag, bytes);
    assert_true(job_flag_read(bytes, n, &back));
    assert_memory_equal(&back, &flag, sizeof flag);
    assert_false(job_spec_read(bytes, n, &spec));
    flag.flags = JOB_STOP | JOB_ABORT;
    n = job_flag_write(&flag, bytes);
    assert_false(job_flag_read(bytes, n, &back));
    for (unsigned i = 0; i < 3; i++) {
        job_key(&flag.id, i, keys[i]);
    }
    assert_memory_not_equal(keys[0], keys[1], JOB_KEY_BYTES);
    assert_memory_not_equal(keys[0], keys[2], JOB_KEY_BYTES);
    assert_memory_not_equal(keys[1], keys[2], JOB_KEY_BYTES);
}

static void a_selector_takes_all_some_or_those_with_every_tag(void **state)
{
    const struct tags tags = {.n = 2, .items = {"rack=7", "site=north"}};
    const struct tags one = {.n = 1, .items = {"site=north"}};
    const struct tags none = {0};
    struct job_selector all = {.by = JOB_SELECTS_ALL};
    struct job_selector some = {.by = JOB_SELECTS_NODES, .n = 2, .sids = {3, 5}};
    struct job_selector both = {.by = JOB_SELECTS_TAGS, .n = 2, .tags = {"rack=7", "site=north"}};

    (void)state;
    assert_true(job_selects(&all, 4, &none));
    assert_true(job_selects(&some, 5, &none));
    assert_false(job_selects(&some, 4, &tags));
    assert_true(job_selects(&both, 4, &tags));
    assert_false(job_selects(&both, 4, &one));
    assert_false(job_selects(&both, 4, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_specification_comes_back_as_it_was),
        cmocka_unit_test(a_later_versions_elements_are_read_over),
        cmocka_unit_test(what_is_too_long_for_a_record_is_not_written),
        cmocka_unit_test(every_cut_and_every_flipped_bit_is_safe),
        cmocka_unit_test(what_is_not_well_is_refused_in_words),
        cmocka_unit_test(a_flag_is_one_of_the_two_and_stands_elsewhere),
        cmocka_unit_test(a_selector_takes_all_some_or_those_with_every_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
