/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text_number.h"

#define WORD_MAX 63

struct unit {
    const char *name;
    uint64_t factor;
};

#define KILO 1000ULL
#define KIBI 1024ULL

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"k", KILO},
    {"K", KILO},
    {"kB", KILO},
    {"KB", KILO},
    {"M", KILO *KILO},
    {"MB", KILO *KILO},
    {"G", KILO *KILO *KILO},
    {"GB", KILO *KILO *KILO},
    {"T", KILO *KILO *KILO *KILO},
    {"TB", KILO *KILO *KILO *KILO},
    {"KiB", KIBI},
    {"kiB", KIBI},
    {"MiB", KIBI *KIBI},
    {"GiB", KIBI *KIBI *KIBI},
    {"TiB", KIBI *KIBI *KIBI *KIBI},
};

static const struct unit count_units[] = {
    {"", 1}, {"k", KILO}, {"K", KILO}, {"M", KILO *KILO}, {"G", KILO *KILO *KILO},
};

static const struct unit time_units[] = {
    {"ns", 1},
    {"us", KILO},
    {"\xc2\xb5s", KILO}, /* µs */
    {"ms", KILO *KILO},
    {"s", TEXT_SECOND},
    {"m", 60 * TEXT_SECOND},
    {"h", 3600 * TEXT_SECOND},
    {"d", 86400 * TEXT_SECOND},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum number_result number_read(const char **text, struct number *out)
{
    const char *p = *text;
    struct number number = {.scale = 1};
    unsigned n_digits = 0;

    for (; is_digit(*p); p++, n_digits++) {
        if (__builtin_mul_overflow(number.whole, 10, &number.whole) ||
            __builtin_add_overflow(number.whole, (uint64_t)(*p - '0'), &number.whole)) {
            return NUMBER_TOO_LARGE;
        }
    }
    if (*p == '.') {
        for (p++; is_digit(*p); p++, n_digits++) {
            if (number.scale < TEXT_SECOND * TEXT_SECOND) {
                number.fraction = number.fraction * 10 + (uint64_t)(*p - '0');
                number.scale *= 10;
            }
        }
    }
    if (n_digits == 0) {
        return NUMBER_NONE;
    }
    *text = p;
    *out = number;
    return NUMBER_OK;
}

enum number_result number_scale(const struct number *number, uint64_t factor, uint64_t *out)
{
    unsigned __int128 part = (unsigned __int128)number->fraction * factor;
    unsigned __int128 value =
        (unsigned __int128)number->whole * factor + (part + number->scale / 2) / number->scale;

    if (value > UINT64_MAX) {
        return NUMBER_TOO_LARGE;
    }
    *out = (uint64_t)value;
    return part % number->scale == 0 ? NUMBER_OK : NUMBER_ROUNDED;
}

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name,
                                    size_t length)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

static int too_large(struct err *err, const char *text)
{
    return err_set(err, ERR_USAGE, "'%s' is too large: it does not fit 64 bits", text);
}

/* One number with at most one unit. A fraction must come out whole where `exact` or no unit. */
static int parse_scaled(const char *text, const struct unit *units, size_t n, bool exact,
                        uint64_t *out, enum number_result *result)
{
    const char *p = text;
    struct number number;
    uint64_t value;

    *result = number_read(&p, &number);
    if (*result != NUMBER_OK) {
        return -1;
    }
    if (*p == ' ' && p[1] != '\0') {
        p++;
    }
    const struct unit *unit = find_unit(units, n, p, strlen(p));
    if (unit == NULL) {
        *result = NUMBER_NONE;
        return -1;
    }
    *result = number_scale(&number, unit->factor, &value);
    if (*result == NUMBER_TOO_LARGE ||
        (*result == NUMBER_ROUNDED && (exact || unit->factor == 1))) {
        return -1;
    }
    *out = value;
    return 0;
}

int text_parse_size(const char *text, uint64_t *bytes, struct err *err)
{
    enum number_result result;

    if (parse_scaled(text, size_units, sizeof size_units / sizeof size_units[0], false, bytes,
                     &result) == 0) {
        return 0;
    }
    if (result == NUMBER_TOO_LARGE) {
        return too_large(err, text);
    }
    if (result == NUMBER_ROUNDED) {
        return err_set(err, ERR_USAGE, "'%s' is not a whole number of bytes", text);
    }
    return err_set(err, ERR_USAGE,
                   "'%s' is not a size: write bytes, or a number with k, M, G, T (by 1000) or "
                   "KiB, MiB, GiB, TiB (by 1024)",
                   text);
}

int text_parse_count(const char *text, uint64_t *count, struct err *err)
{
    enum number_result result;

    if (parse_scaled(text, count_units, sizeof count_units / sizeof count_units[0], true, count,
                     &result) == 0) {
        return 0;
    }
    if (result == NUMBER_TOO_LARGE) {
        return too_large(err, text);
    }
    return err_set(
        err, ERR_USAGE,
        "'%s' is not a count: write a whole number, k, M and G multiply it by a thousand "
        "each",
        text);
}

static int not_a_duration(struct err *err, const char *text)
{
    return err_set(err, ERR_USAGE,
                   "'%s' is not a duration: write seconds, or numbers with ns, us, ms, s, m, h or "
                   "d, as in 1m30s",
                   text);
}

static size_t unit_length(const char *p)
{
    size_t n = 0;

    while (p[n] != '\0' && p[n] != '.' && !is_digit(p[n])) {
        n++;
    }
    return n;
}

int text_parse_duration(const char *text, uint64_t *ns, struct err *err)
{
    const char *p = text;
    uint64_t sum = 0;

    do {
        struct number number;
        uint64_t part;
        uint64_t factor = TEXT_SECOND;
        bool first = p == text;
        enum number_result result = number_read(&p, &number);
        if (result != NUMBER_OK) {
            return result == NUMBER_TOO_LARGE ? too_large(err, text) : not_a_duration(err, text);
        }
        size_t length = unit_length(p);
        if (length > 0) {
            const struct unit *unit =
                find_unit(time_units, sizeof time_units / sizeof time_units[0], p, length);
            if (unit == NULL) {
                return not_a_duration(err, text);
            }
            factor = unit->factor;
        } else if (!first || *p != '\0') {
            return not_a_duration(err, text);
        }
        p += length;
        if (number_scale(&number, factor, &part) == NUMBER_TOO_LARGE ||
            __builtin_add_overflow(sum, part, &sum)) {
            return too_large(err, text);
        }
    } while (*p != '\0');
    *ns = sum;
    return 0;
}

int text_parse_decimal(const char *text, double *number, struct err *err)
{
    const char *p = text;
    struct number parsed;

    if (number_read(&p, &parsed) != NUMBER_OK || *p != '\0') {
        return err_set(err, ERR_USAGE, "'%s' is not a number such as 2 or 0.5", text);
    }
    *number = (double)parsed.whole + (double)parsed.fraction / (double)parsed.scale;
    return 0;
}

/* The largest unit by 1024 that divides the size, so that "32MiB" comes back as it was typed. */
static const char *whole_binary_unit(uint64_t bytes, uint64_t *count)
{
    static const char *const names[] = {"TiB", "GiB", "MiB", "KiB"};

    for (unsigned i = 0; i < 4; i++) {
        uint64_t factor = 1ULL << (10 * (4 - i));
        if (bytes >= factor && bytes % factor == 0) {
            *count = bytes / factor;
            return names[i];
        }
    }
    return NULL;
}

/* value / factor with three digits, cut, not rounded: rounding could show 1000. */
static int format_three_digits(char *out, uint64_t value, uint64_t factor)
{
    uint64_t thousandths = (uint64_t)((unsigned __int128)value * 1000 / factor);
    unsigned whole = (unsigned)(thousandths / 1000);
    unsigned part = (unsigned)(thousandths % 1000);
    int n = snprintf(out, TEXT_NUMBER_MAX, "%u.%03u", whole, part);

    n -= whole >= 100 ? 3 : whole >= 10 ? 2 : 1;
    while (out[n - 1] == '0' && n > 1 && memchr(out, '.', (size_t)n) != NULL) {
        n--;
    }
    if (out[n - 1] == '.') {
        n--;
    }
    out[n] = '\0';
    return n;
}

void text_format_size(uint64_t bytes, char out[TEXT_NUMBER_MAX])
{
    static const char *const names[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t count;
    const char *binary = whole_binary_unit(bytes, &count);
    uint64_t factor = KILO;
    unsigned i = 0;

    if (binary != NULL && count < 10000) {
        snprintf(out, TEXT_NUMBER_MAX, "%llu %s", (unsigned long long)count, binary);
        return;
    }
    if (bytes < KILO) {
        snprintf(out, TEXT_NUMBER_MAX, "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
        return;
    }
    for (; bytes / factor >= KILO; i++) {
        factor *= KILO;
    }
    int n = format_three_digits(out, bytes, factor);
    snprintf(out + n, TEXT_NUMBER_MAX - (size_t)n, " %s", names[i]);
}

void text_format_seconds(uint64_t ns, char out[TEXT_NUMBER_MAX])
{
    int n = snprintf(out, TEXT_NUMBER_MAX, "%llu.%09llu", (unsigned long long)(ns / TEXT_SECOND),
                     (unsigned long long)(ns % TEXT_SECOND));

    while (out[n - 1] == '0') {
        out[--n] = '\0';
    }
    if (out[n - 1] == '.') {
        out[n - 1] = '\0';
    }
}

void text_format_duration(uint64_t ns, char out[TEXT_NUMBER_MAX])
{
    static const struct unit units[] = {
        {"d", 86400 * TEXT_SECOND}, {"h", 3600 * TEXT_SECOND}, {"m", 60 * TEXT_SECOND},
        {"s", TEXT_SECOND},         {"ms", KILO * KILO},       {"us", KILO},
    };
    size_t i = 0;

    if (ns < KILO) {
        snprintf(out, TEXT_NUMBER_MAX, "%u%s", (unsigned)ns, ns == 0 ? "s" : "ns");
        return;
    }
    while (ns < units[i].factor) {
        i++;
    }
    if (units[i].factor <= TEXT_SECOND) {
        int n = format_three_digits(out, ns, units[i].factor);
        snprintf(out + n, TEXT_NUMBER_MAX - (size_t)n, "%s", units[i].name);
        return;
    }
    unsigned next = (unsigned)(ns % units[i].factor / units[i + 1].factor);
    int n = snprintf(out, TEXT_NUMBER_MAX, "%u%s", (unsigned)(ns / units[i].factor), units[i].name);
    if (next > 0) {
        snprintf(out + n, TEXT_NUMBER_MAX - (size_t)n, "%u%s", next, units[i + 1].name);
    }
}

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0];
    unsigned *last = rows[1];
    unsigned *row = rows[2];
    unsigned na = (unsigned)strnlen(a, WORD_MAX);
    unsigned nb = (unsigned)strnlen(b, WORD_MAX);

    for (unsigned j = 0; j <= nb; j++) {
        last[j] = j;
    }
    for (unsigned i = 1; i <= na; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned change = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min_of(change, min_of(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min_of(row[j], before[j - 2] + 1);
            }
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[nb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t length = strlen(word);
    unsigned limit = length < 4 ? 1 : (unsigned)(length / 3);
    unsigned best = limit + 1;
    const char *nearest = NULL;
    const char *begun = NULL;

    for (size_t i = 0; i < n; i++) {
        unsigned distance = text_distance(word, candidates[i]);
        /* A word of two letters is one change away from far too much; "lo" must not become "e". */
        if (distance < best && distance < length) {
            best = distance;
            nearest = candidates[i];
        }
        if (begun == NULL && length >= 3 && strncmp(word, candidates[i], length) == 0) {
            begun = candidates[i];
        }
    }
    return nearest != NULL ? nearest : begun;
}
