/* SPDX-License-Identifier: Apache-2.0
 *
 * What the codecs of shared/wire cost: megabytes and messages a second for each way through them,
 * and for the blocking client over loopback, with a server in a thread that writes prepared runs of
 * frames as large as a node does. Prints a table; judges nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/ws_client.h"
#include "tests/support/certificate.h"
#include "tests/support/wire_server.h"

#define RUN_BYTES  (256u * 1024u) /* of one write */
#define ALL_BYTES  (2048ull * 1024u * 1024u)
#define READ_BYTES 65536u

struct tally {
    uint64_t bytes;
    uint64_t messages;
};

static void count(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct tally *tally = arg;

    (void)opcode;
    (void)data;
    tally->bytes += n;
    tally->messages++;
}

static void tell(const char *name, uint64_t started_ns, uint64_t bytes, uint64_t messages)
{
    double seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9;

    printf("%-44s %8.0f MB/s %10.2f M messages/s\n", name, (double)bytes / 1e6 / seconds,
           (double)messages / 1e6 / seconds);
}

/* A run of frames with messages of that size. */
static struct buf make_run(size_t message, const uint8_t *mask)
{
    struct buf run = {0};
    uint8_t *data = x_alloc(message);

    do {
        ws_put_frame(&run, WS_BINARY, data, message, mask);
    } while (run.len + message + WS_HEADER_MAX < RUN_BYTES);
    mem_free(data);
    return run;
}

static void bench_reader(const char *name, bool client, size_t message, size_t step)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct tally tally = {0};
    struct buf run = make_run(message, client ? NULL : mask);
    struct buf out = {0};
    const struct ws_reader_opts opts = {
        .client = client, .max_message = 4u << 20, .message = count, .arg = &tally};
    struct ws_reader *reader = ws_reader_new(&opts);
    uint64_t started = clock_monotonic_ns();

    while (tally.bytes < ALL_BYTES / 4) {
        for (size_t at = 0; at < run.len; at += step) {
            size_t n = step < run.len - at ? step : run.len - at;
            REQUIRE(ws_reader_feed(reader, run.data + at, n, &out, NULL) == 0);
        }
    }
    tell(name, started, tally.bytes, tally.messages);
    ws_reader_free(reader);
    buf_deinit(&run);
    buf_deinit(&out);
}

struct tls_pair {
    char place[64];
    char *cert;
    struct tls_context *server;
};

static void make_tls(struct tls_pair *pair)
{
    struct certificate c;
    uint64_t expires_ns;

    snprintf(pair->place, sizeof pair->place, "/tmp/bench_wire_XXXXXX");
    REQUIRE(mkdtemp(pair->place) != NULL);
    certificate_make(&c, "IP:127.0.0.1", -86400, 86400);
    pair->cert = x_sprintf("%s/cert.pem", pair->place);
    char *key = x_sprintf("%s/key.pem", pair->place);
    certificate_write(pair->cert, c.cert, 0644);
    certificate_write(key, c.key, 0600);
    REQUIRE(tls_server_context_new(pair->cert, key, &pair->server, &expires_ns, NULL) == 0);
    unlink(key);
    mem_free(key);
}

static void shake(struct tls *client, struct tls *server)
{
    struct buf a = {0};
    struct buf b = {0};
    struct buf plain = {0};

    REQUIRE(tls_feed(client, NULL, 0, &plain, &a, NULL) == 0);
    while (a.len > 0 || b.len > 0) {
        REQUIRE(tls_feed(server, a.data, a.len, &plain, &b, NULL) == 0);
        buf_reset(&a);
        REQUIRE(tls_feed(client, b.data, b.len, &plain, &a, NULL) == 0);
        buf_reset(&b);
    }
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&plain);
}

static void bench_tls(const struct tls_pair *pair)
{
    struct tls_context *context = NULL;
    uint8_t *data = x_alloc(RUN_BYTES);
    struct buf cipher = {0};
    struct buf plain = {0};
    struct buf none = {0};
    uint64_t done;

    REQUIRE(tls_client_context_new(pair->cert, &context, NULL) == 0);
    struct tls *server = tls_new(pair->server, NULL);
    struct tls *client = tls_new(context, "127.0.0.1");
    shake(client, server);
    uint64_t started = clock_monotonic_ns();
    for (done = 0; done < ALL_BYTES; done += RUN_BYTES) {
        buf_reset(&cipher);
        REQUIRE(tls_write(server, data, RUN_BYTES, &cipher, NULL) == 0);
    }
    tell("TLS, writing 256 KiB", started, done, 0);
    uint64_t reading = 0;
    tls_free(server);
    tls_free(client);
    server = tls_new(pair->server, NULL);
    client = tls_new(context, "127.0.0.1");
    shake(client, server);
    for (done = 0; done < ALL_BYTES / 2; done += RUN_BYTES) {
        buf_reset(&cipher);
        buf_reset(&plain);
        REQUIRE(tls_write(server, data, RUN_BYTES, &cipher, NULL) == 0);
        uint64_t before = clock_monotonic_ns();
        REQUIRE(tls_feed(client, cipher.data, cipher.len, &plain, &none, NULL) == 0);
        reading += clock_monotonic_ns() - before;
    }
    tell("TLS, reading 256 KiB", clock_monotonic_ns() - reading, done, 0);
    tls_free(server);
    tls_free(client);
    tls_context_free(context);
    buf_deinit(&cipher);
    buf_deinit(&plain);
    buf_deinit(&none);
    mem_free(data);
}

static void serve_runs(struct wire_peer *peer, void *arg)
{
    const struct buf *run = arg;

    wire_upgrade(peer, "");
    while (!peer->gone) {
        wire_put(peer, run->data, run->len);
    }
}

static void bench_client(const char *name, size_t message, const struct tls_pair *tls)
{
    struct wire_server server;
    struct buf run = make_run(message, NULL);
    struct ws_client *client = NULL;
    struct tally tally = {0};
    struct err err = {0};
    unsigned status;

    wire_server_start(&server, serve_runs, &run, tls == NULL ? NULL : tls->server);
    const struct url_endpoint endpoint = {
        .host = "127.0.0.1", .port = server.port, .tls = tls != NULL};
    const struct ws_client_opts opts = {
        .endpoint = &endpoint, .target = "/", .ca_file = tls == NULL ? NULL : tls->cert};
    REQUIRE(ws_client_open(&opts, clock_monotonic_ns() + 5000000000ull, &client, &status, &err) ==
            0);
    uint64_t started = clock_monotonic_ns();
    while (tally.bytes < ALL_BYTES) {
        enum ws_opcode opcode;
        const uint8_t *data;
        size_t n;
        uint16_t code;
        REQUIRE(ws_client_receive(client, UINT64_MAX, &opcode, &data, &n, &code, &err) == 1);
        count(&tally, opcode, data, n);
    }
    tell(name, started, tally.bytes, tally.messages);
    ws_client_close(client);
    wire_server_stop(&server);
    buf_deinit(&run);
}

int main(void)
{
    struct tls_pair tls = {0};

    make_tls(&tls);
    bench_reader("reader, client, 100 bytes", true, 100, READ_BYTES);
    bench_reader("reader, client, 64 KiB cut (wslay)", true, 65536, 30000);
    bench_reader("reader, server, 100 bytes masked", false, 100, READ_BYTES);
    bench_reader("reader, server, 64 KiB masked, whole", false, 65536, RUN_BYTES);
    bench_reader("reader, server, 64 KiB masked, cut (wslay)", false, 65536, 30000);
    bench_tls(&tls);
    bench_client("client over loopback, 100 bytes", 100, NULL);
    bench_client("client over loopback, 64 KiB", 65536, NULL);
    bench_client("client over loopback, 256 KiB", 262144, NULL);
    bench_client("client over loopback, TLS, 100 bytes", 100, &tls);
    bench_client("client over loopback, TLS, 256 KiB", 262144, &tls);
    tls_context_free(tls.server);
    unlink(tls.cert);
    rmdir(tls.place);
    mem_free(tls.cert);
    return 0;
}
