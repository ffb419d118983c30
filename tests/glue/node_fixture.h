/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's HTTP server on a real loop with routes of the tests, on loopback and port 0, and plain
 * clients beside it in the same thread. Nobody sleeps: pump() runs the loop and reads the clients
 * until something is true, at most FIXTURE_PATIENCE_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "node/http_server.h"
#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/wire/api_key.h"
#include "shared/wire/tls.h"
#include "shared/wire/ws.h"

#define FIXTURE_PATIENCE_MS 10000

struct fixture {
    uv_loop_t loop;
    struct node node;
    struct node_options options;
    char folder[64];
    char database[96];
    const char *addresses[2];
    struct client *clients;
};

struct fixture_opts {
    struct http_limits limits;
    const struct route_group *const *groups;
    size_t n_groups;
    const char *tls_cert;
    const char *tls_key;
    const char *allow_host;
};

/* Makes the folder; keys can be written then, before fixture_start. */
void fixture_init(struct fixture *f);
void fixture_start(struct fixture *f, const struct fixture_opts *opts);
/* Closes all; fails when the loop still holds something. */
void fixture_end(struct fixture *f);

typedef bool (*fixture_cond)(void *arg);
/* Runs the loop and reads all clients until cond(arg); false after the patience. */
bool fixture_pump(struct fixture *f, fixture_cond cond, void *arg);
/* A few turns of the loop, for what must not happen. */
void fixture_turns(struct fixture *f, unsigned n);

struct client {
    struct client *next;
    struct fixture *fixture;
    int fd;
    struct tls *tls; /* NULL = plain */
    struct tls_context *context;
    struct buf in; /* what came, decrypted */
    bool eof;      /* the end, or a reset */
    bool deaf;     /* does not read */
    int error;     /* errno of a reset */
};

/* A line of every request head. */
#define HOST "Host: 127.0.0.1\r\n"

/* Freed by client_close, or with the fixture. Small receive buffers where rcvbuf > 0. */
struct client *client_open(struct fixture *f, int rcvbuf);
struct client *client_open_tls(struct fixture *f, const char *ca_file);
void client_close(struct client *c);
void client_send(struct client *c, const void *data, size_t n);
void client_print(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Until `text` came, or `n` bytes, or the end. Fails the test when it does not come. */
void client_await(struct client *c, const char *text);
void client_await_bytes(struct client *c, size_t n);
void client_await_end(struct client *c);
/* Forgets what came, sends a request without content ("GET /hello") and awaits text of the answer.
 */
void client_ask(struct client *c, const char *line, const char *text);
bool client_has(const struct client *c, const char *text);
size_t client_count(const struct client *c, const char *text);
void client_forget(struct client *c); /* what came so far */

/* Sends an upgrade and awaits 101; what came behind the head stays in c->in. */
void client_upgrade(struct client *c, const char *path, const char *extra);
void client_send_frame(struct client *c, enum ws_opcode opcode, const void *data, size_t n);

/* Writes the node's API keys, one of each role; texts[role]. Before fixture_start, or later. */
void fixture_make_keys(struct fixture *f, char texts[API_ROLES][API_KEY_TEXT_MAX]);
/* One more, of role view, that ends then. */
void fixture_make_key(struct fixture *f, uint64_t expires_ns, char text[API_KEY_TEXT_MAX]);
/* Takes the keys of that role out of the file. */
void fixture_revoke(struct fixture *f, enum api_role role);
/* Certificate and key for 127.0.0.1 in the folder; good for that many days. */
void fixture_make_certificate(struct fixture *f, int days, char cert[96], char key[96]);
