/* SPDX-License-Identifier: Apache-2.0
 *
 * What the secure channel costs on one core: megabytes a second sealed and read, for frames as
 * large as a pull makes them and as small as calls are; handshakes a second of both ends together,
 * and of a server alone that is asked by strangers; and the blocking client over loopback, with a
 * server in a thread that seals 4 MiB answers, as session.read gives them. Prints a table; judges
 * nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "tests/support/channel_pair.h"
#include "tests/support/test_place.h"

#include "tests/support/rpc_peer.h"

#define ALL_BYTES  (2048ull * 1024u * 1024u)
#define READ_BYTES (256u * 1024u) /* of one read */
#define ANSWER     (4u * 1024u * 1024u)
#define SHAKES     3000u

static uint64_t cpu_ns(clockid_t of)
{
    struct timespec t;

    REQUIRE(clock_gettime(of, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mine_ns(void)
{
    return cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void tell(const char *name, uint64_t ns, uint64_t bytes)
{
    printf("%-58s %8.0f MB/s\n", name, (double)bytes / 1e6 / ((double)ns / 1e9));
}

static void tell_rate(const char *name, uint64_t ns, uint64_t n)
{
    printf("%-58s %8.0f a second\n", name, (double)n / ((double)ns / 1e9));
}

/* Bytes that were sealed are read in steps as the kernel gives them. */
static void read_steps(struct channel *channel, const struct buf *sealed, struct buf *out)
{
    for (size_t at = 0; at < sealed->len; at += READ_BYTES) {
        size_t n = sealed->len - at < READ_BYTES ? sealed->len - at : READ_BYTES;
        struct bytes_reader in = bytes_reader(sealed->data + at, n);
        struct channel_data data;
        int rc = CHANNEL_DATA;
        while (rc > CHANNEL_MORE) {
            rc = channel_read(channel, &in, &data, out, NULL);
        }
        REQUIRE(rc == CHANNEL_MORE);
    }
}

static void bench_stream(const char *sealing, const char *reading, size_t message, uint64_t all)
{
    struct channel_pair p;
    struct buf sealed = {0};
    struct buf out = {0};
    uint8_t *data = x_alloc(message);
    uint64_t ns[2] = {0, 0};
    uint64_t done = 0;

    pair_open(&p, CHANNEL_API_KEY);
    while (done < all) {
        buf_reset(&sealed);
        uint64_t t0 = mine_ns();
        for (size_t n = 0; n < ANSWER; n += message) {
            channel_seal(p.server.channel, data, message, &sealed);
            done += message;
        }
        uint64_t t1 = mine_ns();
        read_steps(p.client.channel, &sealed, &out);
        ns[0] += t1 - t0;
        ns[1] += mine_ns() - t1;
    }
    tell(sealing, ns[0], done);
    tell(reading, ns[1], done);
    buf_deinit(&sealed);
    buf_deinit(&out);
    mem_free(data);
    pair_deinit(&p);
}

static void bench_handshakes(const char *name, enum channel_kind kind)
{
    struct channel_pair p;
    uint64_t started = mine_ns();

    for (unsigned i = 0; i < SHAKES; i++) {
        pair_open(&p, kind);
        pair_deinit(&p);
    }
    tell_rate(name, mine_ns() - started, SHAKES);
}

/* A server alone; `wrong`: the stranger does not know the key. */
static void bench_strangers(const char *name, bool wrong)
{
    struct channel_pair p;
    uint64_t ns = 0;

    for (unsigned i = 0; i < SHAKES; i++) {
        pair_init(&p, CHANNEL_API_KEY);
        p.psk[0] ^= wrong;
        uint64_t t0 = mine_ns();
        REQUIRE(end_carry(&p.client, &p.server, SIZE_MAX) != wrong);
        ns += mine_ns() - t0;
        pair_deinit(&p);
    }
    tell_rate(name, ns, SHAKES);
}

static void run_answers(struct rpc_peer *peer, void *arg)
{
    const struct buf *value = arg;
    struct rpc_message m;
    struct buf message = {0};

    while (rpc_peer_next(peer, &m)) {
        rpc_put_response(&message, m.id, (struct rpc_span){value->data, value->len});
        rpc_peer_put_buf(peer, &message);
    }
}

static void bench_client(const char *name, bool is_unix, unsigned under_way)
{
    struct buf value = {0};
    struct rpc_script script = {.run = run_answers, .arg = &value, .is_unix = is_unix};
    uint8_t *data = x_alloc(ANSWER);
    struct rpc_message message;
    uint32_t id;
    uint64_t sent = 0;
    uint64_t done = 0;

    rpc_put_bin(&value, data, ANSWER);
    mem_free(data);
    rpc_script_start(&script);
    struct rpc_client *client = rpc_script_dial_well(&script);
    uint64_t started = clock_monotonic_ns();
    uint64_t mine = mine_ns();
    uint64_t both = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (done < ALL_BYTES) {
        while (sent < ALL_BYTES && sent - done < (uint64_t)under_way * ANSWER) {
            REQUIRE(rpc_client_send(client, "session.read", (struct rpc_span){NULL, 0}, UINT64_MAX,
                                    &id, NULL) == 0);
            sent += ANSWER;
        }
        REQUIRE(rpc_client_receive(client, UINT64_MAX, &message, NULL) == 1);
        done += ANSWER;
    }
    mine = mine_ns() - mine;
    both = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - both;
    uint64_t passed = clock_monotonic_ns() - started;
    const char *const parts[] = {"its core", "the server's core", "by the clock"};
    const uint64_t ns[] = {mine, both - mine, passed};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char row[80];
        snprintf(row, sizeof row, "%s, %s", name, parts[i]);
        tell(row, ns[i], done);
    }
    rpc_client_close(client);
    rpc_script_stop(&script);
    buf_deinit(&value);
}

static void bench_cold_call(const char *name, bool is_unix)
{
    struct buf value = {0};
    struct rpc_script script = {.run = run_answers, .arg = &value, .is_unix = is_unix};
    struct rpc_span result;

    rpc_put_u64(&value, 1);
    rpc_script_start(&script);
    uint64_t started = clock_monotonic_ns();
    for (unsigned i = 0; i < 200; i++) {
        struct rpc_client *client = rpc_script_dial_well(&script);
        REQUIRE(rpc_client_call(client, "node.info", (struct rpc_span){NULL, 0}, UINT64_MAX,
                                &result, NULL) == 0);
        rpc_client_close(client);
    }
    tell_rate(name, clock_monotonic_ns() - started, 200);
    rpc_script_stop(&script);
    buf_deinit(&value);
}

int main(void)
{
    void *state = NULL;

    bench_stream("sealing, 4 MiB at a time", "reading them, 256 KiB at a time", ANSWER, ALL_BYTES);
    bench_stream("sealing, 100 bytes at a time", "reading them", 100, ALL_BYTES / 16);
    bench_handshakes("handshakes, both ends, API key", CHANNEL_API_KEY);
    bench_handshakes("handshakes, both ends, nodes", CHANNEL_CLUSTER_GOSSIP);
    bench_strangers("server: answered, replays too", false);
    bench_strangers("server: refused, a wrong key", true);
    (void)make_place(&state);
    bench_client("client, channel, one call after another", false, 1);
    bench_client("client, channel, two under way", false, 2);
    bench_client("client, UNIX socket, two under way", true, 2);
    bench_cold_call("connect and call, channel", false);
    bench_cold_call("connect and call, UNIX socket", true);
    (void)drop_place(&state);
    return 0;
}
