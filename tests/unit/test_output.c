/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/output.h"
#include "cli/terminal_posix.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

static char *printed; /* what went to the stream of open_output */
static size_t n_printed;

static FILE *open_output(void)
{
    return open_memstream(&printed, &n_printed);
}

static void check_output(FILE *out, const char *want)
{
    fclose(out);
    assert_string_equal(printed, want);
    free(printed);
    printed = NULL;
}

static void an_answer_keeps_the_order_of_its_keys(void **state)
{
    FILE *out = open_output();
    json_t *object = json_object();

    (void)state;
    json_object_set_new(object, "zeta", to_json_count(1));
    json_object_set_new(object, "alpha", to_json_text("x"));
    assert_int_equal(output_json_line(out, object, NULL), 0);
    check_output(out, "{\"zeta\":1,\"alpha\":\"x\"}\n");
    out = open_output();
    assert_int_equal(output_json(out, json_array(), NULL), 0);
    check_output(out, "[]\n");
}

static void what_is_unknown_is_null_and_never_zero(void **state)
{
    json_t *values = json_array();
    FILE *out = open_output();

    (void)state;
    json_array_append_new(values, to_json_count(UINT64_MAX));
    json_array_append_new(values, to_json_text(NULL));
    json_array_append_new(values, to_json_text(""));
    json_array_append_new(values, to_json_time(UINT64_MAX));
    json_array_append_new(values, to_json_count(0));
    json_array_append_new(values, to_json_time(0));
    assert_int_equal(output_json_line(out, values, NULL), 0);
    check_output(out, "[null,null,null,null,0,\"1970-01-01T00:00:00.000000000Z\"]\n");
}

static void numbers_beyond_jansson_are_not_negative(void **state)
{
    json_t *big = to_json_count(1ULL << 63);

    (void)state;
    assert_true(json_is_real(big));
    assert_true(json_real_value(big) == 9223372036854775808.0);
    json_decref(big);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff\xf0\x9f\x98\x80", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *value = to_json_text(cases[i].text);
        assert_string_equal(json_string_value(value), cases[i].want);
        json_decref(value);
    }
}

static void a_full_disk_is_an_error(void **state)
{
    FILE *out = fopen("/dev/full", "w");
    struct err err = {0};

    (void)state;
    if (out == NULL) {
        skip();
    }
    setvbuf(out, NULL, _IONBF, 0);
    assert_int_equal(output_json(out, json_integer(1), &err), ERR_FULL);
    assert_non_null(strstr(err.text, "standard output"));
    fclose(out);
}

static const struct output_column columns[] = {{"NAME", 0}, {"SIZE", 1}, {"NOTE", 0}};

static void a_table_is_aligned_without_blanks_at_line_ends(void **state)
{
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));
    FILE *out = open_output();

    (void)state;
    output_table_add(table, (const char *const[]){"eth0", "5", "short"});
    output_table_add(table, (const char *const[]){"wlp0s20f3", "12345678", ""});
    output_table_add(table, (const char *const[]){"", "", ""});
    output_table_add(table, (const char *const[]){"lo", NULL, "x"});
    output_table_print(table, out);
    output_table_free(table);
    check_output(out, "NAME           SIZE  NOTE\n"
                      "eth0              5  short\n"
                      "wlp0s20f3  12345678\n"
                      "\n"
                      "lo                -  x\n");
}

static void cells_are_measured_in_characters_and_cannot_steer_the_terminal(void **state)
{
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));
    FILE *out = open_output();

    (void)state;
    output_table_add(table, (const char *const[]){"gr\xc3\xbc\xc3\x9f", "1", "a\033[2J\tb"});
    output_table_add(table, (const char *const[]){"plain", "2", "c"});
    output_table_print(table, out);
    output_table_free(table);
    check_output(out, "NAME   SIZE  NOTE\n"
                      "gr\xc3\xbc\xc3\x9f      1  a?[2J?b\n"
                      "plain     2  c\n");
}

static void a_table_without_rows_prints_nothing(void **state)
{
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));
    FILE *out = open_output();

    (void)state;
    output_table_print(table, out);
    output_table_free(table);
    fflush(out);
    check_output(out, "");
    output_table_free(NULL);
}

static void nobody_watching_means_no_colour_and_no_progress(void **state)
{
    struct command_context ctx = {0};
    struct progress progress;
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    assert_false(terminal_has_color(&ctx, file));
    fclose(file);
    ctx.global.quiet = true;
    progress_start(&progress, &ctx);
    assert_false(progress.on);
    progress_update(&progress, "reading", 1, 2);
    progress_end(&progress);
    assert_false(progress.shown);
}

static void a_limited_line_comes_once_a_period_with_what_was_left_out(void **state)
{
    struct log_limit limit = {0};
    uint64_t left_out = 99;

    (void)state;
    assert_true(log_allowed(&limit, 5000, 1000, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(log_allowed(&limit, 5001, 1000, &left_out));
    assert_false(log_allowed(&limit, 5999, 1000, &left_out));
    assert_true(log_allowed(&limit, 6000, 1000, &left_out));
    assert_int_equal(left_out, 2);
    assert_false(log_allowed(&limit, 6000, 1000, &left_out));
}

static void the_level_of_the_log_comes_from_the_environment(void **state)
{
    (void)state;
    assert_int_equal(log_level(), LOG_LEVEL_WARN);
    setenv("PACKETRECORDER_LOG", "debug", 1);
    log_init_from_env();
    assert_int_equal(log_level(), LOG_LEVEL_DEBUG);
    unsetenv("PACKETRECORDER_LOG");
    log_init_from_env();
    assert_int_equal(log_level(), LOG_LEVEL_DEBUG);
    log_set_level(LOG_LEVEL_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_keeps_the_order_of_its_keys),
        cmocka_unit_test(what_is_unknown_is_null_and_never_zero),
        cmocka_unit_test(numbers_beyond_jansson_are_not_negative),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_table_is_aligned_without_blanks_at_line_ends),
        cmocka_unit_test(cells_are_measured_in_characters_and_cannot_steer_the_terminal),
        cmocka_unit_test(a_table_without_rows_prints_nothing),
        cmocka_unit_test(nobody_watching_means_no_colour_and_no_progress),
        cmocka_unit_test(a_limited_line_comes_once_a_period_with_what_was_left_out),
        cmocka_unit_test(the_level_of_the_log_comes_from_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
