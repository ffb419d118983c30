/* SPDX-License-Identifier: Apache-2.0
 *
 * Both sides of the codec back to back, and what they say to wrong certificates, plain peers and
 * broken bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "shared/wire/tls.h"
#include "tests/support/certificate.h"
#include "tests/support/test_place.h"

#define DAY 86400L

struct pair {
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls *server;
    struct tls *client;
    struct buf to_server; /* ciphertext on the way */
    struct buf to_client;
    struct buf at_server; /* plaintext that arrived */
    struct buf at_client;
    struct err err; /* the last one of either */
    int server_rc;
    int client_rc;
};

static char *put_file(const char *name, const char *text, unsigned mode)
{
    char *path = in_place(name);

    certificate_write(path, text, mode);
    return path;
}

static int server_of(const struct certificate *c, struct tls_context **out, uint64_t *expires_ns,
                     struct err *err)
{
    char *cert = put_file("cert.pem", c->cert, 0644);
    char *key = put_file("key.pem", c->key, 0600);
    int rc = tls_server_context_new(cert, key, out, expires_ns, err);

    mem_free(cert);
    mem_free(key);
    return rc;
}

/* trusted NULL: the system's CAs, which know none of ours. */
static struct pair make_pair(const struct certificate *c, const char *trusted, const char *host)
{
    struct pair pair = {0};
    uint64_t expires_ns;
    char *ca = trusted == NULL ? NULL : put_file("ca.pem", trusted, 0644);

    assert_int_equal(server_of(c, &pair.server_context, &expires_ns, NULL), 0);
    assert_int_equal(tls_client_context_new(ca, &pair.client_context, NULL), 0);
    pair.server = tls_new(pair.server_context, NULL);
    pair.client = tls_new(pair.client_context, host);
    mem_free(ca);
    return pair;
}

static void drop_pair(struct pair *pair)
{
    tls_free(pair->server);
    tls_free(pair->client);
    tls_context_free(pair->server_context);
    tls_context_free(pair->client_context);
    buf_deinit(&pair->to_server);
    buf_deinit(&pair->to_client);
    buf_deinit(&pair->at_server);
    buf_deinit(&pair->at_client);
}

/* Feeds what is on the way in steps of that many bytes until nothing is. */
static void carry(struct pair *pair, size_t step)
{
    while (pair->to_server.len > 0 || pair->to_client.len > 0) {
        struct buf data = pair->to_server;
        pair->to_server = (struct buf){0};
        for (size_t at = 0; at < data.len && pair->server_rc == 0; at += step) {
            size_t n = step < data.len - at ? step : data.len - at;
            pair->server_rc = tls_feed(pair->server, data.data + at, n, &pair->at_server,
                                       &pair->to_client, &pair->err);
        }
        buf_deinit(&data);
        data = pair->to_client;
        pair->to_client = (struct buf){0};
        for (size_t at = 0; at < data.len && pair->client_rc == 0; at += step) {
            size_t n = step < data.len - at ? step : data.len - at;
            pair->client_rc = tls_feed(pair->client, data.data + at, n, &pair->at_client,
                                       &pair->to_server, &pair->err);
        }
        buf_deinit(&data);
    }
}

static void start(struct pair *pair, size_t step)
{
    assert_int_equal(
        tls_feed(pair->client, NULL, 0, &pair->at_client, &pair->to_server, &pair->err), 0);
    carry(pair, step);
}

static void both_sides_talk_however_the_bytes_are_cut(void **state)
{
    static const size_t steps[] = {1, 3, 1000, 1 << 20};
    struct certificate c;
    size_t n = 100000;
    uint8_t *data = x_alloc(n);

    (void)state;
    certificate_make(&c, "DNS:node.example", -DAY, DAY);
    for (size_t i = 0; i < n; i++) {
        data[i] = (uint8_t)(i * 31 + i / 253);
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct pair pair = make_pair(&c, c.cert, "node.example");
        assert_false(tls_is_ready(pair.client));
        start(&pair, steps[i]);
        if (!tls_is_ready(pair.client) || !tls_is_ready(pair.server)) {
            fail_msg("no handshake: %s", pair.err.text);
        }
        assert_int_equal(tls_write(pair.client, data, n, &pair.to_server, NULL), 0);
        assert_int_equal(tls_write(pair.server, "hello", 5, &pair.to_client, NULL), 0);
        assert_int_equal(tls_write(pair.server, data, n, &pair.to_client, NULL), 0);
        assert_null(memmem(pair.to_client.data, pair.to_client.len, "hello", 5));
        carry(&pair, steps[i]);
        assert_int_equal(pair.at_server.len, n);
        assert_memory_equal(pair.at_server.data, data, n);
        assert_int_equal(pair.at_client.len, n + 5);
        assert_memory_equal(pair.at_client.data, "hello", 5);
        assert_memory_equal(pair.at_client.data + 5, data, n);
        tls_close(pair.server, &pair.to_client);
        carry(&pair, steps[i]);
        assert_int_equal(pair.client_rc, 1);
        assert_int_equal(pair.server_rc, 0);
        drop_pair(&pair);
    }
    mem_free(data);
}

static void running_sessions_outlive_their_context(void **state)
{
    struct certificate c;

    (void)state;
    certificate_make(&c, "DNS:node", -DAY, DAY);
    struct pair pair = make_pair(&c, c.cert, "node");
    start(&pair, 1000);
    tls_context_free(pair.server_context);
    tls_context_free(pair.client_context);
    pair.server_context = pair.client_context = NULL;
    assert_int_equal(tls_write(pair.client, "x", 1, &pair.to_server, NULL), 0);
    carry(&pair, 1000);
    assert_int_equal(pair.at_server.len, 1);
    drop_pair(&pair);
}

static void a_client_checks_whom_it_talks_to(void **state)
{
    static const struct {
        const char *alt;
        const char *host;
        bool trusted;
        long from;
        long to;
        const char *words; /* NULL: fine */
    } cases[] = {
        {"DNS:node", "node", true, -DAY, DAY, NULL},
        {"DNS:*.node.example", "a.node.example", true, -DAY, DAY, NULL},
        {"IP:127.0.0.1", "127.0.0.1", true, -DAY, DAY, NULL},
        {"IP:::1", "::1", true, -DAY, DAY, NULL},
        {"IP:fe80::1", "fe80::1%eth0", true, -DAY, DAY, NULL},
        {"DNS:node", "other", true, -DAY, DAY, "ostname mismatch"},
        {"DNS:node", "127.0.0.1", true, -DAY, DAY, "IP address mismatch"},
        {"DNS:127.0.0.1", "127.0.0.1", true, -DAY, DAY, "IP address mismatch"},
        {"IP:127.0.0.2", "127.0.0.1", true, -DAY, DAY, "IP address mismatch"},
        {"DNS:*.node.example", "a.b.node.example", true, -DAY, DAY, "ostname mismatch"},
        {"DNS:node", "node", true, -2 * DAY, -DAY, "expired"},
        {"DNS:node", "node", true, DAY, 2 * DAY, "not yet valid"},
        {"DNS:node", "node", false, -DAY, DAY, "self"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct certificate c;
        struct certificate other;
        certificate_make(&c, cases[i].alt, cases[i].from, cases[i].to);
        certificate_make(&other, "DNS:else", -DAY, DAY);
        struct pair pair = make_pair(&c,
                                     cases[i].trusted ? c.cert
                                     : i % 2          ? NULL
                                                      : other.cert,
                                     cases[i].host);
        start(&pair, 1 << 20);
        if (cases[i].words == NULL) {
            if (!tls_is_ready(pair.client)) {
                fail_msg("case %zu: %s", i, pair.err.text);
            }
        } else {
            struct err err = {0};
            assert_false(tls_is_ready(pair.client));
            assert_int_equal(pair.client_rc, ERR_KEY);
            assert_int_equal(pair.server_rc, ERR_DAMAGED); /* by the client's alert */
            struct pair again = make_pair(&c, cases[i].trusted ? c.cert : NULL, cases[i].host);
            assert_int_equal(
                tls_feed(again.client, NULL, 0, &again.at_client, &again.to_server, NULL), 0);
            assert_int_equal(tls_feed(again.server, again.to_server.data, again.to_server.len,
                                      &again.at_server, &again.to_client, NULL),
                             0);
            assert_int_equal(tls_feed(again.client, again.to_client.data, again.to_client.len,
                                      &again.at_client, &again.to_server, &err),
                             ERR_KEY);
            if (strstr(err.text, cases[i].words) == NULL ||
                strstr(err.text, cases[i].host) == NULL) {
                fail_msg("case %zu: '%s'", i, err.text);
            }
            drop_pair(&again);
        }
        drop_pair(&pair);
    }
}

static void the_end_of_a_certificate_is_told(void **state)
{
    struct certificate c;
    struct tls_context *context = NULL;
    uint64_t expires_ns = 0;
    uint64_t now_ns = (uint64_t)time(NULL) * 1000000000ULL;
    uint64_t hour_ns = 3600000000000ULL;

    (void)state;
    certificate_make(&c, "DNS:node", -DAY, DAY);
    assert_int_equal(server_of(&c, &context, &expires_ns, NULL), 0);
    assert_in_range(expires_ns, now_ns + 23 * hour_ns, now_ns + 25 * hour_ns);
    tls_context_free(context);
    certificate_make(&c, "DNS:node", -2 * DAY, -DAY);
    assert_int_equal(server_of(&c, &context, &expires_ns, NULL), 0);
    assert_in_range(expires_ns, now_ns - 25 * hour_ns, now_ns - 23 * hour_ns);
    tls_context_free(context);
}

static void unfit_files_are_refused_by_name(void **state)
{
    struct certificate a;
    struct certificate b;
    struct tls_context *context = NULL;
    uint64_t expires_ns = 7;
    struct err err = {0};

    (void)state;
    certificate_make(&a, "DNS:a", -DAY, DAY);
    certificate_make(&b, "DNS:b", -DAY, DAY);
    char *cert = put_file("a.pem", a.cert, 0644);
    char *key = put_file("a.key", a.key, 0600);
    char *wrong = put_file("b.key", b.key, 0600);
    char *open = put_file("open.key", a.key, 0644);
    char *junk = put_file("junk", "no PEM", 0600);
    char *none = x_sprintf("%s/none", place);
    const struct {
        const char *cert;
        const char *key;
        const char *words;
    } cases[] = {
        {cert, wrong, "does not fit"},  {cert, open, "chmod 600"}, {cert, junk, "junk"},
        {cert, none, "no private key"}, {junk, key, "junk"},       {none, key, "no certificate"},
        {cert, cert, "a.pem"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            tls_server_context_new(cases[i].cert, cases[i].key, &context, &expires_ns, &err),
            ERR_KEY);
        if (strstr(err.text, cases[i].words) == NULL) {
            fail_msg("case %zu: '%s'", i, err.text);
        }
    }
    assert_int_equal(tls_client_context_new(junk, &context, &err), ERR_KEY);
    assert_int_equal(tls_client_context_new(none, &context, &err), ERR_KEY);
    assert_null(context);
    assert_int_equal(expires_ns, 7);
    mem_free(cert);
    mem_free(key);
    mem_free(wrong);
    mem_free(open);
    mem_free(junk);
    mem_free(none);
}

static void peers_that_speak_no_tls_are_told(void **state)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct certificate c;
    struct err err = {0};

    (void)state;
    certificate_make(&c, "DNS:node", -DAY, DAY);
    struct pair pair = make_pair(&c, c.cert, "node");
    assert_int_equal(tls_feed(pair.server, (const uint8_t *)http, sizeof http - 1, &pair.at_server,
                              &pair.to_client, &err),
                     ERR_DAMAGED);
    assert_non_null(strstr(err.text, "does not speak TLS"));
    assert_int_equal(pair.at_server.len, 0);
    assert_int_equal(
        tls_feed(pair.server, (const uint8_t *)http, 1, &pair.at_server, &pair.to_client, &err),
        ERR_DAMAGED);
    assert_int_equal(tls_feed(pair.client, NULL, 0, &pair.at_client, &pair.to_server, NULL), 0);
    assert_int_equal(tls_feed(pair.client, (const uint8_t *)answer, sizeof answer - 1,
                              &pair.at_client, &pair.to_server, &err),
                     ERR_DAMAGED);
    assert_non_null(strstr(err.text, "http://"));
    drop_pair(&pair);
}

static void bytes_that_were_changed_end_the_session(void **state)
{
    struct certificate c;

    (void)state;
    certificate_make(&c, "DNS:node", -DAY, DAY);
    for (size_t at = 0; at < 60; at += 7) {
        struct pair pair = make_pair(&c, c.cert, "node");
        start(&pair, 1000);
        assert_int_equal(tls_write(pair.client, "a text of 40 bytes for the other end here", 40,
                                   &pair.to_server, NULL),
                         0);
        if (at < pair.to_server.len && at != 3 && at != 4) { /* a longer record just waits */
            pair.to_server.data[at] ^= 0x40;
            carry(&pair, 1000);
            assert_int_equal(pair.at_server.len, 0);
            assert_int_equal(pair.server_rc, ERR_DAMAGED);
            assert_int_equal(tls_write(pair.server, "x", 1, &pair.to_client, NULL), ERR_DAMAGED);
        }
        drop_pair(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_talk_however_the_bytes_are_cut),
        cmocka_unit_test(running_sessions_outlive_their_context),
        cmocka_unit_test(a_client_checks_whom_it_talks_to),
        cmocka_unit_test(the_end_of_a_certificate_is_told),
        cmocka_unit_test(unfit_files_are_refused_by_name),
        cmocka_unit_test(peers_that_speak_no_tls_are_told),
        cmocka_unit_test(bytes_that_were_changed_end_the_session),
    };

    return cmocka_run_group_tests(tests, make_place, drop_place);
}
