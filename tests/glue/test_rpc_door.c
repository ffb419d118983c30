/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may begin a handshake: bounds of an address and of all, the order of those who wait, and what
 * they are told.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "node/rpc_door_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/channel.h"

#define ENTERED_MAX 4096

struct world {
    uv_loop_t loop;
    struct rpc_door *door;
    uv_timer_t alive; /* so that the loop turns */
    struct sockaddr_storage entered[ENTERED_MAX];
    size_t n_entered;
    bool gone[ENTERED_MAX];
    bool leaves_at_once;
    bool closed;
};

static void on_enter(void *arg, int fd, const struct sockaddr_storage *peer, const struct buf *head)
{
    struct world *w = arg;

    assert_null(head);
    assert_true(w->n_entered < ENTERED_MAX);
    w->entered[w->n_entered++] = *peer;
    close(fd);
    if (w->leaves_at_once) {
        w->gone[w->n_entered - 1] = true;
        rpc_door_left(w->door, peer);
    }
}

static int set_up(void **state)
{
    struct world *w = x_alloc(sizeof *w);

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->door = rpc_door_open(&w->loop, on_enter, w);
    uv_timer_init(&w->loop, &w->alive);
    *state = w;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed = true;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    /* As connections do, which are all gone before it closes; who waits is dropped. */
    w->leaves_at_once = false;
    for (size_t i = 0; i < w->n_entered; i++) { /* more enter meanwhile */
        if (!w->gone[i]) {
            rpc_door_left(w->door, &w->entered[i]);
        }
    }
    rpc_door_close(w->door, on_closed);
    uv_close((uv_handle_t *)&w->alive, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    mem_free(w);
    return 0;
}

static struct sockaddr_storage address(uint32_t host)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET};

    ((struct sockaddr_in *)(void *)&peer)->sin_addr.s_addr = htonl(0x0a000000u + host);
    return peer;
}

static uint32_t host_of(const struct sockaddr_storage *peer)
{
    return ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) - 0x0a000000u;
}

/* Gives the other end, for what is told. */
static int knock(struct world *w, uint32_t host)
{
    struct sockaddr_storage peer = address(host);
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rpc_door_knock(w->door, fds[0], &peer, NULL);
    return fds[1];
}

/* The one of that host who came first. */
static void leave(struct world *w, uint32_t host)
{
    struct sockaddr_storage peer = address(host);
    size_t i = 0;

    while (w->gone[i] || host_of(&w->entered[i]) != host) {
        assert_true(++i < w->n_entered);
    }
    w->gone[i] = true;
    rpc_door_left(w->door, &peer);
}

static void of_one_address_only_so_many_come_in(void **state)
{
    struct world *w = *state;
    int fds[12];

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = knock(w, 1);
    }
    assert_int_equal(w->n_entered, CHANNEL_STRANGERS_OF_ADDRESS_MAX);
    assert_int_equal(rpc_door_waiting(w->door), 4);
    close(knock(w, 2)); /* another address does not wait behind them */
    assert_int_equal(w->n_entered, CHANNEL_STRANGERS_OF_ADDRESS_MAX + 1);
    leave(w, 2);
    assert_int_equal(rpc_door_waiting(w->door), 4);
    leave(w, 1);
    assert_int_equal(rpc_door_waiting(w->door), 3);
    assert_int_equal(host_of(&w->entered[w->n_entered - 1]), 1);
    assert_int_equal(rpc_door_strangers(w->door), CHANNEL_STRANGERS_OF_ADDRESS_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
}

static void of_all_only_so_many_come_in_and_the_oldest_is_next(void **state)
{
    struct world *w = *state;

    for (uint32_t host = 0; host < CHANNEL_STRANGERS_MAX + 3; host++) {
        close(knock(w, host));
    }
    assert_int_equal(w->n_entered, CHANNEL_STRANGERS_MAX);
    leave(w, 5);
    leave(w, 6);
    assert_int_equal(w->n_entered, CHANNEL_STRANGERS_MAX + 2);
    assert_int_equal(host_of(&w->entered[CHANNEL_STRANGERS_MAX]), CHANNEL_STRANGERS_MAX);
    assert_int_equal(host_of(&w->entered[CHANNEL_STRANGERS_MAX + 1]), CHANNEL_STRANGERS_MAX + 1);
}

static void a_thousand_who_leave_at_once_all_come_in(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 9; i++) {
        close(knock(w, 1));
    }
    for (int i = 0; i < 991; i++) {
        close(knock(w, 1));
    }
    assert_int_equal(w->n_entered, CHANNEL_STRANGERS_OF_ADDRESS_MAX);
    w->leaves_at_once = true;
    leave(w, 1);
    assert_int_equal(w->n_entered, 1000);
    assert_int_equal(rpc_door_waiting(w->door), 0);
    assert_int_equal(rpc_door_strangers(w->door), CHANNEL_STRANGERS_OF_ADDRESS_MAX - 1);
}

static uint8_t told(int fd)
{
    uint8_t byte = 0;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(recv(fd, &(uint8_t){0}, 1, MSG_DONTWAIT), 0);
    close(fd);
    return byte;
}

static void one_too_many_is_told_that_it_is_busy(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < CHANNEL_STRANGERS_OF_ADDRESS_MAX + RPC_DOOR_WAITING_MAX; i++) {
        close(knock(w, 1));
    }
    assert_int_equal(told(knock(w, 1)), CHANNEL_BUSY);
    assert_int_equal(rpc_door_turned_away(w->door), 1);
    close(knock(w, 2)); /* there is room for others */
    assert_int_equal(host_of(&w->entered[w->n_entered - 1]), 2);
}

static void on_alive(uv_timer_t *timer)
{
    (void)timer;
}

static void who_waits_in_vain_is_told_after_five_seconds(void **state)
{
    struct world *w = *state;
    uint64_t began_ns = clock_monotonic_ns();
    int last = -1;

    for (unsigned i = 0; i <= CHANNEL_STRANGERS_OF_ADDRESS_MAX; i++) {
        if (last >= 0) {
            close(last);
        }
        last = knock(w, 1);
    }
    while (rpc_door_waiting(w->door) > 0) {
        assert_true(clock_monotonic_ns() - began_ns < 20000000000);
        uv_timer_start(&w->alive, on_alive, 50, 0);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    assert_true(clock_monotonic_ns() - began_ns >= CHANNEL_STRANGER_MS * 990000ULL);
    assert_int_equal(told(last), CHANNEL_BUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_one_address_only_so_many_come_in),
        TEST(of_all_only_so_many_come_in_and_the_oldest_is_next),
        TEST(a_thousand_who_leave_at_once_all_come_in),
        TEST(one_too_many_is_told_that_it_is_busy),
        TEST(who_waits_in_vain_is_told_after_five_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
