/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>

#include "node/capture_body.h"
#include "shared/base/mem.h"

static int parse(const char *text, struct capture_body *body, struct err *err)
{
    return capture_body_parse((const uint8_t *)text, strlen(text), body, err);
}

static void every_member_arrives(void **state)
{
    struct capture_body body;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("{\"interfaces\":[\"eth0\",\"lo\"],\"filter\":\"tcp\",\"name\":\"n\","
                           "\"tags\":{\"a\":\"b\"},\"max_packets\":\"2k\",\"max_bytes\":\"1MiB\","
                           "\"duration\":\"1m30s\",\"snaplen\":96,\"promisc\":false}",
                           &body, &err),
                     0);
    assert_int_equal(body.request.n_interfaces, 2);
    assert_string_equal(body.request.interfaces[0], "eth0");
    assert_string_equal(body.request.interfaces[1], "lo");
    assert_string_equal(body.request.filter, "tcp");
    assert_string_equal(body.request.name, "n");
    assert_string_equal(body.request.tags, "{\"a\":\"b\"}");
    assert_int_equal(body.request.max_packets, 2000);
    assert_int_equal(body.request.max_bytes, 1u << 20);
    assert_int_equal(body.request.duration_ns, 90000000000u);
    assert_int_equal(body.request.snaplen, 96);
    assert_false(body.request.promisc);
    capture_body_deinit(&body);
}

static void one_interface_is_enough(void **state)
{
    struct capture_body body;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("{\"interface\":\"eth0\",\"duration\":0.25}", &body, &err), 0);
    assert_int_equal(body.request.n_interfaces, 1);
    assert_int_equal(body.request.duration_ns, 250000000u);
    assert_int_equal(body.request.max_packets, 0);
    assert_true(body.request.promisc);
    assert_null(body.request.filter);
    capture_body_deinit(&body);
}

static void whole_numbers_may_have_a_point(void **state)
{
    struct capture_body body;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("{\"interface\":\"a\",\"snaplen\":96.0,\"max_packets\":2e3,"
                           "\"max_bytes\":9007199254740992.0}",
                           &body, &err),
                     0);
    assert_int_equal(body.request.snaplen, 96);
    assert_int_equal(body.request.max_packets, 2000);
    assert_int_equal(body.request.max_bytes, 1ull << 53);
    capture_body_deinit(&body);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text;
        const char *word;
    } wrong[] = {
        {"", "missing"},
        {"[]", "object"},
        {"{}", "\"interface\" is missing"},
        {"{\"interface\":\"\"}", "\"interface\""},
        {"{\"interface\":\"a\",\"interface\":\"b\"}", "not JSON"},
        {"{\"interface\":\"a\",\"interfaces\":[\"b\"]}", "exclude"},
        {"{\"interface\":\"a\",\"filtre\":\"x\"}", "is \"filter\" meant?"},
        {"{\"interface\":\"a\",\"zzzzzzzz\":1}", "no member \"zzzzzzzz\""},
        {"{\"interface\":\"a\",\"max_packets\":-1}", "\"max_packets\""},
        {"{\"interface\":\"a\",\"max_packets\":true}", "\"max_packets\""},
        {"{\"interface\":\"a\",\"max_packets\":1.5}", "\"max_packets\""},
        {"{\"interface\":\"a\",\"max_packets\":-2.0}", "\"max_packets\""},
        {"{\"interface\":\"a\",\"max_packets\":1e300}", "\"max_packets\""},
        {"{\"interface\":\"a\",\"max_bytes\":\"12Q\"}", "\"max_bytes\""},
        {"{\"interface\":\"a\",\"duration\":-0.1}", "\"duration\""},
        {"{\"interface\":\"a\",\"duration\":1e300}", "\"duration\""},
        {"{\"interface\":\"a\",\"snaplen\":262145}", "\"snaplen\""},
        {"{\"interface\":\"a\",\"tags\":[]}", "\"tags\""},
        {"{\"interface\":\"a\",\"tags\":{\"a\":null}}", "\"tags\""},
        {"{\"interface\":\"a\\u0000b\"}", "not JSON"},
        {"{\"interface\":\"a\"} x", "not JSON"},
    };
    struct capture_body body;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        assert_int_equal(parse(wrong[i].text, &body, &err), ERR_USAGE);
        if (strstr(err.text, wrong[i].word) == NULL) {
            fail_msg("%s: %s", wrong[i].text, err.text);
        }
    }
}

static void more_interfaces_than_a_session_has_are_refused(void **state)
{
    char text[2048] = "{\"interfaces\":[\"a\"";
    struct capture_body body;
    struct err err = {0};
    size_t n = strlen(text);

    (void)state;
    for (int i = 1; i < SESSION_MAX_SOURCES + 1; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"a\"");
    }
    snprintf(text + n, sizeof text - n, "]}");
    assert_int_equal(parse(text, &body, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "at most 64"));
}

static void deep_nesting_is_refused(void **state)
{
    static char text[20000];
    struct capture_body body;
    struct err err = {0};

    (void)state;
    memset(text, '[', sizeof text - 1);
    assert_int_equal(parse(text, &body, &err), ERR_USAGE);
}

/* ---- the schema ---- */

/* Also 1e9 (JSON Schema core, 4.2.3). */
static bool is_whole(const json_t *value)
{
    return json_is_integer(value) ||
           (json_is_real(value) && floor(json_real_value(value)) >= json_real_value(value));
}

static bool has_type(const json_t *value, const char *type)
{
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "integer") == 0 && is_whole(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value));
}

static bool has_one_type(const json_t *value, json_t *types)
{
    bool good = json_is_string(types) && has_type(value, json_string_value(types));

    for (size_t i = 0; i < json_array_size(types); i++) {
        good = good || has_type(value, json_string_value(json_array_get(types, i)));
    }
    return good;
}

/* One keyword about a value that is no object. One that is not known here fails the test. */
static bool keeps_keyword(const json_t *value, const char *keyword, json_t *wanted)
{
    double n = json_number_value(wanted);

    if (strcmp(keyword, "type") == 0) {
        return has_one_type(value, wanted);
    }
    if (strcmp(keyword, "minimum") == 0) {
        return !json_is_number(value) || json_number_value(value) >= n;
    }
    if (strcmp(keyword, "maximum") == 0) {
        return !json_is_number(value) || json_number_value(value) <= n;
    }
    if (strcmp(keyword, "minLength") == 0 || strcmp(keyword, "minItems") == 0) {
        return (double)(json_string_length(value) + json_array_size(value)) >= n;
    }
    if (strcmp(keyword, "maxLength") == 0 || strcmp(keyword, "maxItems") == 0) {
        return (double)(json_string_length(value) + json_array_size(value)) <= n;
    }
    if (strcmp(keyword, "description") != 0 && strcmp(keyword, "examples") != 0 &&
        strcmp(keyword, "default") != 0) {
        fail_msg("a keyword that this test does not know: %s", keyword);
    }
    return true;
}

static bool fits(const json_t *value, json_t *schema)
{
    const char *keyword;
    json_t *wanted;
    bool good = true;

    json_object_foreach(schema, keyword, wanted)
    {
        if (strcmp(keyword, "items") == 0) {
            for (size_t i = 0; i < json_array_size(value); i++) {
                good = good && fits(json_array_get(value, i), wanted);
            }
        } else if (strcmp(keyword, "additionalProperties") == 0) {
            const char *name;
            json_t *member;
            json_object_foreach((json_t *)(uintptr_t)value, name, member)
            {
                good = good && fits(member, wanted);
            }
        } else {
            good = good && keeps_keyword(value, keyword, wanted);
        }
    }
    return good;
}

/* The whole content. */
static bool fits_body(const char *text, json_t *schema)
{
    json_t *body = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *name;
    json_t *value;
    size_t n_required = 0;
    bool good = json_is_object(body);

    json_object_foreach(body, name, value)
    {
        json_t *property = json_object_get(json_object_get(schema, "properties"), name);
        good = good && property != NULL && fits(value, property);
    }
    for (size_t i = 0; i < json_array_size(json_object_get(schema, "oneOf")); i++) {
        json_t *required =
            json_object_get(json_array_get(json_object_get(schema, "oneOf"), i), "required");
        n_required += json_object_get(body, json_string_value(json_array_get(required, 0))) != NULL;
    }
    json_decref(body);
    return good && n_required == 1;
}

/* Whether the parser takes it, which is what the schema says of it. */
static bool is_taken(const char *text, json_t *schema)
{
    struct capture_body body;
    struct err err = {0};
    bool taken = parse(text, &body, &err) == 0;

    if (taken != fits_body(text, schema)) {
        fail_msg("%s: the schema %s it, but the parser: %s", text, taken ? "refuses" : "takes",
                 taken ? "takes it" : err.text);
    }
    if (taken) {
        capture_body_deinit(&body);
    }
    return taken;
}

static void examples_of_the_schema_are_taken(void **state)
{
    json_t *schema = capture_body_schema();
    const char *name;
    json_t *property;
    size_t n = 0;

    (void)state;
    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        json_t *examples = json_object_get(property, "examples");
        assert_true(json_string_length(json_object_get(property, "description")) > 0);
        assert_true(json_array_size(examples) > 0);
        for (size_t i = 0; i < json_array_size(examples); i++) {
            json_t *body = json_object();
            if (strncmp(name, "interface", 9) != 0) {
                json_object_set_new(body, "interface", json_string("lo"));
            }
            json_object_set(body, name, json_array_get(examples, i));
            char *text = json_dumps(body, 0);
            assert_true(is_taken(text, schema));
            free(text);
            json_decref(body);
        }
        n++;
    }
    assert_int_equal(n, 10); /* those of every_member_arrives, and "interface" */
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    json_decref(schema);
}

/* For each property a value of every type and the ends of its range: the schema and the parser are
 * of one mind. (What texts mean, "12Q", and how a filter reads is beyond the schema.) */
static void schema_and_parser_agree(void **state)
{
    static const char *const values[] = {
        "-1",      "0",          "1",          "1.5",  "2.0",           "262144",    "262145",
        "1e9",     "1000000000", "1000000001", "true", "null",          "\"1\"",     "[]",
        "[\"a\"]", "[1]",        "[\"\"]",     "{}",   "{\"a\":\"b\"}", "{\"a\":1}", "[\"a\",{}]",
    };
    json_t *schema = capture_body_schema();
    const char *name;
    json_t *property;
    char text[256];

    (void)state;
    json_object_foreach(json_object_get(schema, "properties"), name, property)
    {
        bool is_interface = strncmp(name, "interface", 9) == 0;
        size_t n_taken = 0;
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            snprintf(text, sizeof text, "{%s\"%s\":%s}", is_interface ? "" : "\"interface\":\"a\",",
                     name, values[i]);
            n_taken += is_taken(text, schema) ? 1 : 0;
        }
        assert_true(n_taken > 0 && n_taken < ARRAY_LEN(values));
    }
    assert_false(is_taken("{}", schema));
    assert_false(is_taken("{\"interface\":\"a\",\"interfaces\":[\"b\"]}", schema));
    assert_false(is_taken("{\"interface\":\"a\",\"filtre\":\"x\"}", schema));
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_arrives),
        cmocka_unit_test(one_interface_is_enough),
        cmocka_unit_test(whole_numbers_may_have_a_point),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(more_interfaces_than_a_session_has_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(examples_of_the_schema_are_taken),
        cmocka_unit_test(schema_and_parser_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
