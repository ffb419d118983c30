/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

#define UNTOUCHED 0xabcdefULL
#define S         1000000000ULL

typedef int (*parse_cb)(const char *text, uint64_t *out, struct err *err);

struct good {
    const char *text;
    uint64_t value;
};

static void check_good(parse_cb parse, const struct good *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = UNTOUCHED;
        struct err err = {0};
        if (parse(cases[i].text, &value, &err) != 0 || value != cases[i].value) {
            fail_msg("'%s' gave %llu (%s)", cases[i].text, (unsigned long long)value, err.text);
        }
    }
}

static void check_bad(parse_cb parse, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = UNTOUCHED;
        struct err err = {0};
        if (parse(texts[i], &value, &err) != ERR_USAGE) {
            fail_msg("'%s' was taken for %llu", texts[i], (unsigned long long)value);
        }
        assert_int_equal(value, UNTOUCHED);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, texts[i]));
        assert_int_equal(parse(texts[i], &value, NULL), ERR_USAGE);
    }
}

static void sizes_take_both_kinds_of_units(void **state)
{
    static const struct good cases[] = {
        {"0", 0},
        {"1500", 1500},
        {"10k", 10000},
        {"10K", 10000},
        {"10kB", 10000},
        {"1M", 1000000},
        {"1.5M", 1500000},
        {"2G", 2000000000},
        {"3T", 3000000000000},
        {"64KiB", 65536},
        {"32MiB", 33554432},
        {"2GiB", 2147483648},
        {"1TiB", 1099511627776},
        {"0.5KiB", 512},
        {".5k", 500},
        {"5.k", 5000},
        {"10 MB", 10000000},
        {"7B", 7},
        {"1.0", 1},
        {"1.3KiB", 1331}, /* 1331.2 */
        {"1.7KiB", 1741}, /* 1740.8 */
        {"18446744073709551615", UINT64_MAX},
        {"000000000000000000000000012", 12},
        {"1.00000000000000000000000000000001k", 1000},
    };

    (void)state;
    check_good(text_parse_size, cases, ARRAY_LEN(cases));
}

static void sizes_refuse_what_is_none(void **state)
{
    static const char *const texts[] = {
        "abc",
        ".",
        "k",
        "-1",
        "+1",
        "1m",
        "1 ",
        " 1",
        "1X",
        "1KiBs",
        "1.5",
        "1..5",
        "1,5M",
        "0x10",
        "1e3",
        "1KIB",
        "1  M",
        "1.5.5M",
        "inf",
        "12kk",
        "99999999999999999999",
        "20000000T",
        "18446744073709551616",
        "16777216TiB",
    };

    (void)state;
    check_bad(text_parse_size, texts, ARRAY_LEN(texts));
    uint64_t value = UNTOUCHED;
    assert_int_equal(text_parse_size("", &value, NULL), ERR_USAGE);
    assert_int_equal(value, UNTOUCHED);
}

static void counts_must_come_out_whole(void **state)
{
    static const struct good cases[] = {
        {"0", 0}, {"1000", 1000}, {"50k", 50000}, {"1.5M", 1500000}, {"2G", 2000000000}, {"1.0", 1},
    };
    static const char *const texts[] = {"1.5", "0.0001k", "1KiB", "1kB", "1T", "-3", "many"};

    (void)state;
    check_good(text_parse_count, cases, ARRAY_LEN(cases));
    check_bad(text_parse_count, texts, ARRAY_LEN(texts));
}

static void durations_are_seconds_or_sums_of_units(void **state)
{
    static const struct good cases[] = {
        {"0", 0},
        {"90", 90 * S},
        {"0.5", S / 2},
        {"250ns", 250},
        {"3us", 3000},
        {"3\xc2\xb5s", 3000},
        {"1.5ms", 1500000},
        {"10s", 10 * S},
        {"2m", 120 * S},
        {"1h", 3600 * S},
        {"1d", 86400 * S},
        {"1m30s", 90 * S},
        {"1h0.5m", 3630 * S},
        {"0.0000000001", 0},
        {"18446744073.709551615", UINT64_MAX},
    };
    static const char *const texts[] = {
        "1m30",    "abc", "1 s", "-5",   "5x", "s",    "1ms2x", "18446744073.709551616",
        "300000d", "1M",  ".",   "1.m.", "5S", "1s 2", "1e3"};

    (void)state;
    check_good(text_parse_duration, cases, ARRAY_LEN(cases));
    check_bad(text_parse_duration, texts, ARRAY_LEN(texts));
}

static void decimal_numbers_are_not_negative(void **state)
{
    double number = -1;

    (void)state;
    assert_int_equal(text_parse_decimal("2", &number, NULL), 0);
    assert_true(number == 2.0);
    assert_int_equal(text_parse_decimal("0.25", &number, NULL), 0);
    assert_true(number == 0.25);
    number = -1;
    assert_int_equal(text_parse_decimal("-1", &number, NULL), ERR_USAGE);
    assert_int_equal(text_parse_decimal("nan", &number, NULL), ERR_USAGE);
    assert_int_equal(text_parse_decimal("2x", &number, NULL), ERR_USAGE);
    assert_int_equal(text_parse_decimal("", &number, NULL), ERR_USAGE);
    assert_true(number == -1);
}

#define NOW_NS (1700000000 * S)

static int parse_time_now(const char *text, uint64_t *ns, struct err *err)
{
    return text_parse_time(text, NOW_NS, ns, err);
}

static void times_take_rfc3339_dates_epochs_and_ages(void **state)
{
    static const struct good cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01", 0},
        {"2000-02-29", 951782400 * S},
        {"2026-01-02T03:04:05Z", 1767323045 * S},
        {"2026-01-02T03:04:05.5Z", 1767323045 * S + S / 2},
        {"2026-01-02T03:04:05.123456789Z", 1767323045 * S + 123456789},
        {"2026-01-02T03:04:05.9999999999Z", 1767323045 * S + 999999999},
        {"2026-01-02T04:04:05+01:00", 1767323045 * S},
        {"2026-01-01T21:34:05-05:30", 1767323045 * S},
        {"2026-01-02t03:04:05z", 1767323045 * S},
        {"2026-01-02 03:04:05", 1767323045 * S},
        {"2026-01-02T03:04Z", 1767323040 * S},
        {"2016-12-31T23:59:60Z", 1483228800 * S},
        {"1970-01-01T01:00:00+01:00", 0},
        {"2262-04-12T00:00:00Z", 9223372800 * S},
        {"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
        {"@0", 0},
        {"@1700000000", NOW_NS},
        {"@1.5", S + S / 2},
        {"@18446744073.709551615", UINT64_MAX},
        {"now", NOW_NS},
        {"-10m", NOW_NS - 600 * S},
        {"-90", NOW_NS - 90 * S},
        {"-0.5", NOW_NS - S / 2},
    };

    (void)state;
    check_good(parse_time_now, cases, ARRAY_LEN(cases));
}

static void times_refuse_what_is_none_or_out_of_range(void **state)
{
    static const char *const texts[] = {
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "2026-1-2",
        "1900-02-29",
        "2100-02-29",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:61Z",
        "2026-01-02T",
        "2026-01-02T03",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05Zjunk",
        "2026-01-02junk",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "2554-07-21T23:34:33.709551616Z",
        "9999-12-31",
        "@",
        "@-1",
        "@1x",
        "@99999999999999999999999",
        "@18446744073.709551616",
        "-",
        "--10m",
        "-10x",
        "-60000d",
        "yesterday",
        "10:00",
    };

    (void)state;
    check_bad(parse_time_now, texts, ARRAY_LEN(texts));
}

static void times_are_written_with_nine_digits_in_utc(void **state)
{
    static const struct good cases[] = {
        {"1970-01-01T00:00:00.000000000Z", 0},
        {"2000-02-29T00:00:00.000000001Z", 951782400 * S + 1},
        {"2026-01-02T03:04:05.123456789Z", 1767323045 * S + 123456789},
        {"2100-03-01T00:00:00.000000000Z", 4107542400 * S},
        {"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
    };
    char text[TEXT_NUMBER_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        text_format_time(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void every_day_comes_back_as_it_was_written(void **state)
{
    char text[TEXT_NUMBER_MAX];

    (void)state;
    /* An odd step walks through the days of the year and the hours of the day. */
    for (uint64_t s = 12345; s < UINT64_MAX / S; s += 7 * 86400 + 3607) {
        uint64_t back = 0;
        text_format_time(s * S + s % S, text);
        assert_int_equal(text_parse_time(text, 0, &back, NULL), 0);
        assert_int_equal(back, s * S + s % S);
    }
}

struct shown {
    uint64_t value;
    const char *text;
};

static void check_shown(void (*format)(uint64_t, char *), const struct shown *cases, size_t n)
{
    char text[TEXT_NUMBER_MAX];

    for (size_t i = 0; i < n; i++) {
        format(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void sizes_are_shown_as_a_human_would_write_them(void **state)
{
    static const struct shown cases[] = {
        {0, "0 bytes"},          {1, "1 byte"},       {999, "999 bytes"},   {1000, "1 kB"},
        {1024, "1 KiB"},         {10000000, "10 MB"}, {33554432, "32 MiB"}, {1536000000, "1.53 GB"},
        {999999, "999 kB"},      {1000000, "1 MB"},   {1001, "1 kB"},       {12340000, "12.3 MB"},
        {UINT64_MAX, "18.4 EB"},
    };

    (void)state;
    check_shown(text_format_size, cases, ARRAY_LEN(cases));
}

static void durations_are_shown_in_at_most_two_units(void **state)
{
    static const struct shown cases[] = {
        {0, "0s"},
        {250, "250ns"},
        {1500, "1.5us"},
        {999999, "999us"},
        {1500000, "1.5ms"},
        {2 * S, "2s"},
        {59 * S + 999999999, "59.9s"},
        {90 * S, "1m30s"},
        {3600 * S, "1h"},
        {7500 * S, "2h5m"},
        {3 * 86400 * S + 59, "3d"},
        {90000 * S, "1d1h"},
        {UINT64_MAX, "213503d23h"},
    };
    static const struct shown seconds[] = {
        {0, "0"}, {90 * S, "90"}, {S + S / 2, "1.5"}, {1, "0.000000001"}, {10 * S, "10"},
    };

    (void)state;
    check_shown(text_format_duration, cases, ARRAY_LEN(cases));
    check_shown(text_format_seconds, seconds, ARRAY_LEN(seconds));
}

static void distance_counts_changes_and_swaps(void **state)
{
    char a[200];
    char b[200];

    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("filter", "filter"), 0);
    assert_int_equal(text_distance("fliter", "filter"), 1);
    assert_int_equal(text_distance("filer", "filter"), 1);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    memset(a, 'x', sizeof a);
    memset(b, 'y', sizeof b);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    assert_int_equal(text_distance(a, b), 63);
}

static void the_nearest_word_is_found_when_it_is_near_enough(void **state)
{
    static const char *const words[] = {"filter", "file", "from", "export", "eth0", "lo"};

    (void)state;
    assert_string_equal(text_nearest("fliter", words, 6), "filter");
    assert_string_equal(text_nearest("flie", words, 6), "file");
    assert_string_equal(text_nearest("eth1", words, 6), "eth0");
    assert_string_equal(text_nearest("exp", words, 6), "export");
    assert_string_equal(text_nearest("la", words, 6), "lo");
    assert_null(text_nearest("q", words, 6));
    assert_null(text_nearest("q", (const char *const[]){"e"}, 1));
    assert_null(text_nearest("bananas", words, 6));
    assert_null(text_nearest("", words, 6));
    assert_null(text_nearest("filter", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_take_both_kinds_of_units),
        cmocka_unit_test(sizes_refuse_what_is_none),
        cmocka_unit_test(counts_must_come_out_whole),
        cmocka_unit_test(durations_are_seconds_or_sums_of_units),
        cmocka_unit_test(decimal_numbers_are_not_negative),
        cmocka_unit_test(times_take_rfc3339_dates_epochs_and_ages),
        cmocka_unit_test(times_refuse_what_is_none_or_out_of_range),
        cmocka_unit_test(times_are_written_with_nine_digits_in_utc),
        cmocka_unit_test(every_day_comes_back_as_it_was_written),
        cmocka_unit_test(sizes_are_shown_as_a_human_would_write_them),
        cmocka_unit_test(durations_are_shown_in_at_most_two_units),
        cmocka_unit_test(distance_counts_changes_and_swaps),
        cmocka_unit_test(the_nearest_word_is_found_when_it_is_near_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
