/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer_fields.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "shared/base/text.h"

#define COUNT_REAL_MAX 1.8e19 /* below 2^64: larger ones are no counts */

const char *field_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL || text[0] == '\0' ? NULL : text;
}

uint64_t field_count(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return (uint64_t)json_integer_value(value);
    }
    if (json_is_real(value) && json_real_value(value) >= 0 &&
        json_real_value(value) < COUNT_REAL_MAX) {
        return (uint64_t)json_real_value(value);
    }
    return UINT64_MAX;
}

uint64_t field_time_ns(const json_t *object, const char *name)
{
    const char *text = field_text(object, name);
    uint64_t ns = 0;

    /* Relative times are no answers. */
    if (text == NULL || text[0] < '0' || text[0] > '9' || text_parse_time(text, 0, &ns, NULL) < 0) {
        return 0;
    }
    return ns;
}

bool field_is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

const char *field_count_cell(const json_t *object, const char *name, char *out)
{
    uint64_t count = field_count(object, name);

    if (count == UINT64_MAX) {
        return NULL;
    }
    snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64, count);
    return out;
}

const char *field_size_cell(const json_t *object, const char *name, char *out)
{
    uint64_t count = field_count(object, name);

    if (count == UINT64_MAX) {
        return NULL;
    }
    text_format_size(count, out);
    return out;
}
