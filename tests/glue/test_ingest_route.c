/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /ingest on a real loop: what happens between the request and the upgrade, while a worker
 * looks up where a recording ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/store_access.h"
#include "node/uplink_internal.h"
#include "node/work.h"
#include "shared/base/mem.h"
#include "tests/glue/node_fixture.h"

#define ASK                                                                                        \
    "/ingest?v=1&name=far&interface=eth0&sniffer=018f4c2e-0000-7000-8000-000000000001"             \
    "&stream=018f4c2e-0000-7000-8000-000000000002"
/* More than libuv has threads. */
#define N_BUSY 8

static const struct route_group *const groups[] = {&ingest_routes};

static struct fixture f;
static char keys[API_ROLES][API_KEY_TEXT_MAX];
static uv_sem_t go;
static unsigned n_done;

static int start(void **state)
{
    struct err err = {0};

    (void)state;
    fixture_init(&f);
    fixture_make_keys(&f, keys);
    fixture_start(&f, &(struct fixture_opts){.groups = groups, .n_groups = ARRAY_LEN(groups)});
    f.options.ingest_buffer_bytes = 1 << 20;
    assert_int_equal(node_store_open(&f.node, &err), 0);
    assert_int_equal(uplinks_open(&f.node, &err), 0);
    return 0;
}

static void on_uplinks_closed(struct node *node)
{
    (void)node;
}

static bool no_connection(void *arg)
{
    return http_server_connections(((struct fixture *)arg)->node.http) == 0;
}

static int end(void **state)
{
    (void)state;
    while (f.clients != NULL) {
        client_close(f.clients);
    }
    assert_true(fixture_pump(&f, no_connection, &f));
    uplinks_close(&f.node, on_uplinks_closed);
    node_store_close(&f.node);
    fixture_end(&f);
    return 0;
}

static void wait_for_go(void *arg)
{
    (void)arg;
    uv_sem_wait(&go);
}

static void on_waited(void *arg, bool cancelled)
{
    (void)arg;
    (void)cancelled;
    n_done++;
}

static bool time_is_over(void *arg)
{
    return uv_now(&f.loop) > *(uint64_t *)arg;
}

static bool all_done(void *arg)
{
    (void)arg;
    return n_done == N_BUSY;
}

static bool is_listed(void)
{
    uplinks_lock(f.node.uplinks);
    bool listed = uplinks_get(f.node.uplinks, "far:eth0") != NULL;
    uplinks_unlock(f.node.uplinks);
    return listed;
}

/* The uplink is known and down; the lookup for the next connection takes longer than it is kept. */
static void an_uplink_that_is_asked_for_is_not_forgotten(void **state)
{
    char headers[256];

    (void)state;
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", keys[ROLE_INGEST]);
    struct client *c = client_open(&f, 0);
    client_print(c, "GET " ASK " HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", headers);
    client_await(c, "HTTP/1.1 426 ");
    assert_true(is_listed());

    f.options.ingest_record = true;
    assert_int_equal(uv_sem_init(&go, 0), 0);
    n_done = 0;
    for (int i = 0; i < N_BUSY; i++) {
        assert_true(work_run(&f.node, wait_for_go, on_waited, NULL));
    }
    c = client_open(&f, 0);
    client_print(c,
                 "GET " ASK " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                 headers);
    uint64_t until_ms = uv_now(&f.loop) + 350; /* some looks at who has been away */
    assert_true(fixture_pump(&f, time_is_over, &until_ms));
    assert_true(is_listed());
    for (int i = 0; i < N_BUSY; i++) {
        uv_sem_post(&go);
    }
    client_await(c, "HTTP/1.1 101 ");
    assert_true(is_listed());
    assert_true(fixture_pump(&f, all_done, NULL));
    uv_sem_destroy(&go);
}

/* Positions are the peer's: whatever it says, nothing overflows. */
static void positions_may_jump_as_far_as_they_can(void **state)
{
    struct uplinks *uplinks = f.node.uplinks;
    struct ingest_batch batch = {.header = {.n_packets = 1, .position = INGEST_POSITION_MAX}};
    uint64_t safe;
    uint64_t credit;

    (void)state;
    uplinks_lock(uplinks);
    struct uplink *uplink = uplinks_make(uplinks, "far:eth1");
    uplinks_unlock(uplinks);
    for (int i = 0; i < 6; i++) {
        char stream[ID_TEXT_MAX];
        snprintf(stream, sizeof stream, "%d", i);
        uplink_on_connected(uplinks, uplink, NULL, stream, 0);
        uplink_on_batch(uplinks, uplink, &batch, 0);
        uplink_progress(uplinks, uplink, &safe, &credit);
        assert_true(safe == INGEST_POSITION_MAX + 1);
        uplink_on_disconnected(uplinks, uplink);
    }
    uplinks_lock(uplinks);
    uplink_unref(uplink);
    uplinks_unlock(uplinks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_uplink_that_is_asked_for_is_not_forgotten, start, end),
        cmocka_unit_test_setup_teardown(positions_may_jump_as_far_as_they_can, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
