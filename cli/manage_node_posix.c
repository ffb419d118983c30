/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection of a manage command: which endpoint, with which key, and its calls.
 */
#include "cli/manage.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include "cli/manage_nodes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/base/unpack.h"
#include "shared/wire/api_key.h"
#include "shared/wire/rpc_client.h"

#define ENDPOINTS_MAX    32u
#define EXIT_INTERRUPTED 130                    /* by a second interrupt (contract) */
#define ONE_OF_MANY_NS   (5ULL * 1000000000ULL) /* for each endpoint, where there are several */
#define VALUES_MAX       1000000u               /* in one answer */
#define AGAIN_MS         250                    /* between two tries to connect again */
#define KEY_MAX          32u                    /* of a member of session.read's answer */
#define CURSOR_MAX       4096u

struct manage {
    struct command_context *ctx;
    uint64_t timeout_ns;
    struct rpc_endpoint endpoints[ENDPOINTS_MAX];
    size_t n_endpoints;
    bool is_from_environment; /* the endpoints */
    char *key;                /* sodium memory; NULL = none */
    char *node;               /* whom all calls are for; NULL = the node asked */
    struct rpc_client *client;
    size_t answer_bytes;
};

/* ---- interrupts ---- */

/* One manage command a process; the handler needs to find it. */
static struct rpc_client *volatile interruptible;
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t stop_fd; /* readable then: who is still connecting; 0 = none */

static void on_interrupt(int number)
{
    int saved = errno;

    (void)number;
    if (interrupted != 0) {
        _exit(EXIT_INTERRUPTED);
    }
    interrupted = 1;
    if (stop_fd > 0) {
        const uint64_t one = 1;
        (void)!write(stop_fd, &one, sizeof one);
    }
    if (interruptible != NULL) {
        rpc_client_interrupt(interruptible);
    }
    errno = saved;
}

void manage_catch_interrupts(struct manage *manage)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

    interruptible = manage->client;
    if (stop_fd <= 0) {
        stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* without one, it is waited for */
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sigaction before;
        sigaction(numbers[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
}

bool manage_was_interrupted(void)
{
    return interrupted != 0;
}

/* ---- endpoints ---- */

static int add_endpoint(struct manage *manage, const char *text, struct err *err)
{
    if (manage->n_endpoints == ENDPOINTS_MAX) {
        return err_set(err, ERR_USAGE, "more than %u endpoints", ENDPOINTS_MAX);
    }
    int rc = rpc_endpoint_parse(text, &manage->endpoints[manage->n_endpoints], err);
    manage->n_endpoints += rc == 0;
    return rc;
}

/* Several with commas. A path of a UNIX socket has none. */
static int add_endpoints(struct manage *manage, const char *text, struct err *err)
{
    char *copy = x_strdup(text);
    char *rest = copy;
    int rc = 0;

    while (rc == 0 && rest != NULL) {
        const char *one = strsep(&rest, ",");
        rc = *one == '\0' && rest != NULL ? 0 : add_endpoint(manage, one, err);
    }
    mem_free(copy);
    return rc;
}

static int find_endpoints(struct manage *manage, struct err *err)
{
    const struct option_list *typed = &manage->ctx->global.endpoints;
    const char *environment = getenv("PACKETRECORDER_ENDPOINT");
    int rc = 0;

    for (size_t i = 0; i < typed->n && rc == 0; i++) {
        rc = add_endpoints(manage, typed->items[i], err);
        rc = rc < 0 ? err_wrap(err, "--endpoint") : 0;
    }
    if (typed->n > 0) {
        return rc;
    }
    if (environment != NULL && environment[0] != '\0') {
        manage->is_from_environment = true;
        rc = add_endpoints(manage, environment, err);
        return rc < 0 ? err_wrap(err, "PACKETRECORDER_ENDPOINT") : 0;
    }
    return add_endpoint(manage, "unix:" RPC_DEFAULT_SOCKET, err);
}

/* ---- the key ---- */

/* Only where an endpoint wants one: a bad key file is no reason not to ask the socket. */
static int find_key(struct manage *manage, struct err *err)
{
    const struct manage_args *args = manage_args_of(manage->ctx);
    const char *file = manage->ctx->global.api_key_file;
    bool wanted = false;

    for (size_t i = 0; i < manage->n_endpoints; i++) {
        wanted = wanted || !manage->endpoints[i].is_unix;
    }
    if (args->api_key != NULL && file != NULL) {
        return err_set(err, ERR_USAGE, "give the key once: --api-key or --api-key-file");
    }
    if (!wanted) {
        return 0;
    }
    if (args->api_key == NULL) {
        return api_key_text(file, &manage->key, err);
    }
    size_t n = strlen(args->api_key) + 1;
    REQUIRE(sodium_init() >= 0);
    manage->key = sodium_malloc(n);
    REQUIRE(manage->key != NULL);
    memcpy(manage->key, args->api_key, n);
    return 0;
}

/* ---- opening ---- */

/* Somebody is there, and says no: the next endpoint would hide that. */
static bool was_answered(int rc)
{
    return rc == ERR_KEY || rc == ERR_DAMAGED || rc == ERR_VERSION || rc == ERR_UNSUPPORTED ||
           rc == ERR_LIMIT || rc == ERR_USAGE || rc == ERR_INTERRUPTED;
}

static int no_node(const struct manage *manage, int rc, struct err *err)
{
    const struct rpc_endpoint *endpoint = &manage->endpoints[manage->n_endpoints - 1];
    char name[RPC_ENDPOINT_TEXT_MAX];
    char why[sizeof err->text];

    snprintf(why, sizeof why, "%s", err == NULL ? "" : err->text);
    if (manage->n_endpoints > 1) {
        return err_set(err, rc, "no node answers at any of %zu endpoints; the last one: %.800s",
                       manage->n_endpoints, why);
    }
    rpc_endpoint_print(endpoint, name);
    if (endpoint->is_unix && rc == ERR_PERMISSION) {
        return err_set(err, rc,
                       "you may not open %s: it is for root and for the user and the group of the "
                       "node; or ask at HOST:PORT with an API key (--endpoint, --api-key-file)",
                       name);
    }
    if (endpoint->is_unix && (rc == ERR_NOT_FOUND || rc == -ECONNREFUSED || rc == ERR_IO)) {
        return err_set(err, rc,
                       "no node answers at %s; start one with 'packetrecorder serve', or name "
                       "another with --endpoint",
                       name);
    }
    return err_set(err, rc, "no node answers at %s: %.800s", name, why);
}

/* An endpoint that says nothing leaves time for those behind it. */
static uint64_t until_next(uint64_t deadline_ns, size_t n_left)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t share_ns = deadline_ns > now_ns ? (deadline_ns - now_ns) / n_left : 0;

    return now_ns + (share_ns < ONE_OF_MANY_NS ? share_ns : ONE_OF_MANY_NS);
}

static int connect_one(struct manage *manage, uint64_t deadline_ns, struct err *err)
{
    int rc = ERR_NOT_FOUND;

    for (size_t i = 0; i < manage->n_endpoints; i++) {
        const struct rpc_client_opts opts = {.endpoint = &manage->endpoints[i],
                                             .api_key = manage->key,
                                             .stop_fd = stop_fd > 0 ? stop_fd : 0};
        uint64_t until_ns = manage->n_endpoints == 1
                                ? deadline_ns
                                : until_next(deadline_ns, manage->n_endpoints - i);
        rc = rpc_client_open(&opts, until_ns, &manage->client, err);
        if (rc == 0 || was_answered(rc)) {
            return rc;
        }
    }
    return no_node(manage, rc, err);
}

static uint64_t deadline_of(const struct manage *manage)
{
    uint64_t now_ns = clock_monotonic_ns();

    return manage->timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + manage->timeout_ns;
}

int manage_open_for_nodes(struct command_context *ctx, struct manage **out)
{
    struct manage *manage = x_alloc(sizeof *manage);

    *manage = (struct manage){.ctx = ctx, .timeout_ns = manage_args_of(ctx)->timeout_ns};
    int rc = find_endpoints(manage, &ctx->err);
    rc = rc < 0 ? rc : find_key(manage, &ctx->err);
    if (rc == 0) {
        rc = connect_one(manage, deadline_of(manage), &ctx->err);
        if (rc < 0 && rc != ERR_KEY && manage->is_from_environment) {
            err_wrap(&ctx->err, "PACKETRECORDER_ENDPOINT (here the address of RPC; --endpoint "
                                "overrides it)");
        }
    }
    if (rc < 0) {
        manage_close(manage);
        return rc;
    }
    *out = manage;
    return 0;
}

int manage_open(struct command_context *ctx, struct manage **out)
{
    char *node = NULL;
    int rc = manage_nodes_one(manage_args_of(ctx), &node, &ctx->err);

    rc = rc < 0 ? rc : manage_open_for_nodes(ctx, out);
    if (rc < 0) {
        mem_free(node);
        return rc;
    }
    (*out)->node = node;
    return 0;
}

int manage_open_again(struct manage *manage, uint64_t deadline_ns, struct err *err)
{
    bool catches = interruptible != NULL;
    int rc;

    interruptible = NULL;
    rpc_client_close(manage->client);
    manage->client = NULL;
    for (;;) {
        if (manage_was_interrupted()) {
            return err_set(err, ERR_INTERRUPTED, "interrupted");
        }
        rc = connect_one(manage, deadline_ns, err);
        if (rc == 0 || was_answered(rc) || clock_monotonic_ns() >= deadline_ns) {
            break;
        }
        (void)poll(NULL, 0, AGAIN_MS); /* an interrupt ends it */
    }
    if (rc == 0 && catches) {
        interruptible = manage->client;
        if (manage_was_interrupted()) { /* since the last look, when nobody was told */
            return err_set(err, ERR_INTERRUPTED, "interrupted");
        }
    }
    return rc;
}

bool manage_is_broken(const struct manage *manage)
{
    return manage->client == NULL || rpc_client_is_broken(manage->client);
}

void manage_close(struct manage *manage)
{
    if (manage == NULL) {
        return;
    }
    interruptible = NULL;
    rpc_client_close(manage->client);
    sodium_free(manage->key);
    mem_free(manage->node);
    mem_free(manage);
}

/* ---- calls ---- */

/* What is sent: the parameters and, of the options, those that are there. */
struct packed_call {
    struct buf args;
    struct buf values[3];
    struct rpc_call_options options;
};

/* Takes args. */
static void pack_call(struct packed_call *call, const json_t *options, json_t *args)
{
    struct {
        const char *name;
        struct rpc_span *span;
    } all[] = {{"node", &call->options.node},
               {"nodes", &call->options.nodes},
               {"select", &call->options.select}};

    if (args != NULL) {
        rpc_put_json(&call->args, args);
        json_decref(args);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const json_t *value = json_object_get(options, all[i].name);
        if (value != NULL) {
            rpc_put_json(&call->values[i], value);
            *all[i].span = (struct rpc_span){call->values[i].data, call->values[i].len};
        }
    }
}

static void unpack_call(struct packed_call *call)
{
    if (call->args.len > 0) {
        explicit_bzero(call->args.data, call->args.len); /* a key may be in it */
    }
    buf_deinit(&call->args);
    for (size_t i = 0; i < ARRAY_LEN(call->values); i++) {
        buf_deinit(&call->values[i]);
    }
}

static json_t *options_for(const char *node)
{
    return node == NULL ? NULL : json_pack("{s:o}", "node", to_json_text(node));
}

/* Takes args. */
static int call_with(struct manage *manage, const json_t *options, const char *method, json_t *args,
                     struct rpc_span *result, struct err *err)
{
    struct packed_call packed = {0};

    pack_call(&packed, options, args);
    int rc = rpc_client_call_with(manage->client, method,
                                  (struct rpc_span){packed.args.data, packed.args.len},
                                  &packed.options, deadline_of(manage), result, err);
    unpack_call(&packed);
    manage->answer_bytes = rc < 0 ? 0 : result->n;
    return rc;
}

static int call_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   struct rpc_span *result, struct err *err)
{
    json_t *options = options_for(node);
    int rc = call_with(manage, options, method, args, result, err);

    json_decref(options);
    return rc;
}

int manage_send_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   uint64_t deadline_ns, uint32_t *id, struct err *err)
{
    struct packed_call packed = {0};
    json_t *options = options_for(node);

    pack_call(&packed, options, args);
    int rc = rpc_client_send_with(manage->client, method,
                                  (struct rpc_span){packed.args.data, packed.args.len},
                                  &packed.options, deadline_ns, id, err);
    unpack_call(&packed);
    json_decref(options);
    return rc;
}

struct rpc_client *manage_client(struct manage *manage)
{
    return manage->client;
}

static int to_json(const char *method, struct rpc_span value, json_t **out, struct err *err)
{
    if (value.bytes == NULL) {
        *out = json_null();
        return 0;
    }
    int rc = rpc_to_json(value, VALUES_MAX, out, err);
    if (rc == ERR_USAGE) {
        return err_set(err, ERR_DAMAGED, "the node answered %s with what is no JSON", method);
    }
    return rc < 0 ? err_wrap(err, "the answer to %s", method) : 0;
}

int manage_call_with(struct manage *manage, const json_t *options, const char *method, json_t *args,
                     json_t **result, struct err *err)
{
    struct rpc_span span = {0};
    int rc = call_with(manage, options, method, args, &span, err);

    return rc < 0 ? rc : to_json(method, span, result, err);
}

int manage_call_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   json_t **result, struct err *err)
{
    struct rpc_span span = {0};
    int rc = call_on(manage, node, method, args, &span, err);

    return rc < 0 ? rc : to_json(method, span, result, err);
}

int manage_call(struct manage *manage, const char *method, json_t *args, json_t **result,
                struct err *err)
{
    return manage_call_on(manage, manage->node, method, args, result, err);
}

size_t manage_answer_bytes(const struct manage *manage)
{
    return manage->answer_bytes;
}

/* The value behind a name, where it is one that we know. */
static void read_member(struct unpack *u, const char *name, size_t n, struct manage_chunk *out)
{
    if (n == 4 && memcmp(name, "data", n) == 0) {
        out->data = unpack_bin(u, RPC_RESPONSE_MAX, &out->n);
    } else if (n == 6 && memcmp(name, "offset", n) == 0) {
        out->offset = unpack_u64(u);
    } else if (n == 8 && memcmp(name, "checksum", n) == 0) {
        out->checksum = (uint32_t)unpack_u64_most(u, UINT32_MAX);
    } else if (n == 7 && memcmp(name, "missing", n) == 0) {
        out->missing = unpack_u64(u);
    } else if (n == 8 && memcmp(name, "left_out", n) == 0) {
        out->left_out = unpack_u64(u);
    } else if (n == 4 && memcmp(name, "next", n) == 0 && !unpack_is_nil(u)) {
        size_t length = 0;
        const char *text = unpack_str(u, CURSOR_MAX, &length);
        if (!unpack_failed(u) && out->next == NULL && memchr(text, '\0', length) == NULL) {
            out->next = x_sprintf("%.*s", (int)length, text);
        }
    } else if (n != 4 || memcmp(name, "next", n) != 0) {
        unpack_skip(u, UNPACK_DEPTH_MAX);
    }
}

int manage_read_answer(struct rpc_span span, struct manage_chunk *out, struct err *err)
{
    struct manage_chunk chunk = {.offset = UINT64_MAX};
    struct unpack u = unpack_from(span.bytes, span.bytes == NULL ? 0 : span.n);
    uint32_t n_members = unpack_map(&u, 64);
    for (uint32_t i = 0; i < n_members && !unpack_failed(&u); i++) {
        size_t n = 0;
        const char *name = unpack_str(&u, KEY_MAX, &n);
        if (!unpack_failed(&u)) {
            read_member(&u, name, n, &chunk);
        }
    }
    if (unpack_failed(&u) || chunk.offset == UINT64_MAX || (chunk.data == NULL && chunk.n > 0)) {
        mem_free(chunk.next);
        return err_set(err, ERR_DAMAGED,
                       "the node answered session.read with something that is no piece of a file; "
                       "is it a packetrecorder of another version?");
    }
    *out = chunk;
    return 0;
}

int manage_read_on(struct manage *manage, const char *node, json_t *args, struct manage_chunk *out,
                   struct err *err)
{
    struct rpc_span span = {0};
    int rc = call_on(manage, node, "session.read", args, &span, err);

    return rc < 0 ? rc : manage_read_answer(span, out, err);
}

int manage_read(struct manage *manage, json_t *args, struct manage_chunk *out, struct err *err)
{
    return manage_read_on(manage, manage->node, args, out, err);
}

int manage_next_event(struct manage *manage, json_t **event, struct err *err)
{
    struct rpc_message message;
    int rc;

    do {
        rc = rpc_client_receive(manage->client, UINT64_MAX, &message, err);
        if (rc < 0) {
            return rc;
        }
    } while (message.kind != RPC_NOTIFICATION || strcmp(message.method, RPC_EVENT) != 0);
    struct unpack params = unpack_from(message.params.bytes, message.params.n);
    if (unpack_array(&params, 1) != 1) {
        return err_set(err, ERR_DAMAGED, "the node told of an event that is none");
    }
    const struct rpc_span one = {params.in.p, unpack_left(&params)};
    return to_json("events.subscribe", one, event, err);
}
