/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/glue/calls_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/rpc_server.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

static const char *nowhere[] = {RPC_NONE};
static bool is_part_closed;

struct node *calls_node(struct calls *calls, unsigned i)
{
    return &calls->swarm.nodes[i].node;
}

uint64_t calls_sid(struct calls *calls, unsigned i)
{
    return gossip_self(calls_node(calls, i)->gossip);
}

static void start_one(struct calls *calls, unsigned i)
{
    struct swarm_node *n = &calls->swarm.nodes[i];
    struct err err = {0};

    swarm_prepare(&calls->swarm, i, "127.0.0.1:0", "a", i == 0 ? -1 : 0);
    n->options.rpc_addrs = (struct option_list){.items = nowhere, .n = 1};
    n->options.rpc_socket = i == 0 ? calls->socket : RPC_NONE;
    assert_int_equal(rpc_server_bind(&n->options, &err), 0);
    swarm_start(&calls->swarm, i);
    work_open(&n->node);
    assert_int_equal(rpc_server_open(&n->node, &err), 0);
    assert_int_equal(peers_open(&n->node, &err), 0);
    calls->runs[i] = true;
}

void calls_start(struct calls *calls, unsigned n)
{
    memset(calls, 0, sizeof *calls);
    swarm_init(&calls->swarm);
    snprintf(calls->socket, sizeof calls->socket, "%s/s", calls->swarm.folder);
    for (unsigned i = 0; i < n; i++) {
        start_one(calls, i);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++) {
            swarm_await(&calls->swarm, i, j, GOSSIP_ALIVE);
        }
    }
}

static void on_part_closed(struct node *node)
{
    (void)node;
    is_part_closed = true;
}

static bool part_is_closed(struct swarm *swarm, void *arg)
{
    (void)swarm;
    (void)arg;
    return is_part_closed;
}

static void close_part(struct calls *calls, unsigned i,
                       void (*close)(struct node *node, void (*closed)(struct node *node)))
{
    is_part_closed = false;
    close(calls_node(calls, i), on_part_closed);
    assert_true(swarm_pump(&calls->swarm, part_is_closed, NULL));
}

void calls_kill(struct calls *calls, unsigned i)
{
    if (calls->runs[i]) {
        calls->runs[i] = false;
        close_part(calls, i, peers_close);
        close_part(calls, i, rpc_server_close);
        close_part(calls, i, work_close);
        swarm_stop(&calls->swarm, i, false);
    }
}

void calls_end(struct calls *calls)
{
    for (unsigned i = SWARM_NODES_MAX; i-- > 0;) {
        calls_kill(calls, i);
    }
    swarm_deinit(&calls->swarm);
}

uint64_t calls_metric(struct calls *calls, unsigned i, const char *name)
{
    struct buf out = {0};
    uint64_t value = UINT64_MAX;
    char line[96];

    peers_metrics(calls_node(calls, i), &out);
    rpc_server_metrics(calls_node(calls, i), &out);
    buf_put_u8(&out, 0);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr((const char *)out.data, line);
    if (at != NULL) {
        value = strtoull(at + strlen(line), NULL, 10);
    }
    buf_deinit(&out);
    return value;
}

/* ---- one call from node to node ---- */

void asked_answer(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct asked *asked = arg;

    asked->n++;
    asked->failed = error != NULL;
    asked->error = error != NULL ? *error : (struct rpc_error){0};
    buf_reset(&asked->result);
    buf_append(&asked->result, result.bytes, result.n);
}

uint64_t asked_begin(struct calls *calls, struct asked *asked, unsigned from, unsigned to,
                     const char *method, uint64_t deadline_ms)
{
    struct peers_call call = {
        .sid = calls_sid(calls, to),
        .method = method,
        .rights = api_role_rights(ROLE_VIEW),
        .who = "the test",
        .deadline_ns =
            deadline_ms == 0 ? UINT64_MAX : clock_monotonic_ns() + deadline_ms * 1000000u,
    };

    *asked = (struct asked){0};
    return peers_call(calls_node(calls, from), &call, asked_answer, asked);
}

static bool is_answered(struct swarm *swarm, void *arg)
{
    (void)swarm;
    return ((const struct asked *)arg)->n > 0;
}

void asked_await(struct calls *calls, struct asked *asked)
{
    assert_true(swarm_pump(&calls->swarm, is_answered, asked));
    assert_int_equal(asked->n, 1);
}

void asked_free(struct asked *asked)
{
    buf_deinit(&asked->result);
}

/* ---- a client of node 0 ---- */

void caller_open(struct caller *caller, struct calls *calls)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    *caller = (struct caller){.calls = calls};
    caller->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", calls->socket);
    assert_int_equal(connect(caller->fd, (struct sockaddr *)&at, sizeof at), 0);
}

void caller_close(struct caller *caller)
{
    close(caller->fd);
    json_decref(caller->result);
    buf_deinit(&caller->in);
}

void caller_begin(struct caller *caller, const char *method, const char *options,
                  uint64_t deadline_ms)
{
    static const char *const names[] = {"node", "nodes", "select"};
    struct rpc_call_options given = {.deadline_ms = deadline_ms};
    struct rpc_span *const spans[] = {&given.node, &given.nodes, &given.select};
    struct buf packed[3] = {0};
    struct buf out = {0};
    json_t *json = options == NULL ? json_object() : json_loads(options, 0, NULL);

    assert_non_null(json);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *value = json_object_get(json, names[i]);
        if (value != NULL) {
            rpc_put_json(&packed[i], value);
            *spans[i] = (struct rpc_span){.bytes = packed[i].data, .n = packed[i].len};
        }
    }
    rpc_put_request_with(&out, ++caller->id, method, (struct rpc_span){0}, &given);
    assert_int_equal(send(caller->fd, out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        buf_deinit(&packed[i]);
    }
    buf_deinit(&out);
    json_decref(json);
}

static void take(struct caller *caller, const struct rpc_message *message)
{
    caller->error = (struct rpc_error){0};
    json_decref(caller->result);
    caller->result = NULL;
    caller->n_bytes = message->result.n;
    if (message->error.bytes != NULL) {
        assert_int_equal(rpc_decode_error(message->error, &caller->error, NULL), 0);
    } else {
        (void)rpc_to_json(message->result, RPC_VALUES_MAX, &caller->result, NULL);
    }
}

/* True: the answer came, or nothing will. */
static bool look(struct swarm *swarm, void *arg)
{
    struct caller *caller = arg;
    struct rpc_message message;
    struct rpc_scan scan = {0};
    bool is_mine = false;
    uint8_t piece[65536];
    ssize_t n;

    (void)swarm;
    while ((n = recv(caller->fd, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
        buf_append(&caller->in, piece, (size_t)n);
    }
    caller->eof = n == 0 || errno != EAGAIN;
    while (!is_mine &&
           rpc_scan(&scan, caller->in.data, caller->in.len, RPC_RESPONSE_MAX) == RPC_SCAN_WHOLE) {
        assert_int_equal(rpc_decode(caller->in.data, scan.at, &message, NULL, NULL), 0);
        if (message.kind == RPC_RESPONSE && message.id == caller->id) {
            is_mine = true;
            take(caller, &message);
        }
        buf_consume(&caller->in, scan.at);
        scan = (struct rpc_scan){0};
    }
    caller->eof = caller->eof && !is_mine;
    return is_mine || caller->eof;
}

bool caller_await(struct caller *caller)
{
    assert_true(swarm_pump(&caller->calls->swarm, look, caller));
    return !caller->eof;
}

void caller_ask(struct caller *caller, const char *method, const char *options,
                uint64_t deadline_ms)
{
    caller_begin(caller, method, options, deadline_ms);
    assert_true(caller_await(caller));
}

const struct json_t *caller_part(const struct caller *caller, const char *node, const char *which)
{
    const json_t *nodes = json_object_get(caller->result, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *one = json_array_get(nodes, i);
        if (strcmp(json_string_value(json_object_get(one, "node")), node) == 0) {
            return json_object_get(one, which);
        }
    }
    return NULL;
}
