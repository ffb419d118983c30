/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices that a node remembers, on the real loop and in a network namespace of its own, where
 * tunnel devices come and go; what needs rights is skipped without.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "node/devices_uv.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/capture/interfaces_pcap.h"

#define SECOND_NS 1000000000u

static uv_loop_t loop;
static struct node_options options;
static struct node node = {.loop = &loop, .options = &options};
static uv_timer_t alive; /* the rest of a node: without it nothing keeps the loop going */
static bool is_closed;

struct told {
    unsigned times;
    const char *wanted;
    bool has_wanted;
    size_t n_link_types; /* of the wanted one */
};

static void on_closed(struct node *of)
{
    (void)of;
    is_closed = true;
}

static void on_told(const struct json_t *all, const struct interface_list *list, void *arg)
{
    struct told *told = arg;

    assert_non_null(all);
    told->times++;
    told->has_wanted = false;
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].name, told->wanted) == 0) {
            told->has_wanted = true;
            told->n_link_types = list->items[i].n_link_types;
        }
    }
}

/* A device that is there as long as the descriptor; -1 without the rights. */
static int tunnel(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void on_time(uv_timer_t *timer)
{
    (void)timer;
}

static void begin(void)
{
    is_closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop, &alive), 0);
    assert_int_equal(uv_timer_start(&alive, on_time, 10, 10), 0);
    work_open(&node);
    assert_int_equal(devices_open(&node, NULL), 0);
}

static void run_closed(void)
{
    while (!is_closed) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

static void end(void)
{
    devices_close(&node, on_closed);
    run_closed();
    assert_null(node.devices);
    is_closed = false;
    work_close(&node, on_closed);
    run_closed();
    uv_close((uv_handle_t *)&alive, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Whoever asks is answered at once or not at all yet: true when what is wanted came in time. */
static bool comes(const char *name, bool wanted, uint64_t limit_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + limit_ns;
    struct told told = {.wanted = name};
    unsigned asked = 0;

    do {
        uv_run(&loop, UV_RUN_NOWAIT);
        devices_ask(&node, on_told, &told);
        assert_int_equal(told.times, ++asked);
        usleep(1000);
    } while (told.has_wanted != wanted && clock_monotonic_ns() < until_ns);
    return told.has_wanted == wanted;
}

static void wait_for_the_first(void)
{
    struct told told = {.wanted = "lo"};

    devices_ask(&node, on_told, &told);
    while (told.times == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_true(told.has_wanted);
    assert_true(told.n_link_types > 0);
}

static void who_asks_is_answered_at_once_when_they_were_read_once(void **state)
{
    struct told told = {.wanted = "lo"};

    (void)state;
    begin();
    wait_for_the_first();
    for (unsigned i = 1; i <= 1000; i++) {
        devices_ask(&node, on_told, &told); /* the loop does not run */
        assert_int_equal(told.times, i);
    }
    assert_true(told.has_wanted);
    end();
}

static void a_device_that_comes_or_goes_is_seen_within_a_second(void **state)
{
    (void)state;
    int probe = tunnel("prprobe");
    if (probe < 0) {
        skip();
    }
    close(probe);
    begin();
    wait_for_the_first();
    for (int i = 0; i < 3; i++) {
        int fd = tunnel("prcomes");
        assert_true(fd >= 0);
        assert_true(comes("prcomes", true, SECOND_NS));
        close(fd);
        assert_true(comes("prcomes", false, SECOND_NS));
    }
    end();
}

/* They come and go all the time: it is read again and again, and yet everybody is answered. */
static void devices_that_never_rest_keep_nobody_waiting(void **state)
{
    struct told told = {.wanted = "lo"};
    unsigned asked = 0;

    (void)state;
    begin();
    wait_for_the_first();
    uint64_t until_ns = clock_monotonic_ns() + SECOND_NS;
    while (clock_monotonic_ns() < until_ns) {
        int fd = tunnel("prrestless");
        if (fd < 0) {
            end();
            skip();
        }
        uv_run(&loop, UV_RUN_NOWAIT);
        devices_ask(&node, on_told, &told);
        assert_int_equal(told.times, ++asked);
        close(fd);
    }
    assert_true(comes("prrestless", false, SECOND_NS));
    end();
}

static void a_name_is_found_or_refused_without_a_list_being_read(void **state)
{
    struct err err = {0};

    (void)state;
    begin();
    assert_int_equal(devices_find(&node, "lo", &err), 0); /* before the loop ran */
    assert_int_equal(devices_find(&node, "any", &err), 0);
    assert_int_equal(devices_find(&node, "nosuch0", &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no interface 'nosuch0'; there are: "));
    assert_non_null(strstr(err.text, "lo"));
    wait_for_the_first();
    int fd = tunnel("prfound");
    if (fd >= 0) {
        assert_int_equal(devices_find(&node, "prfound", &err), 0); /* not in the list yet */
        assert_true(comes("prfound", true, SECOND_NS));
        close(fd);
        assert_int_equal(devices_find(&node, "prfound", &err), ERR_NOT_FOUND); /* still in it */
        assert_null(strstr(err.text, "did you mean"));
    }
    end();
}

static void a_node_that_ends_at_once_waits_for_the_reading(void **state)
{
    struct told told = {.wanted = "lo"};

    (void)state;
    begin();
    devices_ask(&node, on_told, &told);
    end();
    assert_int_equal(told.times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_is_answered_at_once_when_they_were_read_once),
        cmocka_unit_test(a_device_that_comes_or_goes_is_seen_within_a_second),
        cmocka_unit_test(devices_that_never_rest_keep_nobody_waiting),
        cmocka_unit_test(a_name_is_found_or_refused_without_a_list_being_read),
        cmocka_unit_test(a_node_that_ends_at_once_waits_for_the_reading),
    };

    (void)!unshare(CLONE_NEWNET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
