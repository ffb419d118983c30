/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's filter of a running capture is swapped on the real loopback; skipped without rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/local_addresses_posix.h"
#include "shared/capture/source_pcap.h"

#define ROUNDS 200u

struct counting_sink {
    struct source_sink sink;
    uint32_t n;
    uint32_t by_port[2];
};

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t ports[2]; /* where the two sockets listen */
static uint32_t ip_at;    /* of the link type */

static bool on_packet(struct source_sink *sink, const struct packet_view *packet)
{
    struct counting_sink *counting = container_of(sink, struct counting_sink, sink);

    counting->n++;
    for (int i = 0; i < 2; i++) {
        if (packet->caplen >= ip_at + 24 && be16(packet->data + ip_at + 22) == ports[i]) {
            counting->by_port[i]++;
        }
    }
    return true;
}

static int listening(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void send_to(int fd, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};

    assert_int_equal(sendto(fd, "swap", 4, 0, (const struct sockaddr *)&to, sizeof to), 4);
}

static struct source *open_on(const char *interface, const char *filter)
{
    const struct source_pcap_opts opts = {.interface = interface,
                                          .filter = filter,
                                          .snaplen = 256,
                                          .buffer_bytes = 1 << 20,
                                          .block_timeout_ms = 1};
    struct source *source = NULL;
    struct err err = {0};
    int code = source_pcap_open(&opts, &source, &err);

    if (code == ERR_PERMISSION) {
        skip();
    }
    assert_int_equal(code, 0);
    return source;
}

static void read_until(struct source *source, struct counting_sink *counting, uint32_t n)
{
    uint64_t deadline = clock_monotonic_ns() + 5000000000u;
    struct pollfd ready = {.fd = source->ops->fd(source), .events = POLLIN};
    struct err err = {0};

    while (counting->n < n && clock_monotonic_ns() < deadline) {
        poll(&ready, 1, 20);
        assert_true(source->ops->read(source, &counting->sink, &err) > 0);
    }
}

/* Each packet passes the filter before and after the swap that follows it at once, so every one
 * must come, and on the loopback it comes twice where `copies` says so. */
static void swap_many_times(const char *interface, uint32_t offset, uint32_t copies)
{
    char filters[2][96];
    struct counting_sink counting = {.sink.packet = on_packet};
    struct err err = {0};
    int a = listening(&ports[0]);
    int b = listening(&ports[1]);

    ip_at = offset;
    snprintf(filters[0], sizeof filters[0], "udp dst port %u", ports[0]);
    snprintf(filters[1], sizeof filters[1], "udp dst port %u or tcp port 1", ports[0]);
    struct source *source = open_on(interface, filters[0]);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        send_to(a, ports[1]); /* never wanted */
        send_to(b, ports[0]);
        assert_int_equal(source->ops->swap_filter(source, filters[(i + 1) % 2], &err), 0);
        /* each millisecond takes a block of the small ring */
        assert_true(source->ops->read(source, &counting.sink, &err) > 0);
    }
    snprintf(filters[0], sizeof filters[0], "udp dst port %u", ports[1]);
    assert_int_equal(source->ops->swap_filter(source, filters[0], &err), 0);
    send_to(a, ports[1]);
    send_to(b, ports[0]);
    read_until(source, &counting, (ROUNDS + 1) * copies);
    assert_int_equal(counting.by_port[0], ROUNDS * copies);
    assert_int_equal(counting.by_port[1], copies);
    assert_int_equal(source->ops->swap_filter(source, "udp port port", &err), ERR_FILTER);
    source->ops->close(source);
    close(a);
    close(b);
}

static void a_swap_loses_nothing_on_an_interface(void **state)
{
    (void)state;
    swap_many_times("lo", 14, 1); /* libpcap leaves out the outgoing copy */
}

static void a_swap_works_where_the_header_is_cooked(void **state)
{
    (void)state;
    swap_many_times("any", 20, 1);
}

static void this_hosts_addresses_are_known_once_each(void **state)
{
    struct local_addresses first = {0};
    struct local_addresses second = {0};
    struct err err = {0};
    bool loopback = false;

    (void)state;
    assert_int_equal(local_addresses_read(&first, &err), 0);
    assert_int_equal(local_addresses_read(&second, &err), 0);
    assert_true(local_addresses_equal(&first, &second));
    for (size_t i = 0; i < first.n; i++) {
        loopback = loopback || strcmp(first.items[i], "127.0.0.1") == 0;
        assert_true(i == 0 || strcmp(first.items[i - 1], first.items[i]) < 0);
    }
    assert_true(loopback);
    mem_free(second.items[--second.n]);
    assert_false(local_addresses_equal(&first, &second));
    local_addresses_free(&first);
    local_addresses_free(&second);
    int fd = local_addresses_watch(&err);
    assert_true(fd >= 0);
    local_addresses_forget(fd);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_loses_nothing_on_an_interface),
        cmocka_unit_test(a_swap_works_where_the_header_is_cooked),
        cmocka_unit_test(this_hosts_addresses_are_known_once_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
