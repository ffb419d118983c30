/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/rpc_endpoint.h"

static void what_is_typed_is_understood_and_printed(void **state)
{
    static const struct {
        const char *text;
        const char *printed;
    } cases[] = {
        {"unix:/run/packetrecorder/rpc.sock", "unix:/run/packetrecorder/rpc.sock"},
        {"/tmp/a b.sock", "unix:/tmp/a b.sock"},
        {"./rpc.sock", "unix:./rpc.sock"},
        {"unix:rpc.sock", "unix:rpc.sock"},
        {"node7", "node7:50051"},
        {"node7:1234", "node7:1234"},
        {"127.0.0.1:50051", "127.0.0.1:50051"},
        {"[::1]", "[::1]:50051"},
        {"[::1]:7", "[::1]:7"},
    };
    struct rpc_endpoint endpoint;
    char text[RPC_ENDPOINT_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(rpc_endpoint_parse(cases[i].text, &endpoint, NULL), 0);
        rpc_endpoint_print(&endpoint, text);
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(endpoint.is_unix, strncmp(cases[i].printed, "unix:", 5) == 0);
    }
}

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void a_path_is_as_long_as_the_kernel_takes_it(void **state)
{
    static const char longest[] = "/23456" HUNDRED "7"; /* 107 bytes and the zero */
    struct rpc_endpoint endpoint;

    (void)state;
    assert_int_equal(sizeof longest, RPC_SOCKET_PATH_MAX);
    assert_int_equal(rpc_endpoint_parse(longest, &endpoint, NULL), 0);
    assert_string_equal(endpoint.path, longest);
}

static void the_rest_is_refused_with_the_way_out(void **state)
{
    static const char too_long[] = "/234567" HUNDRED "8"; /* 108 */
    const char *const bad[] = {
        "",
        "unix:",
        "http://node7:8080",
        "https://node7",
        "node7:50051/path",
        "node7:0",
        "node7:65536",
        "node7:",
        "::1",
        "fe80::1",
        "[::1",
        "user@node7",
        "no de",
        too_long,
    };
    struct rpc_endpoint endpoint = {.path = "kept"};
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(rpc_endpoint_parse(bad[i], &endpoint, &err), ERR_USAGE);
        assert_true(strstr(err.text, "unix:") != NULL);
        assert_string_equal(endpoint.path, "kept");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_typed_is_understood_and_printed),
        cmocka_unit_test(a_path_is_as_long_as_the_kernel_takes_it),
        cmocka_unit_test(the_rest_is_refused_with_the_way_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
