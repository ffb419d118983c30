/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc_pull ENDPOINT KEY-FILE|- SESSION PIECE-BYTES [NODE…]: pulls a session with session.read, as a
 * client that merges would: one connection, of each node one piece at a time is asked for. NODEs
 * are asked through the node at ENDPOINT; without any it is pulled from there itself. Bytes are
 * checked and thrown away. Prints bytes=N seconds=N mb_per_s=N.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"
#include "shared/wire/rpc_client.h"

#define NODES_MAX  32
#define CURSOR_MAX 1024

struct pull {
    const char *node; /* NULL: who is asked */
    uint32_t id;      /* of the call under way; 0: done */
    char cursor[CURSOR_MAX + 1];
};

static struct rpc_client *client;
static const char *session;
static uint64_t piece_bytes;
static uint64_t n_bytes;

static void die(const char *what)
{
    fprintf(stderr, "rpc_pull: %s\n", what);
    exit(1);
}

static void ask(struct pull *pull)
{
    struct buf args = {0};
    struct buf node = {0};
    struct rpc_call_options options = {0};
    struct err err = {0};
    bool is_first = pull->cursor[0] == '\0';

    rpc_put_map(&args, is_first ? 2 : 3);
    rpc_put_text(&args, "session_id");
    rpc_put_text(&args, session);
    rpc_put_text(&args, "max_bytes");
    rpc_put_u64(&args, piece_bytes);
    if (!is_first) {
        rpc_put_text(&args, "cursor");
        rpc_put_text(&args, pull->cursor);
    }
    if (pull->node != NULL) {
        rpc_put_text(&node, pull->node);
        options.node = (struct rpc_span){.bytes = node.data, .n = node.len};
    }
    if (rpc_client_send_with(client, "session.read",
                             (struct rpc_span){.bytes = args.data, .n = args.len}, &options,
                             UINT64_MAX, &pull->id, &err) < 0) {
        die(err.text);
    }
    buf_deinit(&args);
    buf_deinit(&node);
}

/* Whether there is a next piece. */
static bool take(struct pull *pull, struct rpc_span piece)
{
    struct unpack u = unpack_from(piece.bytes, piece.n);
    uint32_t n_members = unpack_map(&u, 64);
    const uint8_t *data = NULL;
    size_t n = 0;
    uint64_t sum = 0;
    bool more = false;

    for (uint32_t i = 0; i < n_members && !unpack_failed(&u); i++) {
        char name[33];
        unpack_string(&u, name, sizeof name - 1);
        if (strcmp(name, "data") == 0) {
            data = unpack_bin(&u, RPC_READ_MAX, &n);
        } else if (strcmp(name, "checksum") == 0) {
            sum = unpack_u64(&u);
        } else if (strcmp(name, "next") == 0 && !unpack_is_nil(&u)) {
            unpack_string(&u, pull->cursor, CURSOR_MAX);
            more = true;
        } else if (strcmp(name, "next") != 0) {
            unpack_skip(&u, 1);
        }
    }
    if (unpack_failed(&u) || data == NULL || crc32c(0, data, n) != sum) {
        die("a damaged piece");
    }
    n_bytes += n;
    return more;
}

static void pull_all(struct pull *pulls, size_t n)
{
    struct rpc_message message;
    struct rpc_span piece;
    struct err err = {0};
    size_t n_left = n;

    for (size_t i = 0; i < n; i++) {
        ask(&pulls[i]);
    }
    while (n_left > 0) {
        if (rpc_client_receive(client, UINT64_MAX, &message, &err) < 0 ||
            rpc_client_answer(client, &message, &piece, &err) < 0) {
            die(err.text);
        }
        for (size_t i = 0; i < n; i++) {
            if (pulls[i].id != message.id) {
                continue;
            }
            pulls[i].id = 0;
            if (take(&pulls[i], piece)) {
                ask(&pulls[i]);
            } else {
                n_left--;
            }
            break;
        }
    }
}

static void connect_to(const char *where, const char *key_file)
{
    struct rpc_endpoint endpoint = {0};
    struct err err = {0};
    char key[256] = "";

    if (rpc_endpoint_parse(where, &endpoint, &err) < 0) {
        die(err.text);
    }
    if (!endpoint.is_unix) {
        FILE *file = fopen(key_file, "re");
        if (file == NULL || fgets(key, sizeof key, file) == NULL) {
            die("no key");
        }
        key[strcspn(key, "\n")] = '\0';
        fclose(file);
    }
    const struct rpc_client_opts opts = {.endpoint = &endpoint,
                                         .api_key = endpoint.is_unix ? NULL : key};
    if (rpc_client_open(&opts, clock_monotonic_ns() + 10000000000ULL, &client, &err) < 0) {
        die(err.text);
    }
}

int main(int argc, char **argv)
{
    struct pull pulls[NODES_MAX] = {0};
    size_t n = argc > 5 ? (size_t)argc - 5 : 1;

    if (argc < 5 || n > NODES_MAX) {
        fprintf(stderr, "usage: rpc_pull ENDPOINT KEY-FILE|- SESSION PIECE-BYTES [NODE…]\n");
        return 2;
    }
    session = argv[3];
    piece_bytes = strtoull(argv[4], NULL, 10);
    for (size_t i = 0; argc > 5 && i < n; i++) {
        pulls[i].node = argv[5 + i];
    }
    connect_to(argv[1], argv[2]);
    uint64_t began_ns = clock_monotonic_ns();
    pull_all(pulls, n);
    double seconds = (double)(clock_monotonic_ns() - began_ns) / 1e9;
    printf("bytes=%llu seconds=%.3f mb_per_s=%.1f\n", (unsigned long long)n_bytes, seconds,
           (double)n_bytes / seconds / 1e6);
    rpc_client_close(client);
    return 0;
}
