/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/glue/node_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/auth.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "tests/support/certificate.h"

/* ---- the node ---- */

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    signal(SIGPIPE, SIG_IGN); /* as node_run does */
    snprintf(f->folder, sizeof f->folder, "/tmp/pr-glue-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->database, sizeof f->database, "%s/packets.db", f->folder);
    f->options.database = f->database;
    f->addresses[0] = "127.0.0.1:0";
    f->options.http_addrs.items = f->addresses;
    f->options.http_addrs.n = 1;
    f->node.options = &f->options;
    f->node.loop = &f->loop;
    snprintf(f->node.name, sizeof f->node.name, "box");
    assert_int_equal(uv_loop_init(&f->loop), 0);
}

void fixture_start(struct fixture *f, const struct fixture_opts *opts)
{
    struct http_server_opts server = {
        .groups = opts->groups, .n_groups = opts->n_groups, .limits = opts->limits};
    struct err err = {0};

    f->options.tls_cert = opts->tls_cert;
    f->options.tls_key = opts->tls_key;
    if (opts->allow_host != NULL) {
        f->addresses[1] = opts->allow_host;
        f->options.allow_hosts.items = &f->addresses[1];
        f->options.allow_hosts.n = 1;
    }
    if (server.limits.sweep_ms == 0) {
        server.limits.sweep_ms = 5;
    }
    work_open(&f->node);
    if (auth_open(&f->node, &err) < 0 || http_server_open(&f->node, &server, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

static bool is_closed(void *arg)
{
    return ((struct fixture *)arg)->node.http == NULL;
}

static void on_closed(struct node *node)
{
    (void)node;
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char name[512];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (entry->d_type == DT_DIR) {
            remove_folder(name);
        } else {
            unlink(name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    rmdir(path);
}

void fixture_end(struct fixture *f)
{
    while (f->clients != NULL) {
        client_close(f->clients);
    }
    http_server_close(f->node.http, on_closed);
    assert_true(fixture_pump(f, is_closed, f));
    work_close(&f->node, on_closed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_null(f->node.work);
    auth_close(&f->node);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    remove_folder(f->folder);
}

/* ---- pumping ---- */

static void on_broken(struct client *c)
{
    c->eof = true;
    c->error = errno;
}

static void feed_tls(struct client *c, const uint8_t *data, size_t n)
{
    struct buf cipher = {0};
    struct err err = {0};

    int rc = tls_feed(c->tls, data, n, &c->in, &cipher, &err);
    if (cipher.len > 0 && send(c->fd, cipher.data, cipher.len, MSG_NOSIGNAL) < 0) {
        on_broken(c);
    }
    buf_deinit(&cipher);
    if (rc != 0) {
        c->eof = true;
    }
}

static void read_client(struct client *c)
{
    uint8_t piece[65536];

    while (!c->eof && !c->deaf) {
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n == 0) {
            c->eof = true;
        } else if (n > 0 && c->tls != NULL) {
            feed_tls(c, piece, (size_t)n);
        } else if (n > 0) {
            buf_append(&c->in, piece, (size_t)n);
        } else if (errno == EAGAIN) {
            return;
        } else {
            on_broken(c);
        }
    }
}

static void turn(struct fixture *f)
{
    struct pollfd fds[8] = {{.fd = uv_backend_fd(&f->loop), .events = POLLIN}};
    unsigned n = 1;

    uv_run(&f->loop, UV_RUN_NOWAIT);
    for (struct client *c = f->clients; c != NULL; c = c->next) {
        read_client(c);
        if (!c->eof && !c->deaf && n < 8) {
            fds[n++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        }
    }
    poll(fds, n, 2);
}

bool fixture_pump(struct fixture *f, fixture_cond cond, void *arg)
{
    uint64_t until_ns = clock_monotonic_ns() + FIXTURE_PATIENCE_MS * 1000000ULL;

    while (!cond(arg)) {
        if (clock_monotonic_ns() > until_ns) {
            return false;
        }
        turn(f);
    }
    return true;
}

void fixture_turns(struct fixture *f, unsigned n)
{
    while (n-- > 0) {
        turn(f);
    }
}

/* ---- clients ---- */

struct client *client_open(struct fixture *f, int rcvbuf)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(f->node.http, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client *c = x_alloc(sizeof *c);

    c->fixture = f;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (rcvbuf > 0) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    }
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    c->next = f->clients;
    f->clients = c;
    return c;
}

static bool is_ready_or_over(void *arg)
{
    struct client *c = arg;

    return c->eof || tls_is_ready(c->tls);
}

struct client *client_open_tls(struct fixture *f, const char *ca_file)
{
    struct err err = {0};
    struct client *c = client_open(f, 0);

    if (tls_client_context_new(ca_file, &c->context, &err) < 0) {
        fail_msg("%s", err.text);
    }
    c->tls = tls_new(c->context, "127.0.0.1");
    feed_tls(c, NULL, 0);
    assert_true(fixture_pump(f, is_ready_or_over, c));
    return c;
}

void client_close(struct client *c)
{
    struct client **at = &c->fixture->clients;

    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    close(c->fd);
    tls_free(c->tls);
    tls_context_free(c->context);
    buf_deinit(&c->in);
    mem_free(c);
}

struct sending {
    struct client *c;
    const uint8_t *data;
    size_t n;
};

static bool send_some(void *arg)
{
    struct sending *s = arg;

    while (s->n > 0) {
        ssize_t n = send(s->c->fd, s->data, s->n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            return false;
        }
        if (n < 0) {
            return true; /* the node left; what it said is still read */
        }
        s->data += n;
        s->n -= (size_t)n;
    }
    return true;
}

void client_send(struct client *c, const void *data, size_t n)
{
    struct sending s = {c, data, n};
    struct buf cipher = {0};

    if (c->tls != NULL) {
        struct err err;
        assert_int_equal(tls_write(c->tls, data, n, &cipher, &err), 0);
        s = (struct sending){c, cipher.data, cipher.len};
    }
    fixture_pump(c->fixture, send_some, &s);
    buf_deinit(&cipher);
}

void client_print(struct client *c, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    client_send(c, text.data, text.len);
    buf_deinit(&text);
}

struct awaited {
    struct client *c;
    const char *text;
    size_t n;
};

bool client_has(const struct client *c, const char *text)
{
    return c->in.len > 0 && memmem(c->in.data, c->in.len, text, strlen(text)) != NULL;
}

size_t client_count(const struct client *c, const char *text)
{
    size_t n = 0;
    const uint8_t *at = c->in.data;
    const uint8_t *end = at + c->in.len;

    while (at != NULL && at < end &&
           (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        at += strlen(text);
        n++;
    }
    return n;
}

static bool has_come(void *arg)
{
    struct awaited *a = arg;

    if (a->text != NULL && client_has(a->c, a->text)) {
        return true;
    }
    return a->c->eof || (a->text == NULL && a->c->in.len >= a->n);
}

void client_await(struct client *c, const char *text)
{
    struct awaited a = {.c = c, .text = text};

    fixture_pump(c->fixture, has_come, &a);
    if (!client_has(c, text)) {
        fail_msg("waited for '%s', got%s: %.*s", text, c->eof ? " the end after" : "",
                 (int)c->in.len, (const char *)c->in.data);
    }
}

void client_ask(struct client *c, const char *line, const char *text)
{
    client_forget(c);
    client_print(c, "%s HTTP/1.1\r\n" HOST "\r\n", line);
    client_await(c, text);
}

void client_await_bytes(struct client *c, size_t n)
{
    struct awaited a = {.c = c, .n = n};

    fixture_pump(c->fixture, has_come, &a);
    assert_true(c->in.len >= n);
}

static bool has_ended(void *arg)
{
    return ((struct client *)arg)->eof;
}

void client_await_end(struct client *c)
{
    assert_true(fixture_pump(c->fixture, has_ended, c));
}

void client_forget(struct client *c)
{
    buf_reset(&c->in);
}

void client_upgrade(struct client *c, const char *path, const char *extra)
{
    client_print(c,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                 path, extra);
    client_await(c, "\r\n\r\n");
    assert_true(client_has(c, "HTTP/1.1 101 "));
    assert_true(client_has(c, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    const uint8_t *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
    buf_consume(&c->in, (size_t)(end - c->in.data) + 4);
}

void client_send_frame(struct client *c, enum ws_opcode opcode, const void *data, size_t n)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct buf frame = {0};

    ws_put_frame(&frame, opcode, data, n, mask);
    client_send(c, frame.data, frame.len);
    buf_deinit(&frame);
}

/* ---- keys and certificates ---- */

struct key_change {
    struct api_key key;
    enum api_role revoked;
};

static int add_key(struct api_keys *keys, void *arg, struct err *err)
{
    return api_keys_add(keys, &((struct key_change *)arg)->key, err);
}

static int remove_keys(struct api_keys *keys, void *arg, struct err *err)
{
    (void)err;
    for (size_t i = keys->n; i-- > 0;) {
        if (keys->items[i].role == ((struct key_change *)arg)->revoked) {
            api_keys_remove(keys, i);
        }
    }
    return 0;
}

static void change_keys(struct fixture *f,
                        int (*change)(struct api_keys *keys, void *arg, struct err *err),
                        struct key_change *arg)
{
    struct err err = {0};
    char *path = api_keys_path(f->database);

    if (api_keys_change(path, change, arg, &err) < 0) {
        fail_msg("%s", err.text);
    }
    mem_free(path);
}

static void make_key(struct fixture *f, enum api_role role, uint64_t expires_ns,
                     char text[API_KEY_TEXT_MAX])
{
    struct key_change change = {
        .key = {.role = role, .created_ns = clock_wall_ns(), .expires_ns = expires_ns}};

    api_key_make(&change.key, text);
    change_keys(f, add_key, &change);
}

void fixture_make_keys(struct fixture *f, char texts[API_ROLES][API_KEY_TEXT_MAX])
{
    for (int role = 0; role < API_ROLES; role++) {
        make_key(f, (enum api_role)role, API_KEY_NEVER, texts[role]);
    }
}

void fixture_make_key(struct fixture *f, uint64_t expires_ns, char text[API_KEY_TEXT_MAX])
{
    make_key(f, ROLE_VIEW, expires_ns, text);
}

void fixture_revoke(struct fixture *f, enum api_role role)
{
    struct key_change change = {.revoked = role};

    change_keys(f, remove_keys, &change);
}

void fixture_make_certificate(struct fixture *f, int days, char cert[96], char key[96])
{
    struct certificate made;

    certificate_make(&made, "IP:127.0.0.1,DNS:localhost", -86400L * 3, 86400L * days);
    snprintf(cert, 96, "%s/cert.pem", f->folder);
    snprintf(key, 96, "%s/key.pem", f->folder);
    certificate_write(cert, made.cert, 0644);
    certificate_write(key, made.key, 0600);
}
