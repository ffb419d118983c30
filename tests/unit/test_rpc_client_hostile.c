/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that mean harm to the command line, or that are no nodes: garbage, sizes that are only
 * announced, halves, drops, floods, silence. Each ends with an error that names the endpoint, in
 * time, and with no more memory than its limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/base/unpack.h"
#include "tests/support/test_place.h"

#include "tests/support/rpc_peer.h"

struct bytes {
    const char *what;
    const char *bytes;
    size_t n;
    int rc;
    const char *words;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct bytes answers[] = {
    {"nothing", BYTES(""), -ECONNRESET, "ended the connection"},
    {"HTTP", BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), ERR_DAMAGED, "no packetrecorder"},
    {"an array of 2^32 - 1", BYTES("\x94\x01\x01\xc0\xdd\xff\xff\xff\xff"), ERR_DAMAGED,
     "too large"},
    {"a map of 2^32 - 1", BYTES("\x94\x01\x01\xc0\xdf\xff\xff\xff\xff"), ERR_DAMAGED, "too large"},
    {"4 GiB of bytes", BYTES("\x94\x01\x01\xc0\xc6\xff\xff\xff\xff"), ERR_DAMAGED, "too large"},
    {"a byte too many", BYTES("\x94\x01\x01\xc0\xc6\x00\x7f\xff\xf8"), ERR_DAMAGED, "too large"},
    {"too deep",
     BYTES("\x94\x01\x01\xc0\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
           "\x91\x91\x91\xc0"),
     ERR_DAMAGED, "no packetrecorder"},
    {"half a message", BYTES("\x94\x01\x01\xc0"), ERR_DAMAGED, "cut inside a message"},
    {"half a text", BYTES("\x94\x01\x01\xc0\xdb\x00\x00\x00\x64...."), ERR_DAMAGED, "cut inside"},
    {"a byte that is none", BYTES("\x94\x01\x01\xc0\xc1"), ERR_DAMAGED, "no packetrecorder"},
    {"not an array", BYTES("\x81\x01\x01"), ERR_DAMAGED, "no packetrecorder"},
    {"an unknown type", BYTES("\x94\x07\x01\xc0\xc0"), ERR_DAMAGED, "no msgpack-RPC"},
    {"an id that is a text", BYTES("\x94\x01\xa1x\xc0\xc0"), ERR_DAMAGED, "no msgpack-RPC"},
    {"the id of no call", BYTES("\x94\x01\x07\xc0\x01"), ERR_DAMAGED, "nobody made"},
    {"id 0", BYTES("\x94\x01\x00\xc0\x01"), ERR_DAMAGED, "nobody made"},
    {"a call", BYTES("\x94\x00\x01\xa1x\x90"), ERR_DAMAGED, "makes calls itself"},
    {"a farewell that is none", BYTES("\x93\x02\xabrpc.closing\x90"), -ECONNRESET, "ended"},
    {"a farewell that steers",
     BYTES("\x93\x02\xabrpc.closing\x91\x81\xa7message\xa7"
           "a\x1b[31mb"),
     -ECONNRESET, "a?[31mb"},
    {"an error that steers",
     BYTES("\x94\x01\x01\x81\xa7message\xa4"
           "a\x1b[m\xc0"),
     ERR_IO, "a?[m"},
    {"an error that is a number", BYTES("\x94\x01\x01\x07\xc0"), ERR_IO, "does not say why"},
};

static void run_bytes(struct rpc_peer *peer, void *arg)
{
    const struct bytes *bytes = arg;
    struct rpc_message m;

    if (rpc_peer_next(peer, &m)) {
        rpc_peer_put(peer, bytes->bytes, bytes->n);
    }
}

static const struct rpc_span no_args = {NULL, 0};

static void what_is_no_answer_ends_the_call_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(answers); i++) {
        struct bytes bytes = answers[i / 2];
        struct rpc_script script = {.run = run_bytes, .arg = &bytes, .is_unix = i % 2 == 0};
        struct rpc_span result;
        struct err err = {0};
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        int rc = rpc_client_call(client, "x", no_args, in_ms(9000), &result, &err);
        /* What the node itself said is told in its words; the rest names the endpoint. */
        const char *from = script.is_unix ? script.path : "127.0.0.1:";
        if (rc != bytes.rc || strstr(err.text, bytes.words) == NULL ||
            (rc != ERR_IO && strstr(err.text, from) == NULL)) {
            fail_msg("%s: %d '%s'", bytes.what, rc, err.text);
        }
        rpc_client_close(client);
        rpc_script_stop(&script);
    }
}

/* The largest number of bytes that may be announced, and is. */
static void run_just_fits(struct rpc_peer *peer, void *arg)
{
    static const char head[] = "\x94\x01\x01\xc0\xc6\x00\x7f\xff\xf7";
    struct rpc_message m;

    (void)arg;
    if (rpc_peer_next(peer, &m)) {
        uint8_t *bytes = x_alloc(0x7ffff7);
        rpc_peer_put(peer, head, sizeof head - 1);
        rpc_peer_put(peer, bytes, 0x7ffff7);
        mem_free(bytes);
        (void)rpc_peer_next(peer, &m);
    }
}

static void the_largest_message_is_taken(void **state)
{
    struct rpc_script script = {.run = run_just_fits, .is_unix = true};
    struct rpc_span result;

    (void)state;
    rpc_script_start(&script);
    struct rpc_client *client = rpc_script_dial_well(&script);
    assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(9000), &result, NULL), 0);
    assert_int_equal(result.n, 0x7ffff7 + 5);
    rpc_client_close(client);
    rpc_script_stop(&script);
}

static atomic_size_t flooded; /* bytes that the node got rid of */

/* Notifications as long as somebody reads. */
static void run_flood(struct rpc_peer *peer, void *arg)
{
    const size_t *size = arg;
    struct buf value = {0};
    struct buf message = {0};
    struct rpc_message m;
    uint8_t *bytes = x_alloc(*size);

    (void)rpc_peer_next(peer, &m);
    rpc_put_bin(&value, bytes, *size);
    rpc_put_notification(&message, "events.event", (struct rpc_span){value.data, value.len});
    while (!peer->wire->gone) {
        rpc_peer_put(peer, message.data, message.len);
        atomic_fetch_add(&flooded, message.len);
    }
    buf_deinit(&value);
    buf_deinit(&message);
    mem_free(bytes);
}

static void events_that_nobody_asked_for_are_kept_up_to_a_limit(void **state)
{
    static size_t sizes[] = {1, 1024 * 1024};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct rpc_script script = {.run = run_flood, .arg = &sizes[i / 2], .is_unix = i % 2 == 0};
        struct rpc_span result;
        struct err err;
        atomic_store(&flooded, 0);
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(20000), &result, &err),
                         ERR_LIMIT);
        assert_non_null(strstr(err.text, "more than is asked for"));
        assert_true(rpc_client_is_broken(client));
        rpc_client_close(client);
        rpc_script_stop(&script);
        /* What is kept, one that is not, and what the kernel has room for. */
        assert_true(atomic_load(&flooded) <= RPC_CLIENT_KEPT_MAX_BYTES + 16 * 1024 * 1024);
    }
}

/* Answers to a call that was cancelled, without end: none of them is for anybody, and none of them
 * lets the client wait. */
static void run_stale_flood(struct rpc_peer *peer, void *arg)
{
    struct buf message = {0};
    struct rpc_message m;

    (void)arg;
    (void)rpc_peer_next(peer, &m);
    for (int i = 0; i < 1000; i++) {
        rpc_put_response(&message, 1, (struct rpc_span){NULL, 0});
    }
    while (!peer->wire->gone) {
        rpc_peer_put(peer, message.data, message.len);
    }
    buf_deinit(&message);
}

static void a_flood_that_is_for_nobody_ends_at_the_deadline(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rpc_script script = {.run = run_stale_flood, .is_unix = i == 0};
        struct rpc_span result;
        struct err err;
        uint64_t before = clock_monotonic_ns();
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(9000), &result, &err), 0);
        assert_int_equal(rpc_client_call(client, "y", no_args, in_ms(100), &result, &err),
                         -ETIMEDOUT);
        assert_true(clock_monotonic_ns() - before < 30000 * MS);
        rpc_client_close(client);
        rpc_script_stop(&script);
    }
}

/* A byte now and then: each is progress, none is an answer. */
static void run_drip(struct rpc_peer *peer, void *arg)
{
    const struct timespec pause = {.tv_nsec = 2 * (long)MS};
    struct rpc_message m;

    (void)arg;
    (void)rpc_peer_next(peer, &m);
    rpc_peer_put(peer, "\x94\x01\x01\xc0\xdb\x00\x10\x00\x00", 9);
    while (!peer->wire->gone) {
        rpc_peer_put(peer, "x", 1);
        nanosleep(&pause, NULL);
    }
}

static void run_never(struct rpc_peer *peer, void *arg)
{
    (void)arg;
    while (rpc_peer_more(peer)) {
    }
}

static void who_answers_too_slowly_or_never_is_given_up_in_time(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct rpc_script script = {.run = i < 2 ? run_drip : run_never, .is_unix = i % 2 == 0};
        struct rpc_span result;
        struct err err;
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        uint64_t before = clock_monotonic_ns();
        assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(60), &result, &err),
                         -ETIMEDOUT);
        assert_true(clock_monotonic_ns() - before < 30000 * MS);
        assert_non_null(strstr(err.text, "in time"));
        rpc_client_close(client);
        rpc_script_stop(&script);
    }
}

/* Reads nothing at all until the client is gone. */
static void serve_deaf(struct wire_peer *peer, void *arg)
{
    struct pollfd fd = {.fd = peer->fd, .events = POLLRDHUP};

    (void)arg;
    (void)poll(&fd, 1, 20000);
}

static void who_does_not_read_is_given_up_in_time(void **state)
{
    struct rpc_script script = {.is_unix = true};
    const size_t n = RPC_REQUEST_MAX - 64;
    uint8_t *args = x_alloc(n);
    struct rpc_client *client = NULL;
    uint32_t id;
    struct err err;
    int rc = 0;

    (void)state;
    memset(args, 0xc0, n); /* no msgpack map, but nobody looks */
    script.path = in_place("deaf.sock");
    wire_server_start_unix(&script.server, script.path, serve_deaf, NULL);
    assert_int_equal(rpc_script_dial(&script, in_ms(9000), &client, &err), 0);
    for (int i = 0; i < 60 && rc == 0; i++) {
        rc = rpc_client_send(client, "x", (struct rpc_span){args, n}, in_ms(100), &id, &err);
    }
    assert_int_equal(rc, -ETIMEDOUT);
    assert_non_null(strstr(err.text, "did not read in time"));
    rpc_client_close(client);
    rpc_script_stop(&script);
    mem_free(args);
}

/* A socket whose queue is full of others, and that nobody accepts from. */
static void who_does_not_accept_is_given_up_in_time(void **state)
{
    struct rpc_endpoint endpoint = {.is_unix = true};
    const struct rpc_client_opts opts = {.endpoint = &endpoint};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct rpc_client *client = NULL;
    int others[16];
    size_t n = 0;
    char *path = in_place("full.sock");
    struct err err;

    (void)state;
    snprintf(endpoint.path, sizeof endpoint.path, "%s", path);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    int rc = 0;
    while (rc == 0 && n < ARRAY_LEN(others)) {
        others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        rc = connect(others[n++], (struct sockaddr *)&at, sizeof at);
    }
    assert_int_equal(rc, -1);
    uint64_t before = clock_monotonic_ns();
    assert_int_equal(rpc_client_open(&opts, in_ms(60), &client, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, path));
    assert_true(clock_monotonic_ns() - before < 30000 * MS);
    while (n > 0) {
        close(others[--n]);
    }
    close(fd);
    mem_free(path);
}

/* ---- before the channel is open ---- */

static void serve_bytes(struct wire_peer *peer, void *arg)
{
    const struct bytes *bytes = arg;

    (void)wire_more(peer);
    wire_put_raw(peer, bytes->bytes, bytes->n);
    while (bytes->rc == -ETIMEDOUT && wire_more(peer)) {
    }
}

static void who_is_no_packetrecorder_is_told(void **state)
{
    static const struct bytes cases[] = {
        {"an end", BYTES(""), ERR_DAMAGED, "no packetrecorder"},
        {"HTTP", BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), ERR_DAMAGED, "no packetrecorder"},
        {"SSH", BYTES("SSH-2.0-OpenSSH_9.2\r\n"), ERR_DAMAGED, "no packetrecorder"},
        {"an unknown refusal", BYTES("\x63"), ERR_DAMAGED, "no packetrecorder"},
        {"half an answer", BYTES("\0abc"), ERR_DAMAGED, "cut in the handshake"},
        {"a wrong answer", BYTES("\0................................................"), ERR_DAMAGED,
         "altered"},
        {"silence", BYTES(""), -ETIMEDOUT, "is it the port of the node's --rpc-addr?"},
        {"half, then silence", BYTES("\0abc"), -ETIMEDOUT, "no answer in time"},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes bytes = cases[i];
        struct rpc_script script = {.is_unix = false};
        struct rpc_client *client = NULL;
        api_key_make(&script.as_kept, script.key);
        wire_server_start(&script.server, serve_bytes, &bytes, NULL);
        uint64_t deadline = in_ms(bytes.rc == -ETIMEDOUT ? 60 : 9000);
        int rc = rpc_script_dial(&script, deadline, &client, &err);
        if (rc != bytes.rc || strstr(err.text, bytes.words) == NULL ||
            strstr(err.text, "127.0.0.1:") == NULL || client != NULL) {
            fail_msg("%s: %d '%s'", bytes.what, rc, err.text);
        }
        rpc_script_stop(&script);
    }
}

/* A good handshake, then bytes that are no frames. */
static void run_raw(struct rpc_peer *peer, void *arg)
{
    const struct bytes *bytes = arg;
    struct rpc_message m;

    (void)rpc_peer_next(peer, &m);
    wire_put_raw(peer->wire, bytes->bytes, bytes->n);
}

static void frames_that_were_tampered_with_end_the_call(void **state)
{
    static const struct bytes cases[] = {
        {"empty", BYTES("\0\x10................"), ERR_DAMAGED, "holds nothing"},
        {"forged", BYTES("\0\x12.................."), ERR_DAMAGED, "altered"},
        {"cut", BYTES("\xff\xff...."), ERR_DAMAGED, "cut inside a frame"},
        {"an end", BYTES(""), -ECONNRESET, "ended the connection"},
    };
    struct rpc_span result;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes bytes = cases[i];
        struct rpc_script script = {.run = run_raw, .arg = &bytes};
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        int rc = rpc_client_call(client, "x", no_args, in_ms(9000), &result, &err);
        if (rc != bytes.rc || strstr(err.text, bytes.words) == NULL) {
            fail_msg("%s: %d '%s'", bytes.what, rc, err.text);
        }
        rpc_client_close(client);
        rpc_script_stop(&script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_answer_ends_the_call_with_its_reason),
        cmocka_unit_test(the_largest_message_is_taken),
        cmocka_unit_test(events_that_nobody_asked_for_are_kept_up_to_a_limit),
        cmocka_unit_test(a_flood_that_is_for_nobody_ends_at_the_deadline),
        cmocka_unit_test(who_answers_too_slowly_or_never_is_given_up_in_time),
        cmocka_unit_test(who_does_not_read_is_given_up_in_time),
        cmocka_unit_test(who_does_not_accept_is_given_up_in_time),
        cmocka_unit_test(who_is_no_packetrecorder_is_told),
        cmocka_unit_test(frames_that_were_tampered_with_end_the_call),
    };

    return cmocka_run_group_tests(tests, make_place, drop_place);
}
