/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/url.h"
#include "shared/wire/utf8.h"

static void endpoints_are_read_in_all_their_forms(void **state)
{
    static const struct {
        const char *text;
        struct url_endpoint want;
        const char *shown;
        const char *host;
    } cases[] = {
        {"localhost", {false, "localhost", 8080, ""}, "http://localhost:8080", "localhost:8080"},
        {"h:1", {false, "h", 1, ""}, "http://h:1", "h:1"},
        {"10.0.0.1:65535",
         {false, "10.0.0.1", 65535, ""},
         "http://10.0.0.1:65535",
         "10.0.0.1:65535"},
        {"[::1]:80", {false, "::1", 80, ""}, "http://[::1]:80", "[::1]:80"},
        {"[::1]", {false, "::1", 8080, ""}, "http://[::1]:8080", "[::1]:8080"},
        {"[fe80::1%eth0]:80",
         {false, "fe80::1%eth0", 80, ""},
         "http://[fe80::1%eth0]:80",
         "[fe80::1]:80"},
        {"http://node", {false, "node", 8080, ""}, "http://node:8080", "node:8080"},
        {"HTTP://node/", {false, "node", 8080, ""}, "http://node:8080", "node:8080"},
        {"ws://node:81/a/b/", {false, "node", 81, "/a/b"}, "http://node:81/a/b", "node:81"},
        {"https://node", {true, "node", 443, ""}, "https://node:443", "node:443"},
        {"wss://node.example/ingest",
         {true, "node.example", 443, "/ingest"},
         "https://node.example:443/ingest",
         "node.example:443"},
        {"wss://[2001:db8::1]:9/x",
         {true, "2001:db8::1", 9, "/x"},
         "https://[2001:db8::1]:9/x",
         "[2001:db8::1]:9"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url_endpoint got = {0};
        struct err err = {0};
        struct buf out = {0};
        if (url_parse_endpoint(cases[i].text, &got, &err) != 0) {
            fail_msg("'%s': %s", cases[i].text, err.text);
        }
        assert_int_equal(got.tls, cases[i].want.tls);
        assert_string_equal(got.host, cases[i].want.host);
        assert_int_equal(got.port, cases[i].want.port);
        assert_string_equal(got.path, cases[i].want.path);
        url_format_endpoint(&got, false, &out);
        assert_string_equal((char *)out.data, cases[i].shown);
        buf_reset(&out);
        url_format_endpoint(&got, true, &out);
        assert_string_equal((char *)out.data, cases[i].host);
        buf_deinit(&out);
    }
}

static void what_is_no_endpoint_is_refused_with_the_way_out(void **state)
{
    static const char *const texts[] = {
        "",
        ":80",
        "http://",
        "ftp://h",
        "unix://x",
        "h:",
        "h:0",
        "h:65536",
        "h:99999999999999999999",
        "h:8o",
        "h:+8",
        "::1",
        "fe80::1:80",
        "[::1",
        "[]:1",
        "[::1]80",
        "[h]:1",
        "u@h",
        "http://u:p@h",
        "h/p?q=1",
        "h#f",
        "h/a b",
        "h\n",
        "a b",
        "h\x01",
        "h:80:90",
        "http://h:80/\xc3\xa4",
        "h%61",
        "http:/h",
        "//h",
    };
    struct url_endpoint before = {.port = 7};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct url_endpoint got = before;
        struct err err = {0};
        if (url_parse_endpoint(texts[i], &got, &err) != ERR_USAGE) {
            fail_msg("'%s' was taken for host '%s' port %u", texts[i], got.host, got.port);
        }
        assert_non_null(strstr(err.text, "HOST:PORT"));
        assert_int_equal(got.port, 7);
    }
    char longer[2 * URL_PATH_MAX];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    struct url_endpoint got = before;
    assert_int_equal(url_parse_endpoint(longer, &got, NULL), ERR_USAGE);
    memcpy(longer, "h:1/", 4);
    assert_int_equal(url_parse_endpoint(longer, &got, NULL), ERR_USAGE);
    assert_int_equal(got.port, 7);
}

static void every_byte_survives_encoding(void **state)
{
    char all[256];
    struct buf out = {0};

    (void)state;
    for (unsigned i = 1; i < 128; i++) {
        all[i - 1] = (char)i;
    }
    memcpy(all + 127, "\xc3\xa4/\xf0\x9f\xa6\x88", 8);
    url_put_encoded(&out, all, false);
    assert_null(memchr(out.data, '/', out.len));
    assert_null(memchr(out.data, '+', out.len));
    char *back = url_decode((char *)out.data, out.len, true);
    assert_non_null(back);
    assert_string_equal(back, all);
    mem_free(back);
    buf_reset(&out);
    url_put_encoded(&out, "/a b/~x", true);
    buf_put_u8(&out, 0);
    assert_string_equal((char *)out.data, "/a%20b/~x");
    buf_deinit(&out);
}

static void broken_escapes_are_refused(void **state)
{
    static const char *const texts[] = {"%",   "%1",  "%g1",  "%1g",       "a%",     "%00", "a%00b",
                                        "%c3", "%ff", "\xc3", "%ed%a0%80", "%c0%af", "%+1", "% 1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *got = url_decode(texts[i], strlen(texts[i]), false);
        if (got != NULL) {
            fail_msg("'%s' was taken for '%s'", texts[i], got);
        }
    }
    /* Cut in the middle of an escape: what lies behind is not looked at. */
    assert_null(url_decode("%41", 2, false));
    char *got = url_decode("a+b%2B%41", 9, false);
    assert_string_equal(got, "a+b+A");
    mem_free(got);
    got = url_decode("a+b%2b", 6, true);
    assert_string_equal(got, "a b+");
    mem_free(got);
}

static void a_target_falls_into_path_and_parameters(void **state)
{
    struct url_target target;

    (void)state;
    assert_int_equal(
        url_parse_target("/connections/a%2Fb?filter=tcp+port%2080&x&y=&&z=1=2&filter=no#f", &target,
                         NULL),
        0);
    assert_string_equal(target.path, "/connections/a%2Fb");
    assert_int_equal(target.n_params, 5);
    assert_string_equal(url_param(&target, "filter"), "tcp port 80");
    assert_string_equal(url_param(&target, "x"), "");
    assert_string_equal(url_param(&target, "y"), "");
    assert_string_equal(url_param(&target, "z"), "1=2");
    assert_null(url_param(&target, "q"));
    assert_null(url_param(&target, ""));
    url_target_deinit(&target);
    assert_int_equal(url_parse_target("/", &target, NULL), 0);
    assert_string_equal(target.path, "/");
    assert_int_equal(target.n_params, 0);
    url_target_deinit(&target);
    assert_int_equal(url_parse_target("/?", &target, NULL), 0);
    assert_int_equal(target.n_params, 0);
    url_target_deinit(&target);
}

static void hostile_targets_are_refused(void **state)
{
    static const char *const texts[] = {"",      "a",     "*",       "http://h/", "?a=b",
                                        "/?a=%", "/?%=1", "/?a=%00", "/?a=%ff",   "/?%c3=%a4"};
    struct url_target target = {.n_params = 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(url_parse_target(texts[i], &target, NULL), ERR_USAGE);
        assert_int_equal(target.n_params, 9);
    }
    struct buf many = {0};
    buf_put_str(&many, "/?");
    for (int i = 0; i < URL_PARAMS_MAX; i++) {
        buf_put_str(&many, "a&");
    }
    buf_put_u8(&many, 0);
    assert_int_equal(url_parse_target((char *)many.data, &target, NULL), 0);
    assert_int_equal(target.n_params, URL_PARAMS_MAX);
    url_target_deinit(&target);
    many.len--;
    buf_put_str(&many, "b");
    buf_put_u8(&many, 0);
    assert_int_equal(url_parse_target((char *)many.data, &target, NULL), ERR_LIMIT);
    buf_deinit(&many);
}

/* The rule of RFC 3629 in other words: decode, and look whether that number is written like this.
 */
static bool slow_is_valid(const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
        uint32_t v = *p < 0x80 ? *p : *p & (0x3fu >> more);
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if ((*p >= 0x80 && *p < 0xc0) || *p >= 0xf8 || n < more + 1) {
            return false;
        }
        for (size_t i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80) {
                return false;
            }
            v = v << 6 | (p[i] & 0x3f);
        }
        if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) {
            return false;
        }
        p += more + 1;
        n -= more + 1;
    }
    return true;
}

static void utf8_is_told_from_other_bytes(void **state)
{
    uint8_t bytes[4];

    (void)state;
    /* All of two bytes, then three and four over those that matter. */
    for (unsigned v = 0; v < 0x10000; v++) {
        bytes[0] = (uint8_t)(v >> 8);
        bytes[1] = (uint8_t)v;
        assert_int_equal(utf8_is_valid(bytes, 2), slow_is_valid(bytes, 2));
        assert_int_equal(utf8_is_valid(bytes, 1), slow_is_valid(bytes, 1));
        static const uint8_t next[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
        for (size_t i = 0; i < sizeof next; i++) {
            bytes[2] = next[i];
            bytes[3] = next[(i * 7 + v) % sizeof next];
            assert_int_equal(utf8_is_valid(bytes, 3), slow_is_valid(bytes, 3));
            assert_int_equal(utf8_is_valid(bytes, 4), slow_is_valid(bytes, 4));
        }
    }
}

static void utf8_may_come_in_pieces(void **state)
{
    static const char text[] = "ascii and more of it \xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x88 end";

    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct utf8_check check = {0};
        assert_true(utf8_check_feed(&check, text, cut));
        assert_int_equal(utf8_check_is_whole(&check), slow_is_valid((const uint8_t *)text, cut));
        assert_true(utf8_check_feed(&check, text + cut, sizeof text - cut));
        assert_true(utf8_check_is_whole(&check));
        size_t kept = utf8_cut(text, sizeof text - 1, cut);
        assert_true(kept <= cut && cut - kept < 4);
        assert_true(utf8_is_valid(text, kept));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_read_in_all_their_forms),
        cmocka_unit_test(what_is_no_endpoint_is_refused_with_the_way_out),
        cmocka_unit_test(every_byte_survives_encoding),
        cmocka_unit_test(broken_escapes_are_refused),
        cmocka_unit_test(a_target_falls_into_path_and_parameters),
        cmocka_unit_test(hostile_targets_are_refused),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(utf8_may_come_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
