/* SPDX-License-Identifier: Apache-2.0 */
#include "node/sources_internal_uv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/http_server.h"
#include "node/rpc_server.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/packet/filter.h"

/* Addresses often change several at a time. */
#define SETTLE_MS 20
#define LOOK_MS   1000

static uint32_t count_insns(const char *expression, struct err *err)
{
    struct filter *filter = NULL;
    uint32_t n = UINT32_MAX;

    if (filter_new(expression, LINK_ETHERNET, &filter, err) == 0) {
        filter_program(filter, &n);
    }
    filter_free(filter);
    return n;
}

/* The expression for these addresses; the ports alone where it would be too long. */
static int make_own(const struct own_traffic *own, char **out, struct err *err)
{
    for (int with_addresses = 1; with_addresses >= 0; with_addresses--) {
        struct buf text = {0};

        own_filter_build(own, with_addresses != 0, &text);
        buf_put_u8(&text, 0);
        uint32_t n = text.len == 1 ? 0 : count_insns((const char *)text.data, err);
        if (n <= OWN_FILTER_MAX_INSNS) {
            *out = x_strdup((const char *)text.data);
            buf_deinit(&text);
            return 0;
        }
        buf_deinit(&text);
        if (with_addresses != 0) {
            log_warn("this host has %zu addresses, too many for a filter of %u instructions: all "
                     "traffic on the node's ports is left out of captures, whoever's it is",
                     own->n_addresses, OWN_FILTER_MAX_INSNS);
        }
    }
    return err_set(err, ERR_LIMIT,
                   "the node listens on too many ports to leave its own traffic out with %u "
                   "instructions; use fewer, or --include-self",
                   OWN_FILTER_MAX_INSNS);
}

static void swap_all(struct node_sources *sources)
{
    for (struct local_source *local = sources->open; local != NULL; local = local->next) {
        struct err err = {0};

        if (!local->excludes) {
            continue;
        }
        char *joined = own_filter_join(sources->own, local->user);
        if (local->inner->ops->swap_filter(local->inner, joined, &err) < 0) {
            log_error("own traffic may be captured on '%s': %s", local->source.ifaces[0].name,
                      err.text);
        } else {
            uv_mutex_lock(&sources->told);
            mem_free(local->in_force);
            local->in_force = x_strdup(sources->own);
            uv_mutex_unlock(&sources->told);
        }
        mem_free(joined);
    }
}

/* Looks at the addresses; on a change makes the expression anew and swaps it in. On a worker, one
 * at a time; or before anything runs. */
static int refresh(struct node_sources *sources, struct err *err)
{
    struct local_addresses now = {0};
    char *own = NULL;
    int code = local_addresses_read(&now, err);

    if (code < 0) {
        return code;
    }
    if (sources->addresses.items != NULL && local_addresses_equal(&now, &sources->addresses)) {
        local_addresses_free(&now);
        return 0;
    }
    local_addresses_free(&sources->addresses);
    sources->addresses = now;
    const struct own_traffic traffic = {.addresses = (const char *const *)now.items,
                                        .n_addresses = now.n,
                                        .endpoints = sources->endpoints,
                                        .n_endpoints = sources->n_endpoints};
    code = make_own(&traffic, &own, err);
    uv_mutex_lock(&sources->mutex);
    sources->unfit = (struct err){0};
    if (code < 0) {
        sources->unfit = *err;
    } else if (own != NULL && strcmp(own, sources->own) != 0) {
        mem_free(sources->own);
        sources->own = own;
        own = NULL;
        swap_all(sources);
        sources->has_swapped = true;
    }
    uv_mutex_unlock(&sources->mutex);
    mem_free(own);
    return code;
}

struct look {
    uv_work_t request;
    struct node_sources *sources;
};

static void run_look(uv_work_t *request)
{
    struct look *look = request->data;
    struct err err = {0};

    look->sources->has_swapped = false;
    if (refresh(look->sources, &err) < 0) {
        log_error("%s", err.text);
    }
}

static void close_when_idle(struct node_sources *sources);

static void on_looked(uv_work_t *request, int status)
{
    struct look *look = request->data;

    (void)status;
    look->sources->is_looking = false;
    if (look->sources->has_swapped && look->sources->swapped != NULL) {
        look->sources->swapped(look->sources->node);
    }
    close_when_idle(look->sources);
    mem_free(look);
}

static void on_look(uv_timer_t *timer)
{
    struct node_sources *sources = timer->data;

    if (sources->is_looking || sources->closed != NULL) {
        return;
    }
    struct look *look = x_alloc(sizeof *look);
    look->sources = sources;
    look->request.data = look;
    sources->is_looking =
        uv_queue_work(sources->node->loop, &look->request, run_look, on_looked) == 0;
    if (!sources->is_looking) {
        mem_free(look);
    }
}

/* A change while a worker looks is seen with the next look, a second later at the latest. */
static void on_changed(uv_poll_t *poll, int status, int events)
{
    struct node_sources *sources = poll->data;

    (void)status;
    (void)events;
    local_addresses_forget(sources->watch_fd);
    uv_timer_start(&sources->look, on_look, SETTLE_MS, sources->is_looking ? LOOK_MS : 0);
}

int node_sources_open(struct node *node, struct err *err)
{
    struct node_sources *sources = x_alloc(sizeof *sources);

    (void)err;
    sources->node = node;
    sources->own = x_strdup("");
    sources->watch_fd = -1;
    REQUIRE(uv_mutex_init(&sources->mutex) == 0);
    REQUIRE(uv_mutex_init(&sources->told) == 0);
    REQUIRE(uv_timer_init(node->loop, &sources->look) == 0);
    sources->look.data = sources->watch.data = sources;
    sources->n_handles = 1;
    uv_unref((uv_handle_t *)&sources->look);
    node->sources = sources;
    return 0;
}

void node_sources_add_endpoint(struct node *node, const struct own_endpoint *endpoint)
{
    struct node_sources *sources = node->sources;

    if (sources->n_endpoints == OWN_ENDPOINTS_MAX) {
        return; /* settle will find the expression too long */
    }
    struct own_endpoint *copy = &sources->endpoints[sources->n_endpoints++];
    *copy = *endpoint;
    copy->address = endpoint->address == NULL ? NULL : x_strdup(endpoint->address);
}

/* "[::1]:8080", "127.0.0.1:80"; the wildcard of a family is every address. */
static void add_listener(struct node *node, const char *text, uint16_t port)
{
    char address[128];
    size_t n = strlen(text);
    const char *colon = strrchr(text, ':');
    size_t from = text[0] == '[' ? 1 : 0;
    size_t to = colon == NULL ? n : (size_t)(colon - text) - from;

    if (to <= from || to - from >= sizeof address) {
        return;
    }
    memcpy(address, text + from, to - from);
    address[to - from] = '\0';
    bool any = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    node_sources_add_endpoint(node, &(struct own_endpoint){.address = any ? NULL : address,
                                                           .port_from = port,
                                                           .port_to = port});
}

static void watch(struct node_sources *sources)
{
    struct err err = {0};

    sources->watch_fd = local_addresses_watch(&err);
    if (sources->watch_fd < 0) {
        log_info("%s; looking once a second", err.text);
        uv_timer_start(&sources->look, on_look, LOOK_MS, LOOK_MS);
        return;
    }
    REQUIRE(uv_poll_init(sources->node->loop, &sources->watch, sources->watch_fd) == 0);
    sources->n_handles++;
    uv_unref((uv_handle_t *)&sources->watch);
    REQUIRE(uv_poll_start(&sources->watch, UV_READABLE, on_changed) == 0);
}

int node_sources_settle(struct node *node, struct err *err)
{
    struct node_sources *sources = node->sources;

    if (node->options->include_self) {
        return 0;
    }
    for (size_t i = 0; node->http != NULL && i < http_server_listeners(node->http); i++) {
        add_listener(node, http_server_address(node->http, i), http_server_port(node->http, i));
    }
    for (size_t i = 0; node->rpc != NULL && i < rpc_server_listeners(node->rpc); i++) {
        add_listener(node, rpc_server_address(node->rpc, i), rpc_server_port(node->rpc, i));
    }
    watch(sources);
    return refresh(sources, err);
}

static void on_closed(uv_handle_t *handle)
{
    struct node_sources *sources = handle->data;
    struct node *node = sources->node;
    void (*closed)(struct node * node) = sources->closed;

    if (--sources->n_handles > 0) {
        return;
    }
    REQUIRE(sources->open == NULL);
    if (sources->watch_fd >= 0) {
        close(sources->watch_fd);
    }
    for (size_t i = 0; i < sources->n_endpoints; i++) {
        mem_free((void *)(uintptr_t)sources->endpoints[i].address);
    }
    local_addresses_free(&sources->addresses);
    uv_mutex_destroy(&sources->mutex);
    uv_mutex_destroy(&sources->told);
    mem_free(sources->own);
    mem_free(sources);
    node->sources = NULL;
    closed(node);
}

static void close_when_idle(struct node_sources *sources)
{
    if (sources->closed == NULL || sources->is_looking) {
        return;
    }
    if (sources->n_handles > 1) {
        uv_close((uv_handle_t *)&sources->watch, on_closed);
    }
    uv_close((uv_handle_t *)&sources->look, on_closed);
}

void node_sources_close(struct node *node, void (*closed)(struct node *node))
{
    node->sources->closed = closed;
    close_when_idle(node->sources);
}
