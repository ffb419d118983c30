/* SPDX-License-Identifier: Apache-2.0
 *
 * What people type: sizes, counts, durations, times, ids, misspelt words. What was understood must
 * mean the same when it is written out and read again.
 */
#include <stdint.h>
#include <string.h>

#include "shared/base/id.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

#define NOW_NS         1760000000123456789u
#define TEXT_MAX_BYTES 300u /* longer than any word of a command line that means something */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_time(const char *text)
{
    char written[TEXT_NUMBER_MAX];
    uint64_t ns;
    uint64_t again;

    if (text_parse_time(text, NOW_NS, &ns, NULL) == 0) {
        text_format_time(ns, written);
        REQUIRE(text_parse_time(written, 0, &again, NULL) == 0);
        REQUIRE(again == ns);
    }
}

static void check_id(const char *text)
{
    char written[ID_TEXT_MAX];
    struct id id;
    struct id again;

    if (id_parse(text, &id)) {
        id_format(&id, written);
        REQUIRE(id_parse(written, &again));
        REQUIRE(id_compare(&id, &again) == 0);
        REQUIRE(id_has_prefix(&id, written));
    }
}

static void check_numbers(const char *text)
{
    char written[TEXT_NUMBER_MAX];
    uint64_t value;
    double number;
    struct err err;

    if (text_parse_size(text, &value, NULL) == 0) {
        text_format_size(value, written);
        REQUIRE(strlen(written) > 0);
    }
    if (text_parse_duration(text, &value, NULL) == 0) {
        text_format_duration(value, written);
        text_format_seconds(value, written);
        REQUIRE(strlen(written) > 0);
    }
    if (text_parse_count(text, &value, &err) < 0) {
        REQUIRE(strlen(err.text) > 0);
    }
    if (text_parse_decimal(text, &number, NULL) == 0) {
        REQUIRE(number == number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const words[] = {"capture", "query", "export", "list-interfaces"};
    char text[TEXT_MAX_BYTES + 1];

    if (n > TEXT_MAX_BYTES) {
        return 0;
    }
    memcpy(text, data, n);
    text[n] = '\0';
    check_numbers(text);
    check_time(text);
    check_id(text);
    (void)text_nearest(text, words, ARRAY_LEN(words));
    REQUIRE(text_distance(text, words[0]) == text_distance(words[0], text));
    return 0;
}
