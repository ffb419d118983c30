/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets a connection when there are many: the most of all, the most of one address, who gives
 * way, and what happens when the process has no descriptors.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/unproven.h"
#include "shared/base/mem.h"
#include "tests/glue/limits_fixture.h"

static void get_for_keys(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_reply_text(ex, 200, "who asks has the right");
}

static const struct route routes[] = {
    {.method = "GET", .path = "/kept", .handle = get_kept},
    {.method = "GET", .path = "/for-keys", .right = RIGHT_VIEW, .handle = get_for_keys},
};
static const struct route_group test_routes = {routes, ARRAY_LEN(routes)};

static void start(struct http_limits limits)
{
    start_with(&test_routes, limits);
}

static void connections_beyond_the_most_are_turned_away(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.max_connections = 2});
    client_open(&f, 0);
    struct client *second = client_open(&f, 0);
    c = client_open(&f, 0);
    client_await_end(c);
    assert_true(client_has(c, "HTTP/1.1 503 Service Unavailable"));
    buf_put_u8(&c->in, 0);
    /* The length that is announced is right. */
    assert_int_equal(strlen(strstr((char *)c->in.data, "\r\n\r\n") + 4), 97);
    assert_int_equal(rejected(REJECTED_CONNECTIONS), 1);
    client_close(second);
    fixture_turns(&f, 10);
    c = client_open(&f, 0);
    client_ask(c, "GET /", "is running");
}

static void one_address_has_few_connections_without_a_request(void **state)
{
    struct client *c;
    struct client *asked;

    (void)state;
    start((struct http_limits){.max_unproven = 3});
    asked = client_open(&f, 0);
    client_ask(asked, "GET /for-keys", "HTTP/1.1 200 ");
    for (int i = 0; i < 3; i++) {
        client_open(&f, 0);
    }
    fixture_turns(&f, 5);
    c = client_open(&f, 0);
    client_await_end(c);
    assert_int_equal(rejected(REJECTED_ADDRESS), 1);
    assert_int_equal(unproven_total(f.node.http->unproven), 3);
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&out;

    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        out.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        out.ss_family = AF_INET6;
    }
    return out;
}

static void an_ipv6_host_has_a_whole_64(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool is_same;
    } pairs[] = {
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct sockaddr_storage a = address(pairs[i].a);
        struct sockaddr_storage b = address(pairs[i].b);
        assert_int_equal(unproven_is_same_host(&a, &b), pairs[i].is_same);
    }
}

/* One that is refused does not. Who only asks what everybody may gives way when he idles. */
static void only_an_allowed_request_proves_a_connection(void **state)
{
    char keys[API_ROLES][API_KEY_TEXT_MAX];

    (void)state;
    groups[1] = &test_routes;
    fixture_init(&f);
    fixture_make_keys(&f, keys);
    fixture_start(&f, &(struct fixture_opts){.groups = groups,
                                             .n_groups = ARRAY_LEN(groups),
                                             .limits = {.max_unproven = 2}});
    client_ask(client_open(&f, 0), "GET /", "is running");
    assert_int_equal(unproven_total(f.node.http->unproven), 0);
    client_ask(client_open(&f, 0), "GET /for-keys", "HTTP/1.1 401 ");
    client_ask(client_open(&f, 0), "GET /for-keys", "HTTP/1.1 401 ");
    assert_int_equal(unproven_total(f.node.http->unproven), 2);
    struct client *c = client_open(&f, 0);
    client_await_end(c);
    assert_int_equal(rejected(REJECTED_ADDRESS), 1);
}

static void the_longest_idle_gives_way_when_all_are_in_use(void **state)
{
    (void)state;
    start((struct http_limits){.max_connections = 3});
    struct client *running = client_open(&f, 0);
    client_print(running, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    struct client *first = client_open(&f, 0);
    struct client *second = client_open(&f, 0);
    client_ask(second, "GET /", "is running");
    client_ask(first, "GET /", "is running");
    struct client *c = client_open(&f, 0);
    client_ask(c, "GET /", "is running");
    client_await_end(second);
    assert_false(first->eof);
    assert_int_equal(rejected(REJECTED_IDLE), 1);
    assert_int_equal(rejected(REJECTED_CONNECTIONS), 0);
    client_ask(first, "GET /", "is running");
    answer_kept();
    client_await(running, "at last");
}

/* Without descriptors the waiting are dropped, and when there are some again all is well. */
static void a_process_without_descriptors_goes_on(void **state)
{
    struct rlimit limit;
    struct rlimit few;
    int fds[64];
    size_t n = 0;
    struct client *c;

    (void)state;
    start((struct http_limits){0});
    c = client_open(&f, 0); /* waits in the backlog */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)c->fd + 10, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < ARRAY_LEN(fds) && (fds[n] = dup(c->fd)) >= 0) {
        n++;
    }
    assert_int_equal(errno, EMFILE);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    while (n > 0) {
        close(fds[--n]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    client_await_end(c);
    assert_int_equal(f.node.http->listeners[0].no_descriptors, 1);
    c = client_open(&f, 0);
    client_ask(c, "GET /", "is running");
}

/* Another thread took the spare descriptor: the loop does not spin until one is free. */
static void without_a_spare_descriptor_accepting_pauses(void **state)
{
    struct rlimit limit;
    struct rlimit few;
    int fds[64];
    size_t n = 0;

    (void)state;
    start((struct http_limits){0});
    struct listener *listener = &f.node.http->listeners[0];
    struct client *c = client_open(&f, 0); /* waits in the backlog */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)c->fd + 10, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    close(listener->spare_fd);
    listener->spare_fd = -1;
    while (n < ARRAY_LEN(fds) && (fds[n] = dup(c->fd)) >= 0) {
        n++;
    }
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_false(uv_is_active((uv_handle_t *)&listener->poll));
    while (n > 0) {
        close(fds[--n]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    client_ask(c, "GET /", "is running"); /* it was only made to wait */
    assert_int_equal(listener->no_descriptors, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_beyond_the_most_are_turned_away),
        TEST(one_address_has_few_connections_without_a_request),
        TEST(only_an_allowed_request_proves_a_connection),
        cmocka_unit_test(an_ipv6_host_has_a_whole_64),
        TEST(the_longest_idle_gives_way_when_all_are_in_use),
        TEST(a_process_without_descriptors_goes_on),
        TEST(without_a_spare_descriptor_accepting_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
