/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_arrives),
        cmocka_unit_test(one_interface_is_enough),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(more_interfaces_than_a_session_has_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
