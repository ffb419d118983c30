/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/metrics.h"

static void assert_text(struct buf *out, const char *expected)
{
    buf_put_u8(out, 0);
    assert_string_equal((const char *)out->data, expected);
    buf_deinit(out);
}

static void a_family_is_a_help_and_a_type(void **state)
{
    struct buf out = {0};

    (void)state;
    metrics_family(&out, "x_total", "counter", "a \\ \"b\"\nc");
    metrics_count(&out, "x_total", "", UINT64_MAX);
    assert_text(&out, "# HELP x_total a \\\\ \"b\"\\nc\n# TYPE x_total counter\n"
                      "x_total 18446744073709551615\n");
}

static void labels_are_escaped_and_joined(void **state)
{
    struct buf labels = {0};
    struct buf out = {0};

    (void)state;
    metrics_label(&labels, "iface", "e\"t\\h\n0");
    assert_string_equal((const char *)labels.data, "iface=\"e\\\"t\\\\h\\n0\"");
    metrics_label(&labels, "kind", "raw");
    metrics_count(&out, "y", (const char *)labels.data, 3);
    assert_text(&out, "y{iface=\"e\\\"t\\\\h\\n0\",kind=\"raw\"} 3\n");
    buf_deinit(&labels);
}

static void a_name_that_is_no_utf_8_stays_a_line_of_text(void **state)
{
    struct buf labels = {0};

    (void)state;
    metrics_label(&labels, "iface",
                  "a\xff\xc3"
                  "b");
    assert_string_equal((const char *)labels.data, "iface=\"a??b\"");
    buf_deinit(&labels);
}

static void values_are_exact(void **state)
{
    struct buf out = {0};

    (void)state;
    metrics_value(&out, "z", "", 0.1);
    metrics_value(&out, "z", "", 1795603480.5);
    assert_text(&out, "z 0.10000000000000001\nz 1795603480.5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_a_help_and_a_type),
        cmocka_unit_test(labels_are_escaped_and_joined),
        cmocka_unit_test(a_name_that_is_no_utf_8_stays_a_line_of_text),
        cmocka_unit_test(values_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
