/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ws_client_dial.h"

static void check_echo(struct wire_server *server, const char *ca_file)
{
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 300000, 1048576, 3000000};
    const struct ws_client_opts opts = {.ca_file = ca_file, .api_key = "pr_x_y"};
    struct ws_client *client = dial_well(server, &opts);
    uint8_t *data = x_alloc(3000000);

    for (size_t i = 0; i < 3000000; i++) {
        data[i] = (uint8_t)(i * 7 + i / 255);
    }
    assert_string_equal(ws_client_header(client, "packetrecorder-stream"), "7");
    assert_null(ws_client_header(client, "packetrecorder"));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(ws_client_send(client, WS_BINARY, data, sizes[i], in_ms(5000), NULL), 0);
        assert_int_equal(ws_client_send(client, WS_TEXT, "text", 4, in_ms(5000), NULL), 0);
        expect_message(client, WS_BINARY, data, sizes[i]);
        expect_message(client, WS_TEXT, "text", 4);
    }
    assert_int_equal(ws_client_send(client, WS_PING, "p", 1, in_ms(5000), NULL), 0);
    expect_message(client, WS_PONG, "p", 1);
    ws_client_finish(client, WS_CLOSE_NORMAL, "done", in_ms(5000));
    mem_free(data);
}

static void messages_go_both_ways(void **state)
{
    struct wire_server server;

    (void)state;
    wire_server_start(&server, serve_echo, NULL, NULL);
    check_echo(&server, NULL);
    wire_server_stop(&server);
}

static void messages_go_both_ways_over_tls(void **state)
{
    char place[] = "/tmp/test_ws_client_XXXXXX";
    struct certificate c;
    struct tls_context *tls = NULL;
    struct wire_server server;
    uint64_t expires_ns;

    (void)state;
    assert_non_null(mkdtemp(place));
    certificate_make(&c, "IP:127.0.0.1", -86400, 86400);
    char *cert = x_sprintf("%s/cert.pem", place);
    char *key = x_sprintf("%s/key.pem", place);
    certificate_write(cert, c.cert, 0644);
    certificate_write(key, c.key, 0600);
    assert_int_equal(tls_server_context_new(cert, key, &tls, &expires_ns, NULL), 0);
    wire_server_start(&server, serve_echo, NULL, tls);
    check_echo(&server, cert);

    struct ws_client *client = NULL;
    const struct ws_client_opts untrusting = {0};
    unsigned status = 0;
    struct err err = {0};
    assert_int_equal(dial(&server, &untrusting, &client, &status, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "certificate"));
    wire_server_stop(&server);
    tls_context_free(tls);
    unlink(cert);
    unlink(key);
    rmdir(place);
    mem_free(cert);
    mem_free(key);
}

static void serve_request(struct wire_peer *peer, void *arg)
{
    if (wire_upgrade(peer, "")) {
        memcpy(arg, peer->head, sizeof peer->head);
        read_frames(peer, echo_message, peer);
    }
}

static void the_request_is_what_was_asked_for(void **state)
{
    static const char *const lines[] = {
        "GET /connections/eth0?filter=tcp%20port%2080 HTTP/1.1\r\n",
        "\r\nHost: 127.0.0.1:",
        "\r\nConnection: Upgrade\r\n",
        "\r\nUpgrade: websocket\r\n",
        "\r\nSec-WebSocket-Version: 13\r\n",
        "\r\nAuthorization: Bearer pr_abc_secret\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; ",
    };
    struct wire_server server;
    char head[8192] = {0};
    const struct ws_client_opts opts = {.api_key = "pr_abc_secret", .deflate = true};

    (void)state;
    wire_server_start(&server, serve_request, head, NULL);
    ws_client_finish(dial_well(&server, &opts), WS_CLOSE_NORMAL, NULL, in_ms(5000));
    wire_server_stop(&server);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strstr(head, lines[i]) == NULL) {
            fail_msg("no '%s' in '%s'", lines[i], head);
        }
    }
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void refusals_are_told_in_the_nodes_words(void **state)
{
    static const struct {
        const char *text;
        int code;
        unsigned status;
        const char *words;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 29\r\n\r\n{\"detail\":\"no interface 'x'\"}\n",
         ERR_NOT_FOUND, 404, "no interface 'x'"},
        {"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
         "e\r\n{\"detail\":\"syn\r\na\r\ntax\\u0007\"\r\n1\r\n}\r\n0\r\n\r\n",
         ERR_USAGE, 400, "syntax?"},
        {"HTTP/1.1 401 Unauthorized\r\n\r\n{\"title\":\"a key is needed\"}", ERR_KEY, 401,
         "a key is needed"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", ERR_PERMISSION, 403,
         "403 Forbidden"},
        {"HTTP/1.1 500 Oh\r\n\r\n<html>", ERR_IO, 500, "500 Internal Server Error"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n{\"detail\":",
         ERR_IO, 503, "503 Service Unavailable"},
        {"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n", ERR_IO, 302,
         "302 Found"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ERR_DAMAGED, 200, "no WebSocket"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ERR_DAMAGED, 101, "another protocol"},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         ERR_DAMAGED, 101, "somebody else"},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         ERR_DAMAGED, 101, "somebody else"},
        {"SSH-2.0-OpenSSH\r\n", ERR_DAMAGED, 0, "no valid HTTP"},
        {"", -ECONNRESET, 0, "closed the connection"},
        {"HTTP/1.1 101 Swi", ERR_DAMAGED, 0, "ends before"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct wire_server server;
        struct ws_client *client = NULL;
        const struct ws_client_opts opts = {0};
        unsigned status = 7;
        struct err err = {0};
        snprintf(text, sizeof text, "%s", cases[i].text);
        wire_server_start(&server, serve_text, text, NULL);
        int rc = dial(&server, &opts, &client, &status, &err);
        if (rc != cases[i].code || status != cases[i].status ||
            strstr(err.text, cases[i].words) == NULL) {
            fail_msg("case %zu: %d %u '%s'", i, rc, status, err.text);
        }
        assert_null(client);
        wire_server_stop(&server);
    }
}

static void serve_extension(struct wire_peer *peer, void *arg)
{
    wire_upgrade(peer, arg);
}

static void what_was_not_offered_is_not_taken(void **state)
{
    static const struct {
        const char *header;
        bool deflate;
        int code;
    } cases[] = {
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", true, 0},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", false,
         ERR_DAMAGED},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", true, ERR_DAMAGED},
        {"Sec-WebSocket-Extensions: x\r\n", true, ERR_DAMAGED},
        {"Sec-WebSocket-Protocol: chat\r\n", false, ERR_DAMAGED},
        {"", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        struct wire_server server;
        struct ws_client *client = NULL;
        const struct ws_client_opts opts = {.deflate = cases[i].deflate};
        unsigned status = 0;
        snprintf(text, sizeof text, "%s", cases[i].header);
        wire_server_start(&server, serve_extension, text, NULL);
        assert_int_equal(dial(&server, &opts, &client, &status, NULL), cases[i].code);
        ws_client_close(client);
        wire_server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways),
        cmocka_unit_test(messages_go_both_ways_over_tls),
        cmocka_unit_test(the_request_is_what_was_asked_for),
        cmocka_unit_test(refusals_are_told_in_the_nodes_words),
        cmocka_unit_test(what_was_not_offered_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
