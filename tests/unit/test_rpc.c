/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/wire/rpc.h"

/* ---- scanning ---- */

static enum rpc_scan_state scan_whole(const uint8_t *message, size_t n, size_t max, size_t *length)
{
    struct rpc_scan scan = {0};
    enum rpc_scan_state state = rpc_scan(&scan, message, n, max);

    *length = scan.at;
    return state;
}

static struct buf a_request(void)
{
    struct buf args = {0};
    struct buf out = {0};

    rpc_put_map(&args, 3);
    rpc_put_text(&args, "session_id");
    rpc_put_text(&args, "a name of more than thirty-one bytes, so that it has a length");
    rpc_put_text(&args, "tags");
    rpc_put_array(&args, 2);
    rpc_put_bin(&args, "\x01\x02\x03", 3);
    rpc_put_real(&args, 1.5);
    rpc_put_text(&args, "n");
    rpc_put_u64(&args, UINT64_MAX);
    rpc_put_request(&out, 7, "session.query", (struct rpc_span){args.data, args.len}, 5000);
    buf_deinit(&args);
    return out;
}

static void a_message_is_found_whole_however_it_is_cut(void **state)
{
    struct buf message = a_request();

    (void)state;
    buf_put_str(&message, "next");
    size_t whole = message.len - 4;
    for (size_t step = 1; step <= message.len; step++) {
        struct rpc_scan scan = {0};
        enum rpc_scan_state got = RPC_SCAN_MORE;
        size_t n = 0;
        while (got == RPC_SCAN_MORE) {
            n = n + step < message.len ? n + step : message.len;
            got = rpc_scan(&scan, message.data, n, RPC_REQUEST_MAX);
            assert_true(got == RPC_SCAN_WHOLE ? n >= whole : n < whole);
        }
        assert_int_equal(got, RPC_SCAN_WHOLE);
        assert_int_equal(scan.at, whole);
    }
    buf_deinit(&message);
}

/* The whole of what such a message announces must fit, whether it came or not. */
static void what_is_only_announced_is_refused_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\x94\x00\x01\xa1x\xdd\xff\xff\xff\xff", 10}, /* four thousand million elements */
        {"\x94\x00\x01\xa1x\xdf\x80\x00\x00\x00", 10}, /* pairs: twice as many */
        {"\x94\x00\x01\xdb\xff\xff\xff\xff", 8},       /* a text of 4 GiB */
        {"\x94\x00\x01\xc6\x00\x01\x00\x00", 8},       /* bytes of more than the bound */
        {"\x94\x00\x01\xc9\xff\xff\xff\xff\x01", 9},   /* an extension */
        {"\x94\x00\x01\xc1", 4},                       /* never used */
        {"\x92\x00\x01", 3},                           /* two elements */
        {"\x95\x00\x01", 3},                           /* five */
        {"GET / HTTP/1.1\r\n", 16},                    /* no array */
        {"\xdc\x00\x04\x00", 4},                       /* the long form of four */
        {"\x94\x00\x01\xa1x\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
         "\x91",
         23}, /* deeper than is taken */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t length;
        assert_int_equal(
            scan_whole((const uint8_t *)bad[i].bytes, bad[i].n, RPC_REQUEST_MAX, &length),
            RPC_SCAN_BAD);
    }
}

static void the_bound_counts_to_the_byte(void **state)
{
    struct buf message = a_request();
    size_t length;

    (void)state;
    assert_int_equal(scan_whole(message.data, message.len, message.len, &length), RPC_SCAN_WHOLE);
    assert_int_equal(scan_whole(message.data, message.len, message.len - 1, &length), RPC_SCAN_BAD);
    assert_int_equal(scan_whole(NULL, 0, 10, &length), RPC_SCAN_MORE);
    buf_deinit(&message);
}

/* ---- envelopes ---- */

static void a_request_is_read_as_it_was_written(void **state)
{
    struct buf message = a_request();
    struct rpc_message got;
    struct rpc_call_options options;
    struct rpc_span args;
    bool has_id = false;

    (void)state;
    assert_int_equal(rpc_decode(message.data, message.len, &got, &has_id, NULL), 0);
    assert_true(has_id);
    assert_int_equal(got.kind, RPC_REQUEST);
    assert_int_equal(got.id, 7);
    assert_string_equal(got.method, "session.query");
    assert_int_equal(rpc_decode_params(got.params, &args, &options, NULL), 0);
    assert_int_equal(options.deadline_ms, 5000);
    assert_int_equal(args.bytes[0], 0x83);
    buf_deinit(&message);
}

static void options_are_read_as_they_were_written(void **state)
{
    static const uint8_t name[] = "\xa2n1";
    static const uint8_t names[] = "\x92\xa2n1\xa2n2";
    struct rpc_call_options options = {.deadline_ms = 70,
                                       .node = {name, 3},
                                       .nodes = {names, 7},
                                       .is_forwarded = true,
                                       .rights = 3,
                                       .who = "uid 0"};
    struct rpc_call_options got_options;
    struct rpc_message got;
    struct rpc_span args;
    struct buf out = {0};

    (void)state;
    rpc_put_request_with(&out, 1, "node.info", (struct rpc_span){0}, &options);
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(rpc_decode_params(got.params, &args, &got_options, NULL), 0);
    assert_int_equal(got_options.deadline_ms, 70);
    assert_int_equal(got_options.node.n, 3);
    assert_memory_equal(got_options.nodes.bytes, names, 7);
    assert_null(got_options.select.bytes);
    assert_true(got_options.is_forwarded);
    assert_int_equal(got_options.rights, 3);
    assert_string_equal(got_options.who, "uid 0");
    buf_reset(&out);
    rpc_put_request(&out, 1, "node.info", (struct rpc_span){0}, 0);
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(rpc_decode_params(got.params, &args, &got_options, NULL), 0);
    assert_false(got_options.is_forwarded);
    assert_null(got_options.node.bytes);
    buf_deinit(&out);
}

static void depth_is_told_to_the_level(void **state)
{
    static const uint8_t value[] = "\x92\x01\x81\xa1k\x91\x02"; /* [1, {k: [2]}] */

    (void)state;
    assert_false(rpc_fits_depth((struct rpc_span){value, 7}, 2));
    assert_true(rpc_fits_depth((struct rpc_span){value, 7}, 3));
    assert_true(rpc_fits_depth((struct rpc_span){value + 1, 1}, 0));
    assert_true(rpc_fits_depth((struct rpc_span){0}, 0));
}

static void a_response_has_an_error_or_a_result(void **state)
{
    struct buf out = {0};
    struct rpc_message got;
    struct rpc_error error;

    (void)state;
    rpc_put_response(&out, 9, (struct rpc_span){(const uint8_t *)"\x2a", 1});
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(got.kind, RPC_RESPONSE);
    assert_null(got.error.bytes);
    assert_int_equal(got.result.n, 1);
    buf_reset(&out);
    rpc_put_response_head(&out, 70000);
    rpc_put_u64(&out, 42);
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(got.id, 70000);
    assert_int_equal(got.result.n, 1);
    buf_reset(&out);
    rpc_put_error(&out, 4000000000u, "not_found", "no\nsession \x1b[31m \xc2\x9b[32m \xff", "n3");
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(got.id, 4000000000u);
    assert_null(got.result.bytes);
    assert_int_equal(rpc_decode_error(got.error, &error, NULL), 0);
    assert_string_equal(error.code, "not_found");
    assert_string_equal(error.message, "no?session ?[31m ??[32m ?");
    assert_string_equal(error.node, "n3");
    assert_int_equal(rpc_code_to_err("not_found"), ERR_NOT_FOUND);
    assert_int_equal(rpc_code_to_err("deadline"), ERR_IO);
    buf_deinit(&out);
}

static void a_notification_and_a_cancel_are_read(void **state)
{
    struct buf out = {0};
    struct rpc_message got;
    uint32_t id;

    (void)state;
    rpc_put_cancel(&out, 12);
    assert_int_equal(rpc_decode(out.data, out.len, &got, NULL, NULL), 0);
    assert_int_equal(got.kind, RPC_NOTIFICATION);
    assert_string_equal(got.method, RPC_CANCEL);
    assert_int_equal(rpc_decode_cancel(got.params, &id, NULL), 0);
    assert_int_equal(id, 12);
    assert_int_equal(rpc_decode_cancel((struct rpc_span){(const uint8_t *)"\x90", 1}, &id, NULL),
                     ERR_USAGE);
    buf_deinit(&out);
}

static void what_is_no_envelope_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool has_id;
    } bad[] = {
        {"\x93\x00\x01\xa1x", 5, false},     /* a request of three */
        {"\x94\x02\x01\xa1x\x90", 6, false}, /* a notification of four */
        {"\x94\x03\x01\xa1x\x90", 6, false}, /* another kind */
        {"\x94\x00\xff\xa1x\x90", 6, false}, /* a negative id */
        {"\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1x\x90", 14, false}, /* one of 33 bits */
        {"\x94\x00\x01\xc4\x01x\x90", 7, true}, /* the method as bytes */
        {"\x94\x00\x01\xa1x\x80", 6, true},     /* params as a map */
        {"\x94\x00\x01\xa1x\xc0", 6, true},     /* or nil */
        {"\x94\x00\x01\xa1\x00\x90", 6, true},  /* a zero in the method */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct rpc_message got;
        struct err err = {0};
        bool has_id;
        assert_int_equal(rpc_decode((const uint8_t *)bad[i].bytes, bad[i].n, &got, &has_id, &err),
                         ERR_USAGE);
        assert_int_equal(has_id, bad[i].has_id);
        assert_true(!has_id || got.id == 1);
    }
}

static void params_that_are_no_maps_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } params[] = {
        {"\x90", 1, 0},
        {"\x91\x80", 2, 0},
        {"\x91\xc0", 2, 0},
        {"\x92\x80\xc0", 3, 0},
        {"\x92\xc0\x80", 3, 0},
        {"\x92\x80\x81\xa1x\x91\x01", 7, 0},
        {"\x91\x90", 2, ERR_USAGE},
        {"\x91\x01", 2, ERR_USAGE},
        {"\x92\x80\x90", 3, ERR_USAGE},
        {"\x93\x80\x80\x80", 4, ERR_USAGE},
        {"\x92\x80\x81\xab"
         "deadline_ms\xff",
         15, ERR_USAGE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        struct rpc_span args;
        struct rpc_call_options options;
        assert_int_equal(
            rpc_decode_params((struct rpc_span){(const uint8_t *)params[i].bytes, params[i].n},
                              &args, &options, NULL),
            params[i].code);
    }
}

/* ---- JSON ---- */

static void json_comes_back_as_it_went(void **state)
{
    static const char text[] =
        "{\"a\":null,\"b\":[true,false,0,-1,-33,127,128,65536,-2147483649,9223372036854775807],"
        "\"c\":{\"d\":1.5,\"e\":\"\\u00e4 text of more than thirty-one bytes, with a length\"},"
        "\"f\":[],\"g\":{},\"h\":\"\"}";
    json_t *value = json_loads(text, 0, NULL);
    struct buf packed = {0};
    json_t *back = NULL;

    (void)state;
    assert_non_null(value);
    rpc_put_json(&packed, value);
    assert_int_equal(rpc_to_json((struct rpc_span){packed.data, packed.len}, 100, &back, NULL), 0);
    assert_true(json_equal(value, back));
    json_decref(back);
    assert_int_equal(rpc_to_json((struct rpc_span){packed.data, packed.len}, 10, &back, NULL),
                     ERR_LIMIT);
    for (size_t n = 0; n < packed.len; n++) {
        assert_true(rpc_to_json((struct rpc_span){packed.data, n}, 100, &back, NULL) < 0);
    }
    json_decref(value);
    buf_deinit(&packed);
}

static void what_json_has_not_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\xc4\x01x", 3},                            /* bytes */
        {"\xd4\x01x", 3},                            /* an extension */
        {"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", 9}, /* infinite */
        {"\xca\x7f\xc0\x00\x00", 5},                 /* no number */
        {"\xa2\xc3\x28", 3},                         /* no UTF-8 */
        {"\x81\x01\x02", 3},                         /* a number as key */
        {"\x82\xa1x\x01\xa1x\x02", 7},               /* a key twice */
        {"\x81\xa1\x00\x01", 4},                     /* a zero in a key */
        {"\x01\x01", 2},                             /* two values */
        {"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01", 18}, /* deep */
    };
    json_t *out = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(rpc_to_json((struct rpc_span){(const uint8_t *)bad[i].bytes, bad[i].n}, 100,
                                &out, NULL) < 0);
    }
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_found_whole_however_it_is_cut),
        cmocka_unit_test(what_is_only_announced_is_refused_at_once),
        cmocka_unit_test(the_bound_counts_to_the_byte),
        cmocka_unit_test(a_request_is_read_as_it_was_written),
        cmocka_unit_test(options_are_read_as_they_were_written),
        cmocka_unit_test(depth_is_told_to_the_level),
        cmocka_unit_test(a_response_has_an_error_or_a_result),
        cmocka_unit_test(a_notification_and_a_cancel_are_read),
        cmocka_unit_test(what_is_no_envelope_is_refused),
        cmocka_unit_test(params_that_are_no_maps_are_refused),
        cmocka_unit_test(json_comes_back_as_it_went),
        cmocka_unit_test(what_json_has_not_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
