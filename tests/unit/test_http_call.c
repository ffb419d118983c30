/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ws_client_dial.h"

static int call(const struct wire_server *server, const struct http_call *with, unsigned *status,
                struct buf *body, struct err *err)
{
    struct url_endpoint endpoint = endpoint_of(server);
    struct http_call call = *with;

    call.endpoint = &endpoint;
    call.target = "/api/v1/interfaces";
    call.max_body = call.max_body > 0 ? call.max_body : 1000;
    return http_call(&call, in_ms(2000), status, body, err);
}

static void calls_give_status_and_content(void **state)
{
    static const struct {
        const char *text;
        int rc;
        unsigned status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 0, 200, "[]"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n", 0,
         200, "[]"},
        {"HTTP/1.0 200 OK\r\n\r\nto the end", 0, 200, "to the end"},
        {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 0, 204, ""},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 0, 404, "{}"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", ERR_DAMAGED, 200, "hi"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", ERR_DAMAGED, 200, ""},
        {"", -ECONNRESET, 0, ""},
        {"nonsense\r\n\r\n", ERR_DAMAGED, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        struct wire_server server;
        struct buf body = {0};
        unsigned status = 7;
        struct err err = {0};
        const struct http_call get = {.method = "GET"};
        snprintf(text, sizeof text, "%s", cases[i].text);
        wire_server_start(&server, serve_text, text, NULL);
        int rc = call(&server, &get, &status, &body, &err);
        if (rc != cases[i].rc || status != cases[i].status || body.len != strlen(cases[i].body) ||
            (body.len > 0 && memcmp(body.data, cases[i].body, body.len) != 0)) {
            fail_msg("case %zu: %d %u '%s' '%.*s'", i, rc, status, err.text, (int)body.len,
                     (const char *)body.data);
        }
        buf_deinit(&body);
        wire_server_stop(&server);
    }
}

static void serve_mirror(struct wire_peer *peer, void *arg)
{
    char length[16];
    size_t n;
    struct buf out = {0};

    (void)arg;
    if (!wire_read_head(peer)) {
        return;
    }
    wire_header(peer, "Content-Length", length, sizeof length);
    n = strtoul(length, NULL, 10);
    while (peer->in.len < n && wire_more(peer)) {
    }
    http_put_status(&out, 201);
    http_put_header(&out, "Content-Length", "%zu", strlen(peer->head) + n);
    http_put_end(&out);
    buf_put_str(&out, peer->head);
    buf_append(&out, peer->in.data, n);
    wire_put(peer, out.data, out.len);
    buf_deinit(&out);
}

static void calls_send_what_they_are_given(void **state)
{
    struct wire_server server;
    struct buf body = {0};
    unsigned status = 0;
    const struct http_call post = {.method = "POST",
                                   .api_key = "pr_a_b",
                                   .body = "{\"interface\":\"eth0\"}",
                                   .max_body = 4096};

    (void)state;
    wire_server_start(&server, serve_mirror, NULL, NULL);
    assert_int_equal(call(&server, &post, &status, &body, NULL), 0);
    assert_int_equal(status, 201);
    buf_put_u8(&body, 0);
    const char *text = (const char *)body.data;
    assert_non_null(strstr(text, "POST /api/v1/interfaces HTTP/1.1\r\n"));
    assert_non_null(strstr(text, "Host: 127.0.0.1:"));
    assert_non_null(strstr(text, "Authorization: Bearer pr_a_b\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"interface\":\"eth0\"}"));
    struct http_call small = post;
    small.max_body = 20;
    assert_int_equal(call(&server, &small, &status, &body, NULL), ERR_LIMIT);
    buf_deinit(&body);
    wire_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_give_status_and_content),
        cmocka_unit_test(calls_send_what_they_are_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
