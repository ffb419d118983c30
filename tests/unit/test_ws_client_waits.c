/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ws_client_dial.h"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void serve_silence(struct wire_peer *peer, void *arg)
{
    (void)arg;
    while (wire_more(peer)) {
    }
}

static void a_silent_node_ends_at_the_deadline(void **state)
{
    struct wire_server server;
    struct ws_client *client = NULL;
    unsigned status = 7;

    (void)state;
    wire_server_start(&server, serve_silence, NULL, NULL);
    struct url_endpoint endpoint = endpoint_of(&server);
    struct ws_client_opts opts = {.endpoint = &endpoint, .target = "/"};
    for (int tls = 0; tls < 2; tls++) {
        uint64_t before = clock_monotonic_ns();
        endpoint.tls = tls;
        assert_int_equal(ws_client_open(&opts, in_ms(100), &client, &status, NULL), -ETIMEDOUT);
        assert_in_range(clock_monotonic_ns() - before, 100 * MS, 2000 * MS);
        assert_int_equal(status, 0);
    }
    wire_server_stop(&server);
    struct err err = {0};
    endpoint.tls = false;
    assert_int_equal(ws_client_open(&opts, in_ms(5000), &client, &status, &err), ERR_IO);
    assert_non_null(strstr(err.text, "refused"));
    assert_null(client);
}

static void *stop_later(void *arg)
{
    struct timespec pause = {.tv_nsec = 20 * (long)MS};
    const uint64_t one = 1;

    nanosleep(&pause, NULL);
    assert_int_equal(write(*(const int *)arg, &one, sizeof one), (ssize_t)sizeof one);
    return NULL;
}

/* An address that answers nothing: a listener whose queue is full. */
static int full_listener(struct url_endpoint *endpoint, int fillers[], size_t n)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    endpoint->port = ntohs(at.sin_port);
    for (size_t i = 0; i < n; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&at, sizeof at);
    }
    return fd;
}

static void connecting_is_stopped(const struct url_endpoint *endpoint)
{
    struct ws_client *client = NULL;
    struct err err = {0};
    unsigned status = 0;
    pthread_t thread;
    int stop = eventfd(0, 0);
    const struct ws_client_opts opts = {.endpoint = endpoint, .target = "/", .stop_fd = stop};
    uint64_t before = clock_monotonic_ns();

    pthread_create(&thread, NULL, stop_later, &stop);
    assert_int_equal(ws_client_open(&opts, in_ms(10000), &client, &status, &err), ERR_INTERRUPTED);
    assert_in_range(clock_monotonic_ns() - before, 10 * MS, 5000 * MS);
    pthread_join(thread, NULL);
    /* It stays so: the next one ends at once. */
    assert_int_equal(ws_client_open(&opts, in_ms(10000), &client, &status, &err), ERR_INTERRUPTED);
    close(stop);
}

static void connecting_can_be_stopped(void **state)
{
    struct wire_server server;
    struct url_endpoint endpoint;
    int fillers[4];

    (void)state;
    wire_server_start(&server, serve_silence, NULL, NULL);
    endpoint = endpoint_of(&server);
    connecting_is_stopped(&endpoint); /* in the WebSocket handshake */
    endpoint.tls = true;
    connecting_is_stopped(&endpoint); /* in that of TLS */
    wire_server_stop(&server);
    endpoint.tls = false;
    int full = full_listener(&endpoint, fillers, ARRAY_LEN(fillers));
    connecting_is_stopped(&endpoint); /* in that of TCP */
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++) {
        close(fillers[i]);
    }
    close(full);
}

static void a_connection_outlives_the_wish_to_stop_connecting(void **state)
{
    struct wire_server server;
    int stop = eventfd(0, 0);
    const struct ws_client_opts opts = {.stop_fd = stop};

    (void)state;
    wire_server_start(&server, serve_echo, NULL, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    assert_int_equal(write(stop, &(uint64_t){1}, 8), 8);
    assert_int_equal(receive(client, 10).rc, -ETIMEDOUT);
    assert_int_equal(ws_client_send(client, WS_BINARY, "x", 1, in_ms(5000), NULL), 0);
    expect_message(client, WS_BINARY, "x", 1);
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(5000));
    wire_server_stop(&server);
    close(stop);
}

static void serve_slowly(struct wire_peer *peer, void *arg)
{
    static const uint8_t frames[] = {0x02, 2, 'a', 'b', 0x89, 1, 'p',
                                     0x80, 2, 'c', 'd', 0x82, 1, 'e'};

    (void)arg;
    wire_upgrade(peer, "");
    for (size_t i = 0; i < sizeof frames; i++) {
        struct timespec pause = {.tv_nsec = 2 * (long)MS};
        wire_put(peer, frames + i, 1);
        nanosleep(&pause, NULL);
    }
    read_frames(peer, echo_message, peer);
}

static void nothing_is_lost_at_a_deadline(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};
    unsigned late = 0;
    struct got got;

    (void)state;
    wire_server_start(&server, serve_slowly, NULL, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    while ((got = receive(client, 0)).rc == -ETIMEDOUT) {
        late++;
    }
    assert_true(late > 0);
    assert_int_equal(got.rc, 1);
    assert_int_equal(got.n, 4);
    assert_memory_equal(got.data, "abcd", 4);
    expect_message(client, WS_BINARY, "e", 1);
    /* The ping in between was answered, and the echo gives the answer back. */
    expect_message(client, WS_PONG, "p", 1);
    ws_client_close(client);
    wire_server_stop(&server);
}

static void *interrupt_later(void *arg)
{
    struct timespec pause = {.tv_nsec = 20 * (long)MS};

    nanosleep(&pause, NULL);
    ws_client_interrupt(arg);
    return NULL;
}

static void a_wait_can_be_interrupted(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};
    pthread_t thread;

    (void)state;
    wire_server_start(&server, serve_echo, NULL, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    uint64_t before = clock_monotonic_ns();
    pthread_create(&thread, NULL, interrupt_later, client);
    assert_int_equal(receive(client, 10000).rc, ERR_INTERRUPTED);
    assert_in_range(clock_monotonic_ns() - before, 10 * MS, 5000 * MS);
    pthread_join(thread, NULL);
    /* Once only, and a message is not lost by it. */
    assert_int_equal(receive(client, 10).rc, -ETIMEDOUT);
    ws_client_interrupt(client);
    assert_int_equal(ws_client_send(client, WS_BINARY, "x", 1, in_ms(5000), NULL), 0);
    ws_client_interrupt(client);
    assert_int_equal(receive(client, 5000).rc, ERR_INTERRUPTED);
    expect_message(client, WS_BINARY, "x", 1);
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(5000));
    wire_server_stop(&server);
}

static void serve_goodbye(struct wire_peer *peer, void *arg)
{
    uint8_t payload[2 + WS_REASON_MAX];
    size_t n = ws_close_payload(WS_CLOSE_GOING_AWAY, "the node is shutting down", payload);

    wire_upgrade(peer, "");
    wire_put_message(peer, WS_BINARY, "last", 4);
    if (arg != NULL) {
        wire_put_message(peer, WS_CLOSE, payload, n);
        while (wire_more(peer)) {
        }
    }
}

static void the_end_of_a_connection_is_told(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};

    (void)state;
    wire_server_start(&server, serve_goodbye, &server, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    expect_message(client, WS_BINARY, "last", 4);
    struct got got = receive(client, 5000);
    assert_int_equal(got.rc, 0);
    assert_int_equal(got.code, WS_CLOSE_GOING_AWAY);
    assert_int_equal(got.n, 25);
    assert_memory_equal(got.data, "the node is shutting down", 25);
    assert_int_equal(receive(client, 5000).rc, -ECONNRESET);
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(5000));
    wire_server_stop(&server);

    wire_server_start(&server, serve_goodbye, NULL, NULL);
    client = dial_well(&server, &opts);
    expect_message(client, WS_BINARY, "last", 4);
    got = receive(client, 5000);
    assert_int_equal(got.rc, -ECONNRESET);
    assert_true(got.err.text[0] != '\0');
    ws_client_close(client);
    wire_server_stop(&server);
}

static void serve_bad_frame(struct wire_peer *peer, void *arg)
{
    static const uint8_t bad[] = {0x83, 1, 'x', 0x82, 1, 'y'};

    wire_upgrade(peer, "");
    wire_put_message(peer, WS_BINARY, "good", 4);
    wire_put(peer, bad, sizeof bad);
    while (wire_more(peer)) {
    }
    /* The client's close frame: code 1002, masked. */
    *(size_t *)arg = peer->in.len;
}

static void a_node_that_breaks_the_rules_is_left(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};
    size_t answered = 0;

    (void)state;
    wire_server_start(&server, serve_bad_frame, &answered, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    expect_message(client, WS_BINARY, "good", 4);
    assert_int_equal(receive(client, 5000).rc, ERR_DAMAGED);
    ws_client_close(client);
    wire_server_stop(&server);
    assert_true(answered >= 8);
}

/* ---- floods ------------------------------------------------------------------------------- */

/* More than the kernel holds for one who does not read, less than with what a send keeps. */
#define FLOOD_MESSAGES 4000
#define FLOOD_BYTES    1500

static void count_message(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    (void)opcode;
    (void)data;
    *(size_t *)arg += n;
}

static void serve_flood(struct wire_peer *peer, void *arg)
{
    uint8_t data[FLOOD_BYTES];

    memset(data, 'f', sizeof data);
    wire_upgrade(peer, "");
    for (unsigned i = 0; i < FLOOD_MESSAGES; i++) {
        memcpy(data, &i, sizeof i);
        wire_put_message(peer, WS_BINARY, data, sizeof data);
    }
    read_frames(peer, count_message, arg);
}

static void two_that_send_at_once_do_not_block_each_other(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};
    size_t taken = 0;
    uint8_t *data = x_alloc(100000);

    (void)state;
    wire_server_start(&server, serve_flood, &taken, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    for (int i = 0; i < 100; i++) { /* 10 MB that the node reads only when its own are out */
        assert_int_equal(ws_client_send(client, WS_BINARY, data, 100000, in_ms(10000), NULL), 0);
    }
    for (unsigned i = 0; i < FLOOD_MESSAGES; i++) {
        struct got got = receive(client, 5000);
        assert_int_equal(got.rc, 1);
        assert_int_equal(got.n, FLOOD_BYTES);
        assert_memory_equal(got.data, &i, sizeof i);
    }
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(10000));
    wire_server_stop(&server);
    assert_int_equal(taken, 100u * 100000u + 2);
    mem_free(data);
}

static void serve_upgrade_and_sleep(struct wire_peer *peer, void *arg)
{
    atomic_bool *stop = arg;
    struct timespec pause = {.tv_nsec = 5 * (long)MS};

    wire_upgrade(peer, "");
    while (!atomic_load(stop)) {
        nanosleep(&pause, NULL);
    }
}

static void a_send_waits_no_longer_than_its_deadline(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {0};
    atomic_bool stop = false;
    uint8_t *data = x_alloc(1 << 20);
    int rc = 0;
    unsigned n = 0;

    (void)state;
    wire_server_start(&server, serve_upgrade_and_sleep, &stop, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    while (rc == 0 && n < 1000) {
        rc = ws_client_send(client, WS_BINARY, data, 1 << 20, in_ms(50), NULL);
        n++;
    }
    assert_int_equal(rc, -ETIMEDOUT);
    assert_in_range(n, 2, 64);
    ws_client_close(client);
    atomic_store(&stop, true);
    wire_server_stop(&server);
    mem_free(data);
}

/* ---- compression, ports, names ------------------------------------------------------------ */

static void serve_deflated(struct wire_peer *peer, void *arg)
{
    struct ws_deflater *deflater = ws_deflater_new();
    uint8_t header[WS_HEADER_MAX];

    (void)arg;
    wire_upgrade(peer, "Sec-WebSocket-Extensions: " WS_DEFLATE_ANSWER "\r\n");
    for (int i = 0; i < 3; i++) {
        struct buf packed = {0};
        ws_deflate(deflater, "hello hello hello hello", 23, &packed);
        wire_put(peer, header, ws_put_header(header, WS_BINARY, true, packed.len));
        wire_put(peer, packed.data, packed.len);
        buf_deinit(&packed);
    }
    read_frames(peer, echo_message, peer);
    ws_deflater_free(deflater);
}

static void compressed_messages_are_read(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {.deflate = true};

    (void)state;
    wire_server_start(&server, serve_deflated, NULL, NULL);
    struct ws_client *client = dial_well(&server, &opts);
    for (int i = 0; i < 3; i++) {
        expect_message(client, WS_BINARY, "hello hello hello hello", 23);
    }
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(5000));
    wire_server_stop(&server);
}

static void serve_port(struct wire_peer *peer, void *arg)
{
    (void)arg;
    wire_upgrade(peer, "");
    wire_put_message(peer, WS_BINARY, &peer->port, sizeof peer->port);
    while (wire_more(peer)) {
    }
}

static void the_local_port_is_of_the_range(void **state)
{
    struct wire_server server;
    const struct ws_client_opts opts = {.local_port_from = 47100, .local_port_to = 47109};

    (void)state;
    wire_server_start(&server, serve_port, NULL, NULL);
    for (int i = 0; i < 20; i++) { /* more than the range has: ports that wait are used again */
        struct ws_client *client = dial_well(&server, &opts);
        struct got got = receive(client, 5000);
        uint16_t port = 0;
        assert_int_equal(got.rc, 1);
        memcpy(&port, got.data, sizeof port);
        assert_in_range(port, 47100, 47109);
        ws_client_close(client);
    }
    wire_server_stop(&server);
}

static void names_are_looked_up_and_all_addresses_tried(void **state)
{
    struct wire_server server;
    struct ws_client *client = NULL;
    unsigned status = 0;
    struct err err = {0};

    (void)state;
    wire_server_start(&server, serve_echo, NULL, NULL);
    /* ::1 may come first, where nobody listens. */
    struct url_endpoint endpoint = {.host = "localhost", .port = server.port};
    const struct ws_client_opts opts = {.endpoint = &endpoint};
    client = dial_well(&server, &opts);
    ws_client_finish(client, WS_CLOSE_NORMAL, NULL, in_ms(5000));
    client = NULL;
    snprintf(endpoint.host, sizeof endpoint.host, "no-such-host.invalid");
    assert_true(dial(&server, &opts, &client, &status, &err) < 0);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
    assert_null(client);
    wire_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_node_ends_at_the_deadline),
        cmocka_unit_test(connecting_can_be_stopped),
        cmocka_unit_test(a_connection_outlives_the_wish_to_stop_connecting),
        cmocka_unit_test(nothing_is_lost_at_a_deadline),
        cmocka_unit_test(a_wait_can_be_interrupted),
        cmocka_unit_test(the_end_of_a_connection_is_told),
        cmocka_unit_test(a_node_that_breaks_the_rules_is_left),
        cmocka_unit_test(two_that_send_at_once_do_not_block_each_other),
        cmocka_unit_test(a_send_waits_no_longer_than_its_deadline),
        cmocka_unit_test(compressed_messages_are_read),
        cmocka_unit_test(the_local_port_is_of_the_range),
        cmocka_unit_test(names_are_looked_up_and_all_addresses_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
