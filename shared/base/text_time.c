/* SPDX-License-Identifier: Apache-2.0
 *
 * Times of text.h. RFC 3339 section 5.6; the calendar is the proleptic Gregorian one, leap seconds
 * fall into the next second as POSIX has it.
 */
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text_number.h"

#define DAY_S 86400

static int not_a_time(struct err *err, const char *text)
{
    return err_set(err, ERR_USAGE,
                   "'%s' is not a time: write 2026-01-31T12:00:00Z, 2026-01-31, @SECONDS or -10m "
                   "(ten minutes ago)",
                   text);
}

static int out_of_range(struct err *err, const char *text)
{
    return err_set(err, ERR_USAGE, "'%s' is not between 1970 and 2554-07-21", text);
}

/* Exactly n digits at *p; moves behind them. */
static bool take_digits(const char **p, unsigned n, int *out)
{
    int value = 0;

    for (unsigned i = 0; i < n; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *p += n;
    *out = value;
    return true;
}

static bool take_char(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01; the year begins in March so that the leap day is its last. */
static int64_t days_of_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static void date_of_days(uint64_t days, int *year, int *month, int *day)
{
    uint64_t z = days + 719468;
    uint64_t era = z / 146097;
    uint64_t doe = z - era * 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static bool take_date(const char **p, int64_t *days)
{
    int year;
    int month;
    int day;

    if (!take_digits(p, 4, &year) || !take_char(p, '-') || !take_digits(p, 2, &month) ||
        !take_char(p, '-') || !take_digits(p, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    *days = days_of_date(year, month, day);
    return true;
}

/* "hh:mm[:ss[.fraction]]" */
static bool take_clock(const char **p, int64_t *seconds, uint64_t *ns)
{
    int hour;
    int minute;
    int second = 0;
    struct number fraction;

    if (!take_digits(p, 2, &hour) || !take_char(p, ':') || !take_digits(p, 2, &minute)) {
        return false;
    }
    if (take_char(p, ':') && !take_digits(p, 2, &second)) {
        return false;
    }
    if (**p == '.') {
        if (number_read(p, &fraction) != NUMBER_OK) {
            return false;
        }
        /* Cut to nanoseconds, not rounded: rounding could reach the next second. */
        *ns = (uint64_t)((unsigned __int128)fraction.fraction * TEXT_SECOND / fraction.scale);
    }
    *seconds = hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second <= 60;
}

/* "Z" or "+hh:mm"; nothing means UTC. */
static bool take_offset(const char **p, int64_t *seconds)
{
    int hours;
    int minutes;
    bool west = **p == '-';

    *seconds = 0;
    if (**p == '\0') {
        return true;
    }
    if (take_char(p, 'Z') || take_char(p, 'z')) {
        return **p == '\0';
    }
    if (!take_char(p, '+') && !take_char(p, '-')) {
        return false;
    }
    if (!take_digits(p, 2, &hours) || !take_char(p, ':') || !take_digits(p, 2, &minutes)) {
        return false;
    }
    *seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return **p == '\0' && hours < 24 && minutes < 60;
}

static int parse_rfc3339(const char *text, uint64_t *ns, struct err *err)
{
    const char *p = text;
    int64_t days;
    int64_t seconds = 0;
    int64_t offset = 0;
    uint64_t fraction_ns = 0;
    uint64_t value;

    if (!take_date(&p, &days)) {
        return not_a_time(err, text);
    }
    if (*p != '\0') {
        if (!take_char(&p, 'T') && !take_char(&p, 't') && !take_char(&p, ' ')) {
            return not_a_time(err, text);
        }
        if (!take_clock(&p, &seconds, &fraction_ns) || !take_offset(&p, &offset)) {
            return not_a_time(err, text);
        }
    }
    int64_t total = days * DAY_S + seconds - offset;
    if (total < 0 || __builtin_mul_overflow((uint64_t)total, TEXT_SECOND, &value) ||
        __builtin_add_overflow(value, fraction_ns, &value)) {
        return out_of_range(err, text);
    }
    *ns = value;
    return 0;
}

static int parse_epoch(const char *text, uint64_t *ns, struct err *err)
{
    const char *p = text + 1;
    struct number number;
    uint64_t value;
    enum number_result result = number_read(&p, &number);

    if (result == NUMBER_NONE || (result == NUMBER_OK && *p != '\0')) {
        return not_a_time(err, text);
    }
    if (result == NUMBER_TOO_LARGE ||
        number_scale(&number, TEXT_SECOND, &value) == NUMBER_TOO_LARGE) {
        return out_of_range(err, text);
    }
    *ns = value;
    return 0;
}

int text_parse_time(const char *text, uint64_t now_ns, uint64_t *ns, struct err *err)
{
    uint64_t ago_ns;

    if (text[0] == '@') {
        return parse_epoch(text, ns, err);
    }
    if (strcmp(text, "now") == 0) {
        *ns = now_ns;
        return 0;
    }
    if (text[0] != '-') {
        return parse_rfc3339(text, ns, err);
    }
    if (text_parse_duration(text + 1, &ago_ns, NULL) < 0) {
        return not_a_time(err, text);
    }
    if (ago_ns > now_ns) {
        return out_of_range(err, text);
    }
    *ns = now_ns - ago_ns;
    return 0;
}

void text_format_time(uint64_t ns, char out[TEXT_NUMBER_MAX])
{
    uint64_t seconds = ns / TEXT_SECOND;
    unsigned rest = (unsigned)(seconds % DAY_S);
    int year;
    int month;
    int day;

    date_of_days(seconds / DAY_S, &year, &month, &day);
    snprintf(out, TEXT_NUMBER_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, rest / 3600, rest / 60 % 60, rest % 60,
             (unsigned)(ns % TEXT_SECOND));
}
