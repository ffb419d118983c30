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

#include "cli/manage_internal_posix.h"
#include "cli/manage_nodes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"
#include "shared/wire/rpc_client.h"

#define EXIT_INTERRUPTED 130                    /* by a second interrupt (contract) */
#define ONE_OF_MANY_NS   (5ULL * 1000000000ULL) /* for each endpoint, where there are several */

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
    if (manage->n_endpoints == MANAGE_ENDPOINTS_MAX) {
        return err_set(err, ERR_USAGE, "more than %u endpoints", MANAGE_ENDPOINTS_MAX);
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

/* Somebody is there, and says no: the next endpoint would hide that. Who is full (ERR_LIMIT) is as
 * good as not there. */
static bool was_answered(int rc)
{
    return rc == ERR_KEY || rc == ERR_DAMAGED || rc == ERR_VERSION || rc == ERR_UNSUPPORTED ||
           rc == ERR_USAGE || rc == ERR_INTERRUPTED;
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

/* A socket takes connections for a node that stands still: only an answer tells. */
static int probe(struct manage *manage, uint64_t until_ns, struct err *err)
{
    struct rpc_span result = {0};
    int rc = rpc_client_call(manage->client, "capture.list", (struct rpc_span){NULL, 0}, until_ns,
                             &result, err);

    if (rc != -ETIMEDOUT && !rpc_client_is_broken(manage->client)) {
        return 0; /* whatever it says */
    }
    rpc_client_close(manage->client);
    manage->client = NULL;
    return rc;
}

static void tell_passed_over(const struct manage *manage, size_t chosen, const struct err *why)
{
    char name[RPC_ENDPOINT_TEXT_MAX];

    if (chosen > 0 && !manage->ctx->global.quiet) {
        rpc_endpoint_print(&manage->endpoints[chosen], name);
        fprintf(stderr, "asking %s: %s\n", name, why->text);
    }
}

static int open_one(struct manage *manage, size_t i, uint64_t until_ns, struct err *err)
{
    const struct rpc_client_opts opts = {.endpoint = &manage->endpoints[i],
                                         .api_key = manage->key,
                                         .stop_fd = stop_fd > 0 ? stop_fd : 0};
    int rc = rpc_client_open(&opts, until_ns, &manage->client, err);

    return rc == 0 && manage->n_endpoints > 1 && opts.endpoint->is_unix
               ? probe(manage, until_ns, err)
               : rc;
}

static int connect_one(struct manage *manage, uint64_t deadline_ns, struct err *err)
{
    struct err why = {0};
    int rc = ERR_NOT_FOUND;

    for (size_t i = 0; i < manage->n_endpoints; i++) {
        uint64_t until_ns = manage->n_endpoints == 1
                                ? deadline_ns
                                : until_next(deadline_ns, manage->n_endpoints - i);
        struct err one = {0};
        rc = open_one(manage, i, until_ns, &one);
        if (rc == 0) {
            tell_passed_over(manage, i, &why);
            return 0;
        }
        why = one;
        if (was_answered(rc)) {
            break;
        }
    }
    if (err != NULL) {
        *err = why;
    }
    if (was_answered(rc)) {
        return rc;
    }
    return no_node(manage, rc, err);
}

uint64_t manage_deadline_ns(const struct manage *manage)
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
        rc = connect_one(manage, manage_deadline_ns(manage), &ctx->err);
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
        (void)poll(NULL, 0, MANAGE_AGAIN_MS); /* an interrupt ends it */
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
