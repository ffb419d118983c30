/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket of gossip on loopback: stamps of what is sent lie between the moments around it,
 * before that of what came, and leave nothing behind that would wake a loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "node/gossip_socket_posix.h"
#include "shared/base/clock_posix.h"

struct fixture {
    struct gossip_socket from, to;
    struct gossip_inbox *inbox;
};

static void begin(struct fixture *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage any = {0};
    struct err err = {0};

    memcpy(&any, &at, sizeof at);
    assert_int_equal(gossip_socket_open(&f->from, &any, &err), 0);
    assert_int_equal(gossip_socket_open(&f->to, &any, &err), 0);
    f->inbox = gossip_inbox_new();
}

static void end(struct fixture *f)
{
    gossip_socket_close(&f->from);
    gossip_socket_close(&f->to);
    gossip_inbox_free(f->inbox);
}

static const struct gossip_datagram *receive(struct fixture *f)
{
    struct pollfd ready = {.fd = f->to.fd, .events = POLLIN};
    uint32_t n_dropped = 0;

    assert_int_equal(poll(&ready, 1, 5000), 1);
    assert_int_equal(gossip_socket_receive(&f->to, f->inbox, &n_dropped), 1);
    return gossip_inbox_at(f->inbox, 0);
}

static void what_is_sent_has_the_stamp_of_its_leaving(void **state)
{
    struct fixture f;
    const uint8_t bytes[] = "ping";

    (void)state;
    begin(&f);
    for (int i = 0; i < 100; i++) {
        int64_t stamp_ns = 0;
        int64_t before = (int64_t)clock_wall_ns();
        assert_int_equal(
            gossip_socket_send_stamped(&f.from, &f.to.address, bytes, sizeof bytes, &stamp_ns), 0);
        int64_t after = (int64_t)clock_wall_ns();
        const struct gossip_datagram *datagram = receive(&f);
        assert_int_equal(datagram->n, sizeof bytes);
        assert_memory_equal(datagram->bytes, bytes, sizeof bytes);
        if (stamp_ns == 0) { /* a kernel that stamps nothing */
            print_message("no stamp\n");
            continue;
        }
        assert_true(stamp_ns >= before && stamp_ns <= after);
        assert_true(datagram->stamp_ns >= stamp_ns);
    }
    struct pollfd quiet = {.fd = f.from.fd, .events = POLLIN | POLLPRI};
    assert_int_equal(poll(&quiet, 1, 0), 0);
    end(&f);
}

static void who_cannot_be_sent_to_is_an_error(void **state)
{
    struct fixture f;
    static const uint8_t bytes[SWIM_DATAGRAM_MAX];
    struct swim_addr nowhere = {.family = 4, .ip = {255, 255, 255, 255}, .port = 9};
    int64_t stamp_ns = 7;

    (void)state;
    begin(&f);
    assert_true(gossip_socket_send_stamped(&f.from, &nowhere, bytes, sizeof bytes, &stamp_ns) < 0);
    assert_int_equal(stamp_ns, 7);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_has_the_stamp_of_its_leaving),
        cmocka_unit_test(who_cannot_be_sent_to_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
