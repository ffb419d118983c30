/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <zstd.h>

#include "cli/viewer_request.h"
#include "cli/viewer_zstd.h"
#include "shared/base/mem.h"

static void check_target(const struct viewer_request *request, const char *wanted)
{
    struct buf out = {0};

    viewer_request_target(&out, request);
    assert_string_equal((const char *)out.data, wanted);
    buf_deinit(&out);
}

static void the_target_says_what_is_wanted_and_no_more(void **state)
{
    (void)state;
    check_target(&(struct viewer_request){.base = "", .interface = "eth0"},
                 "/connections/eth0?format=pcapng");
    check_target(&(struct viewer_request){.base = "/node7",
                                          .interface = "siteA:eth0/1",
                                          .filter = "tcp port 80 && host 10.0.0.1",
                                          .snaplen = 96,
                                          .compress = true,
                                          .history_ns = 1500000000,
                                          .resume = "ab-1:42"},
                 "/node7/connections/siteA%3Aeth0%2F1?format=pcapng&filter=tcp%20port%2080%20%26%26"
                 "%20host%2010.0.0.1&snaplen=96&compress=zstd&history=1.5&resume=ab-1%3A42");
}

static void an_absolute_history_keeps_its_nanoseconds(void **state)
{
    (void)state;
    check_target(&(struct viewer_request){.base = "",
                                          .interface = "e",
                                          .history_ns = 30000000000,
                                          .history_from_ns = 1795000000000000042},
                 "/connections/e?format=pcapng&history=@1795000000.000000042");
}

static void refusals_are_final_unless_time_mends_them(void **state)
{
    (void)state;
    for (int known = 0; known <= 1; known++) {
        assert_true(viewer_refusal_is_final(400, known));
        assert_true(viewer_refusal_is_final(401, known));
        assert_true(viewer_refusal_is_final(403, known));
        assert_false(viewer_refusal_is_final(500, known));
        assert_false(viewer_refusal_is_final(503, known));
        assert_false(viewer_refusal_is_final(429, known));
        assert_false(viewer_refusal_is_final(0, known));
    }
    assert_true(viewer_refusal_is_final(404, false));
    assert_false(viewer_refusal_is_final(404, true));
    assert_non_null(strstr(viewer_refusal_hint(401, ""), "--api-key-file"));
    assert_non_null(strstr(viewer_refusal_hint(403, ""), "role view"));
    assert_string_equal(viewer_refusal_hint(503, "/connections/eth0"), "");
    assert_string_equal(viewer_refusal_hint(404, ""), "");
    assert_non_null(strstr(viewer_refusal_hint(404, "/connections/eth0"), "ENDPOINT is HOST:PORT"));
}

/* All that comes out of n bytes, in pieces of the input. */
static int inflate_all(struct viewer_zstd *zstd, const uint8_t *p, size_t n, size_t step,
                       struct buf *out, struct err *err)
{
    int code = 0;

    for (size_t at = 0; at < n && code >= 0; at += step) {
        struct bytes_reader in = bytes_reader(p + at, n - at < step ? n - at : step);
        const uint8_t *data;
        size_t size;
        while ((code = viewer_zstd_next(zstd, &in, &data, &size, err)) == 1) {
            buf_append(out, data, size);
        }
        if (code == 0) {
            assert_int_equal(bytes_left(&in), 0);
        }
    }
    return code;
}

static void compressed_messages_are_one_stream_or_a_frame_each(void **state)
{
    static uint8_t plain[700000];
    uint8_t *packed = x_alloc(ZSTD_compressBound(sizeof plain) * 2);
    struct viewer_zstd *zstd = viewer_zstd_new();
    struct err err;
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(i * i >> 7);
    }
    for (size_t step = 100; step < 2000000; step = step * 7 + 1) {
        size_t n = ZSTD_compress(packed, ZSTD_compressBound(sizeof plain), plain, sizeof plain, 1);
        n += ZSTD_compress(packed + n, ZSTD_compressBound(1000), plain, 1000, 1);
        buf_reset(&out);
        viewer_zstd_reset(zstd);
        assert_int_equal(inflate_all(zstd, packed, n, step, &out, &err), 0);
        assert_int_equal(out.len, sizeof plain + 1000);
        assert_memory_equal(out.data, plain, sizeof plain);
        assert_memory_equal(out.data + sizeof plain, plain, 1000);
    }
    buf_deinit(&out);
    mem_free(packed);
    viewer_zstd_free(zstd);
}

/* The input is used up long before the output is. */
static void what_is_packed_tightly_comes_out_whole(void **state)
{
    const size_t n_plain = 5000000;
    uint8_t *plain = x_alloc(n_plain);
    uint8_t *packed = x_alloc(ZSTD_compressBound(n_plain));
    struct viewer_zstd *zstd = viewer_zstd_new();
    struct buf out = {0};
    struct err err;

    (void)state;
    size_t n = ZSTD_compress(packed, ZSTD_compressBound(n_plain), plain, n_plain, 1);
    assert_true(n < 5000);
    assert_int_equal(inflate_all(zstd, packed, n, n, &out, &err), 0);
    assert_int_equal(out.len, n_plain);
    buf_deinit(&out);
    mem_free(packed);
    mem_free(plain);
    viewer_zstd_free(zstd);
}

/* An open stream that is flushed with each message gives each message at once. */
static void a_flushed_message_is_given_whole(void **state)
{
    struct viewer_zstd *zstd = viewer_zstd_new();
    ZSTD_CCtx *context = ZSTD_createCCtx();
    struct err err;
    struct buf out = {0};

    (void)state;
    for (int i = 0; i < 50; i++) {
        uint8_t packed[4096];
        char text[] = "message number   of a stream";
        text[15] = (char)('0' + i / 10);
        text[16] = (char)('0' + i % 10);
        ZSTD_inBuffer in = {text, sizeof text, 0};
        ZSTD_outBuffer to = {packed, sizeof packed, 0};
        assert_int_equal(ZSTD_compressStream2(context, &to, &in, ZSTD_e_flush), 0);
        buf_reset(&out);
        assert_int_equal(inflate_all(zstd, packed, to.pos, to.pos, &out, &err), 0);
        assert_int_equal(out.len, sizeof text);
        assert_memory_equal(out.data, text, sizeof text);
    }
    ZSTD_freeCCtx(context);
    buf_deinit(&out);
    viewer_zstd_free(zstd);
}

static void what_is_not_zstd_or_wants_too_much_memory_is_refused(void **state)
{
    /* A frame header that asks for a window of 1 GiB. */
    static const uint8_t greedy[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00};
    struct viewer_zstd *zstd = viewer_zstd_new();
    struct buf out = {0};
    struct err err;

    (void)state;
    assert_int_equal(inflate_all(zstd, (const uint8_t *)"no zstd at all", 14, 14, &out, &err),
                     ERR_DAMAGED);
    viewer_zstd_reset(zstd);
    assert_int_equal(inflate_all(zstd, greedy, sizeof greedy, sizeof greedy, &out, &err),
                     ERR_DAMAGED);
    buf_deinit(&out);
    viewer_zstd_free(zstd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_says_what_is_wanted_and_no_more),
        cmocka_unit_test(an_absolute_history_keeps_its_nanoseconds),
        cmocka_unit_test(refusals_are_final_unless_time_mends_them),
        cmocka_unit_test(compressed_messages_are_one_stream_or_a_frame_each),
        cmocka_unit_test(what_is_packed_tightly_comes_out_whole),
        cmocka_unit_test(a_flushed_message_is_given_whole),
        cmocka_unit_test(what_is_not_zstd_or_wants_too_much_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
