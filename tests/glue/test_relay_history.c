/* SPDX-License-Identifier: Apache-2.0
 *
 * history= of a viewer: it comes whole, and it leaves the workers to others in between, since a
 * recording may take minutes to read.
 */
#include "tests/support/store_place.h"

#include "node/store_access.h"
#include "shared/base/mem.h"
#include "tests/support/relay_node.h"

#define PACKETS 1000u /* one run */

static struct place place;

int node_store_take(struct node_store *access, struct store **out, struct err *err)
{
    (void)access;
    (void)err;
    *out = open_store(&place, STORE_READ);
    return 0;
}

void node_store_give(struct node_store *access, struct store *store)
{
    (void)access;
    store_close(store);
}

/* A recording of eth0 whose packets are stamped now. */
static void record(void)
{
    struct store *store = open_store(&place, STORE_CREATE);
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct err err = {0};
    char id[STORE_ID_TEXT];
    uint8_t bytes[256];
    struct consumer *c = begin(store, "s", 0, id);
    uint64_t now_ns = clock_wall_ns();

    for (uint32_t n = 0; n < PACKETS; n++) {
        struct packet_view p = {.time_ns = now_ns, .data = bytes};
        p.caplen = p.len = (uint32_t)make_packet(bytes, n);
        assert_true(block_append(block, &p));
    }
    assert_int_equal(c->ops->block(c, block, &load, &err), 0);
    block_unref(block);
    finish(c, PACKETS);
    store_close(store);
}

static int set_up(void **state)
{
    (void)state;
    place_init(&place, NULL);
    record();
    begin_node();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    end_node();
    place_deinit(&place);
    return 0;
}

static bool has_room(void *peer)
{
    (void)peer;
    return true;
}

static void take(void *peer, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                 void *arg)
{
    (void)peer;
    (void)iov;
    (void)n;
    release(arg);
}

static void take_close(void *peer, uint16_t code, const char *reason)
{
    (void)peer;
    (void)code;
    (void)reason;
}

static const struct viewer_peer_ops peer_ops = {
    .has_room = has_room, .write = take, .close = take_close};

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    const struct viewer_opts opts = {.kind = VIEWER_RAW, .history_ns = 60000000000u};
    struct viewer **viewer = arg;

    assert_null(err);
    *viewer = viewer_new(stream, &opts);
    viewer_start(*viewer, &peer_ops, NULL, false);
}

struct other {
    struct viewer *viewer;
    uint64_t n_packets; /* that the viewer had when the other work was done */
    bool is_done;
};

static void run_other(void *arg)
{
    (void)arg;
}

static void on_other_done(void *arg, bool cancelled)
{
    struct other *other = arg;

    (void)cancelled;
    other->n_packets = other->viewer->n_packets;
    other->is_done = true;
}

/* With one worker, whose jobs end at the first chance. */
static void a_long_history_leaves_the_workers_to_others(void **state)
{
    const struct relay_request request = {.interface = "eth0"};
    struct other other = {0};

    (void)state;
    node.relay->history_job_ns = 0;
    relay_join(node.relay, &request, on_joined, &other.viewer);
    RUN_UNTIL(other.viewer != NULL);
    assert_true(work_run(&node, run_other, on_other_done, &other));
    RUN_UNTIL(other.is_done);
    assert_true(other.n_packets < PACKETS);
    RUN_UNTIL(other.viewer->history == NULL);
    assert_int_equal(other.viewer->n_packets, PACKETS);
    fake_give(1); /* and the live part follows */
    RUN_UNTIL(other.viewer->n_packets == PACKETS + 1);
    viewer_gone(other.viewer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_history_leaves_the_workers_to_others, set_up,
                                        tear_down),
    };
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
