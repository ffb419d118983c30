/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/auth_internal.h"
#include "node/server_routes.h"
#include "node/ws_conn.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "tests/glue/node_fixture.h"

static void get_ok(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_reply_text(ex, 200, exchange_key_id(ex));
}

static void get_ws(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_upgrade(ex, &(struct ws_conn_opts){.max_message = 100});
}

static void revoke_viewers(void);

/* What a handler waits for before it upgrades may take a while. */
static void get_ws_late(struct exchange *ex, struct node *node)
{
    revoke_viewers();
    get_ws(ex, node);
}

/* An answer that never ends by itself. */
static void get_flow(struct exchange *ex, struct node *node)
{
    static const struct exchange_stream_ops ops = {0};

    (void)node;
    exchange_begin(ex, 200, "text/plain", HTTP_LENGTH_UNKNOWN, &ops, NULL);
    exchange_write(ex, "flowing", 7);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/open", .right = RIGHT_NONE, .handle = get_ok},
    {.method = "GET", .path = "/view", .right = RIGHT_VIEW, .handle = get_ok},
    {.method = "GET", .path = "/capture", .right = RIGHT_CAPTURE, .handle = get_ok},
    {.method = "GET", .path = "/inject", .right = RIGHT_INJECT, .handle = get_ok},
    {.method = "GET", .path = "/ingest", .right = RIGHT_INGEST, .handle = get_ok},
    {.method = "GET", .path = "/admin", .right = RIGHT_ADMIN, .handle = get_ok},
    {.method = "GET", .path = "/flow", .right = RIGHT_VIEW, .handle = get_flow},
    {.method = "GET", .path = "/ws", .right = RIGHT_VIEW, .is_websocket = true, .handle = get_ws},
    {.method = "GET",
     .path = "/late",
     .right = RIGHT_VIEW,
     .is_websocket = true,
     .handle = get_ws_late},
};
static const struct route_group test_routes = {routes, ARRAY_LEN(routes)};
static const struct route_group *const groups[] = {&server_routes, &test_routes};
static const struct fixture_opts plain = {.groups = groups, .n_groups = ARRAY_LEN(groups)};
static const char *const paths[] = {"/open", "/view", "/capture", "/inject", "/ingest", "/admin"};

static struct fixture f;
static char keys[API_ROLES][API_KEY_TEXT_MAX];

static void revoke_viewers(void)
{
    fixture_revoke(&f, ROLE_VIEW);
}

static int start_without_keys(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_start(&f, &plain);
    f.node.auth->look_every_ns = 0;
    return 0;
}

static int start_with_keys(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_make_keys(&f, keys);
    fixture_start(&f, &plain);
    f.node.auth->look_every_ns = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_end(&f);
    return 0;
}

/* The status of one request on a connection of its own. */
static unsigned ask(const char *path, const char *headers)
{
    struct client *c = client_open(&f, 0);
    unsigned status = 0;

    client_print(c, "GET %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", path, headers);
    client_await_end(c);
    buf_put_u8(&c->in, 0);
    assert_int_equal(sscanf((const char *)c->in.data, "HTTP/1.1 %u ", &status), 1);
    if (status >= 400) {
        assert_true(client_has(c, "Content-Type: application/problem+json\r\n"));
    }
    assert_int_equal(status == 401, client_has(c, "WWW-Authenticate: Bearer "));
    client_close(c);
    return status;
}

static unsigned ask_with_key(const char *path, const char *key)
{
    char headers[512];

    snprintf(headers, sizeof headers, "Host: 127.0.0.1\r\nAuthorization: Bearer %s\r\n", key);
    return ask(path, headers);
}

/* ---- rights ---- */

static void without_keys_loopback_views_and_captures(void **state)
{
    static const unsigned want[] = {200, 200, 200, 403, 403, 403};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(ask(paths[i], "Host: 127.0.0.1\r\n"), want[i]);
    }
}

static void with_keys_each_role_has_its_rights_and_no_more(void **state)
{
    /* Rows: roles; columns: open, view, capture, inject, ingest, admin. */
    static const unsigned want[API_ROLES][6] = {
        [ROLE_VIEW] = {200, 200, 403, 403, 403, 403},
        [ROLE_CAPTURE] = {200, 200, 200, 403, 403, 403},
        [ROLE_INJECT] = {200, 200, 403, 200, 403, 403},
        [ROLE_INGEST] = {200, 403, 403, 403, 200, 403},
        [ROLE_ADMIN] = {200, 200, 200, 200, 200, 200},
    };

    (void)state;
    for (int role = 0; role < API_ROLES; role++) {
        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
            assert_int_equal(ask_with_key(paths[i], keys[role]), want[role][i]);
        }
    }
}

static void with_keys_everybody_needs_one(void **state)
{
    static const unsigned want[] = {200, 401, 401, 401, 401, 401};
    char wrong[API_KEY_TEXT_MAX];

    (void)state;
    snprintf(wrong, sizeof wrong, "%s", keys[ROLE_ADMIN]);
    wrong[20] = wrong[20] == 'A' ? 'B' : 'A';
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(ask(paths[i], "Host: 127.0.0.1\r\n"), want[i]);
        assert_int_equal(ask_with_key(paths[i], wrong), want[i]);
        assert_int_equal(ask_with_key(paths[i], "nonsense"), want[i]);
    }
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\nAuthorization: Basic cHI6eA==\r\n"), 401);
    assert_true(f.node.auth->counters.refused >= 10);
    assert_true(f.node.auth->counters.missing >= 5);
}

static void a_key_that_has_expired_is_refused(void **state)
{
    char old[API_KEY_TEXT_MAX];

    (void)state;
    fixture_make_key(&f, clock_wall_ns() - 1, old);
    assert_int_equal(ask_with_key("/view", old), 401);
    assert_int_equal(ask_with_key("/view", keys[ROLE_VIEW]), 200);
}

static void keys_that_are_made_later_count(void **state)
{
    char key[API_KEY_TEXT_MAX];

    (void)state;
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\n"), 200);
    fixture_make_key(&f, API_KEY_NEVER, key);
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\n"), 401);
    assert_int_equal(ask_with_key("/view", key), 200);
}

static void a_revoked_key_ends_its_websocket(void **state)
{
    char header[128];

    (void)state;
    struct client *revoked = client_open(&f, 0);
    struct client *other = client_open(&f, 0);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", keys[ROLE_VIEW]);
    client_upgrade(revoked, "/ws", header);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", keys[ROLE_ADMIN]);
    client_upgrade(other, "/ws", header);
    fixture_revoke(&f, ROLE_VIEW);
    client_await(revoked, "the API key was revoked or has expired");
    assert_memory_equal(revoked->in.data + 2, "\x03\xf0", 2); /* 1008 */
    fixture_turns(&f, 10);
    assert_int_equal(other->in.len, 0);
    assert_false(other->eof);
}

static void a_key_revoked_before_the_upgrade_ends_its_websocket(void **state)
{
    char header[128];

    (void)state;
    struct client *c = client_open(&f, 0);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", keys[ROLE_VIEW]);
    client_upgrade(c, "/late", header);
    client_await(c, "the API key was revoked or has expired");
}

static void a_key_that_expires_ends_its_websocket(void **state)
{
    char key[API_KEY_TEXT_MAX];
    char header[128];

    (void)state;
    fixture_make_key(&f, clock_wall_ns() + 200000000ULL, key);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", key);
    struct client *c = client_open(&f, 0);
    client_upgrade(c, "/ws", header);
    client_await(c, "the API key was revoked or has expired");
}

static struct client *start_flow(const char *key)
{
    struct client *c = client_open(&f, 0);

    if (key == NULL) {
        client_print(c, "GET /flow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    } else {
        client_print(c, "GET /flow HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n",
                     key);
    }
    client_await(c, "flowing");
    return c;
}

static void a_revoked_key_ends_answers_that_flow(void **state)
{
    char brief[API_KEY_TEXT_MAX];

    (void)state;
    fixture_make_key(&f, clock_wall_ns() + 200000000ULL, brief);
    struct client *expiring = start_flow(brief);
    struct client *other = start_flow(keys[ROLE_ADMIN]);
    struct client *revoked = start_flow(keys[ROLE_CAPTURE]);
    fixture_revoke(&f, ROLE_CAPTURE);
    client_await_end(revoked);
    client_await_end(expiring);
    fixture_turns(&f, 10);
    assert_false(other->eof);
}

static void the_first_key_ends_answers_that_flow_without_one(void **state)
{
    char key[API_KEY_TEXT_MAX];

    (void)state;
    struct client *c = start_flow(NULL);
    fixture_make_key(&f, API_KEY_NEVER, key);
    client_await_end(c);
}

/* A proxy that runs here brings strangers to loopback. */
static void what_a_proxy_forwards_is_not_from_here(void **state)
{
    (void)state;
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\n"), 200);
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n"), 401);
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\nForwarded: for=192.0.2.1\r\n"), 401);
    assert_int_equal(ask("/view", "Host: 127.0.0.1\r\nVia: 1.1 proxy\r\n"), 401);
    assert_int_equal(ask("/open", "Host: 127.0.0.1\r\nVia: 1.1 proxy\r\n"), 200);
}

/* Who watched without a key when none was needed does not stay when one is. */
static void the_first_key_ends_websockets_without_one(void **state)
{
    char key[API_KEY_TEXT_MAX];

    (void)state;
    struct client *c = client_open(&f, 0);
    client_upgrade(c, "/ws", "");
    fixture_make_key(&f, API_KEY_NEVER, key);
    client_await(c, "the API key was revoked or has expired");
}

/* ---- tickets ---- */

static void fetch_ticket(const char *key, char ticket[AUTH_TICKET_MAX])
{
    struct client *c = client_open(&f, 0);

    client_print(c,
                 "POST /api/v1/ticket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 "Authorization: Bearer %s\r\n\r\n",
                 key);
    client_await(c, "\"expires_in\":30}");
    assert_true(client_has(c, "HTTP/1.1 201 Created"));
    const char *at = memmem(c->in.data, c->in.len, "\"ticket\":\"", 10);
    assert_int_equal(sscanf(at + 10, "%47[^\"]", ticket), 1);
    client_close(c);
}

static void a_ticket_opens_one_websocket_once(void **state)
{
    char ticket[AUTH_TICKET_MAX];
    char path[128];

    (void)state;
    fetch_ticket(keys[ROLE_VIEW], ticket);
    snprintf(path, sizeof path, "/view?ticket=%s", ticket);
    assert_int_equal(ask(path, "Host: 127.0.0.1\r\n"), 401); /* no WebSocket: does not count */
    snprintf(path, sizeof path, "/ws?ticket=%s", ticket);
    client_upgrade(client_open(&f, 0), path, "");
    assert_int_equal(ask(path, "Host: 127.0.0.1\r\n"), 401);
    assert_int_equal(ask("/ws?ticket=%00", "Host: 127.0.0.1\r\n"), 400);
    assert_int_equal(ask("/ws?ticket=abc", "Host: 127.0.0.1\r\n"), 401);
}

static void a_ticket_has_the_rights_of_its_key_and_dies_with_it(void **state)
{
    char ticket[AUTH_TICKET_MAX];
    char path[128];

    (void)state;
    fetch_ticket(keys[ROLE_CAPTURE], ticket);
    snprintf(path, sizeof path, "/ws?ticket=%s", ticket);
    fixture_revoke(&f, ROLE_CAPTURE);
    assert_int_equal(ask(path, "Host: 127.0.0.1\r\n"), 401);
}

/* A ticket that was made while nobody needed a key is worth nothing once there is one. */
static void the_first_key_ends_tickets_without_one(void **state)
{
    char ticket[AUTH_TICKET_MAX];
    char path[96];

    (void)state;
    fetch_ticket("none", ticket);
    fixture_make_keys(&f, keys);
    snprintf(path, sizeof path, "/ws?ticket=%s", ticket);
    assert_int_equal(ask(path, "Host: 127.0.0.1\r\n"), 401);
}

static void tickets_are_few_and_short_lived(void **state)
{
    struct auth_grant grant = {.rights = RIGHT_VIEW, .expires_ns = API_KEY_NEVER};
    struct auth_grant got;
    char ticket[AUTH_TICKET_MAX];
    char first[AUTH_TICKET_MAX];
    const uint64_t at_ns = 1000000000000ULL;
    const uint64_t life_ns = AUTH_TICKET_LIFE_S * 1000000000ULL;
    struct tickets *tickets = tickets_new();

    (void)state;
    assert_true(tickets_make(tickets, &grant, at_ns, first));
    for (int i = 1; i < TICKETS_MAX; i++) {
        assert_true(tickets_make(tickets, &grant, at_ns, ticket));
    }
    assert_false(tickets_make(tickets, &grant, at_ns + life_ns - 1, ticket));
    assert_false(tickets_use(tickets, first, at_ns + life_ns, &got));
    assert_true(tickets_use(tickets, first, at_ns + life_ns - 1, &got));
    assert_int_equal(got.rights, RIGHT_VIEW);
    assert_false(tickets_use(tickets, first, at_ns + life_ns - 1, &got));
    assert_true(tickets_make(tickets, &grant, at_ns + life_ns, ticket));
    /* A clock that is set back makes them worthless, so they are in nobody's way. */
    assert_true(tickets_make(tickets, &grant, at_ns - life_ns, ticket));
    assert_true(tickets_use(tickets, ticket, at_ns - life_ns, &got));
    tickets_free(tickets);
}

/* ---- Host and Origin ---- */

static void host_must_name_this_node(void **state)
{
    static const struct {
        const char *headers;
        unsigned status;
    } cases[] = {
        {"Host: 127.0.0.1:1234\r\n", 200},
        {"Host: localhost:8080\r\n", 200},
        {"Host: LOCALHOST.\r\n", 200},
        {"Host: box\r\n", 200},
        {"Host: proxy.example\r\n", 200}, /* --allow-host */
        {"Host: evil.example\r\n", 403},
        {"Host: 127.0.0.1.evil.example\r\n", 403},
        {"Host: evil.example:127.0.0.1\r\n", 400},
        {"Host: 10.0.0.1\r\n", 403},
        {"Host: [::1]\r\n", 403}, /* not where this connection came to */
        {"Host: \r\n", 400},
        {"Host: [::1\r\n", 400},
        {"Host: a b\r\n", 403},
        {"Host: 127.0.0.1\r\nHost: evil.example\r\n", 400},
        {"", 400},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned status = ask("/view", cases[i].headers);
        if (status != cases[i].status) {
            fail_msg("%s: %u, not %u", cases[i].headers, status, cases[i].status);
        }
    }
}

static void pages_of_other_origins_are_refused(void **state)
{
    static const struct {
        const char *host;
        const char *origin;
        unsigned status;
    } cases[] = {
        {"127.0.0.1:8080", "http://127.0.0.1:8080", 200},
        {"localhost:8080", "http://LocalHost:8080", 200},
        {"localhost", "http://localhost:80", 200},
        {"localhost:80", "http://localhost", 200},
        {"localhost:8080", "http://localhost:3000", 403},
        {"localhost:8080", "http://localhost", 403},
        {"localhost:8080", "https://localhost:8080", 403},
        {"localhost:8080", "http://127.0.0.1:8080", 403},
        {"localhost:8080", "http://evil.example", 403},
        {"localhost:8080", "http://localhost:8080.evil.example", 403},
        {"localhost:8080", "https://proxy.example", 200}, /* --allow-host */
        {"localhost:8080", "https://proxy.example.evil.example", 403},
        {"localhost:8080", "null", 403},
        {"localhost:8080", "file://", 403},
        {"localhost:8080", "http://", 403},
        {"localhost:8080", "", 403},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char headers[256];
        snprintf(headers, sizeof headers, "Host: %s\r\nOrigin: %s\r\n", cases[i].host,
                 cases[i].origin);
        unsigned status = ask("/view", headers);
        if (status != cases[i].status) {
            fail_msg("%s: %u, not %u", headers, status, cases[i].status);
        }
        /* What needs no right is not for other pages either. */
        assert_int_equal(ask("/open", headers), cases[i].status);
    }
}

static int start_with_allowed_host(void **state)
{
    struct fixture_opts opts = plain;

    (void)state;
    opts.allow_host = "proxy.example";
    fixture_init(&f);
    fixture_start(&f, &opts);
    return 0;
}

static void on_closed(struct node *node)
{
    assert_null(node->http);
}

static bool is_node_closed(void *arg)
{
    return ((struct node *)arg)->http == NULL;
}

static void beyond_loopback_needs_keys_and_tls_or_the_users_word(void **state)
{
    static const char *beyond[] = {"0.0.0.0:0"};
    struct http_server_opts server = {.groups = groups, .n_groups = ARRAY_LEN(groups)};
    struct node node = f.node;
    struct node_options options = f.options;
    char key[API_KEY_TEXT_MAX];
    struct err err;

    (void)state;
    options.http_addrs = (struct option_list){.items = beyond, .n = 1};
    node.options = &options;
    assert_int_equal(http_server_open(&node, &server, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "--tls-cert"));
    assert_null(node.http);
    options.insecure = true;
    assert_int_equal(http_server_open(&node, &server, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "keys add"));
    fixture_make_key(&f, API_KEY_NEVER, key);
    assert_int_equal(http_server_open(&node, &server, &err), 0);
    uv_run(&f.loop, UV_RUN_NOWAIT); /* what did not open is gone now, and took no other with it */
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_non_null(node.http);
    http_server_close(node.http, on_closed);
    assert_true(fixture_pump(&f, is_node_closed, &node));
}

int main(void)
{
#define WITHOUT_KEYS(name) cmocka_unit_test_setup_teardown(name, start_without_keys, end)
#define WITH_KEYS(name)    cmocka_unit_test_setup_teardown(name, start_with_keys, end)
#define WITH_HOST(name)    cmocka_unit_test_setup_teardown(name, start_with_allowed_host, end)
    const struct CMUnitTest tests[] = {
        WITHOUT_KEYS(without_keys_loopback_views_and_captures),
        WITH_KEYS(with_keys_each_role_has_its_rights_and_no_more),
        WITH_KEYS(with_keys_everybody_needs_one),
        WITH_KEYS(a_key_that_has_expired_is_refused),
        WITHOUT_KEYS(keys_that_are_made_later_count),
        WITH_KEYS(a_revoked_key_ends_its_websocket),
        WITH_KEYS(a_key_revoked_before_the_upgrade_ends_its_websocket),
        WITH_KEYS(a_revoked_key_ends_answers_that_flow),
        WITHOUT_KEYS(the_first_key_ends_answers_that_flow_without_one),
        WITHOUT_KEYS(what_a_proxy_forwards_is_not_from_here),
        WITH_KEYS(a_key_that_expires_ends_its_websocket),
        WITHOUT_KEYS(the_first_key_ends_websockets_without_one),
        WITH_KEYS(a_ticket_opens_one_websocket_once),
        WITH_KEYS(a_ticket_has_the_rights_of_its_key_and_dies_with_it),
        WITHOUT_KEYS(the_first_key_ends_tickets_without_one),
        cmocka_unit_test(tickets_are_few_and_short_lived),
        WITH_HOST(host_must_name_this_node),
        WITH_HOST(pages_of_other_origins_are_refused),
        WITHOUT_KEYS(beyond_loopback_needs_keys_and_tls_or_the_users_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
