/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of the swarm's driver. Opening binds and reads everything on the node's thread, so that
 * what is wrong ends the start with a sentence; then the thread runs. Draining tells the others
 * that we leave and waits for the core to say that enough know, or a second. Closing makes the
 * thread close its handles and end; its last word comes through `tell`.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"
#include "node/gossip_stream_uv.h"
#include "node/http_server.h"
#include "node/own_traffic_uv.h"
#include "node/rpc_server.h"
#include "shared/base/addr.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/own_filter.h"
#include "shared/wire/cluster_key.h"

#define PORT_TRIES 16
#define NICE       (-5) /* before what computes, behind nothing that matters */

/* ---- the thread ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void close_one(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_handle_closed);
    }
}

static void on_poke(uv_async_t *async)
{
    struct gossip *g = async->data;

    gossip_lock(g);
    bool closing = g->is_closing;
    if (closing) {
        gossip_seeds_stop(g);
        gossip_streams_stop(g);
    } else {
        gossip_seeds_go_on(g);
    }
    gossip_unlock(g);
    if (closing) {
        uv_walk(&g->loop, close_one, NULL);
    } else {
        gossip_turn(g);
    }
}

static void *run_thread(void *arg)
{
    struct gossip *g = arg;

    (void)pthread_setname_np(pthread_self(), "gossip");
    /* Of this thread alone, on Linux; where it is not allowed, it is as good as any other. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    gossip_turn(g);
    uv_run(&g->loop, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&g->loop) == 0);
    atomic_store(&g->is_thread_done, true);
    uv_async_send(&g->tell);
    return NULL;
}

/* Signals are for the node's thread. */
static int start_thread(struct gossip *g, struct err *err)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&g->thread, NULL, run_thread, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return err_errno(err, rc, "cannot start a thread for the swarm");
    }
    return 0;
}

/* ---- opening ---- */

static int open_address(struct gossip *g, const struct sockaddr_storage *at, struct err *err)
{
    if (g->n_sockets == GOSSIP_SOCKETS_MAX) {
        return err_set(err, ERR_LIMIT, "--gossip-addr: more than %d addresses", GOSSIP_SOCKETS_MAX);
    }
    struct gossip_socket *s = &g->sockets[g->n_sockets];
    int rc = gossip_socket_open(s, at, err);
    /* "Any port" must be free for TCP too. */
    for (int i = 0; rc == 0 && i < PORT_TRIES && !gossip_socket_port_is_free(s, at); i++) {
        gossip_socket_close(s);
        rc = gossip_socket_open(s, at, err);
    }
    if (rc == 0) {
        g->n_sockets++;
        if (s->rcvbuf < GOSSIP_RCVBUF) {
            log_warn("the kernel gives gossip a receive buffer of %u KiB and not 4 MiB: a burst of "
                     "datagrams may be lost; raise net.core.rmem_max, or keep CAP_NET_ADMIN",
                     s->rcvbuf / 1024);
        }
    }
    return rc;
}

/* A host without IPv6 has "all addresses" of IPv4 alone. */
static int open_text(struct gossip *g, const char *text, struct err *err)
{
    struct sockaddr_storage found[4];
    size_t before = g->n_sockets;
    int n = listener_resolve(text, found, ARRAY_LEN(found), err);
    int rc = n < 0 ? n : 0;

    for (int i = 0; i < n; i++) {
        int one = open_address(g, &found[i], err);
        if (one < 0 && !(text[0] == ':' && found[i].ss_family == AF_INET6)) {
            rc = one;
        }
    }
    if (rc == 0 && g->n_sockets == before) {
        rc = err_set(err, ERR_USAGE, "cannot listen on '%s': this host has no such address", text);
    }
    return rc < 0 ? err_wrap(err, "--gossip-addr") : 0;
}

static int open_sockets(struct gossip *g, struct err *err)
{
    const struct option_list *addrs = &g->node->options->gossip_addrs;
    int rc = 0;

    for (size_t i = 0; i < addrs->n && rc == 0; i++) {
        rc = open_text(g, addrs->items[i], err);
    }
    return rc;
}

static int load_keys(struct gossip *g, struct err *err)
{
    struct cluster_key *key = NULL;
    bool changed = false;

    int rc = cluster_key_load(g->node->options->cluster_key_file, &key, err);
    if (rc == 0) {
        rc = gossip_ring_take_file(&g->state.ring, key->cluster, key->key,
                                   clock_wall_ns() / 1000000u, &changed, err);
    }
    changed =
        gossip_ring_expire(&g->state.ring, (int64_t)(clock_wall_ns() / 1000000000u)) || changed;
    if (rc == 0 && changed) {
        rc = gossip_state_put_ring(&g->state, &g->state.ring, err);
    }
    cluster_key_free(key);
    return rc;
}

static int open_state(struct gossip *g, struct err *err)
{
    const struct node_options *options = g->node->options;
    char *path = options->state_dir != NULL ? x_strdup(options->state_dir)
                                            : x_sprintf("%s.d/node", options->database);
    int rc = gossip_state_open(path, &g->state, err);

    mem_free(path);
    return rc < 0 ? rc : load_keys(g, err);
}

/* The address which the others are told leads to it. */
static bool is_reached(const char *listener, bool by_loopback)
{
    return by_loopback || (strncmp(listener, "127.", 4) != 0 && strncmp(listener, "[::1]", 5) != 0);
}

/* 0: none. */
static uint16_t http_port(const struct node *node, bool by_loopback)
{
    for (size_t i = 0; node->http != NULL && i < http_server_listeners(node->http); i++) {
        if (is_reached(http_server_address(node->http, i), by_loopback)) {
            return http_server_port(node->http, i);
        }
    }
    return 0;
}

static uint16_t rpc_port(const struct node *node, bool by_loopback)
{
    for (size_t i = 0; node->rpc != NULL && i < rpc_server_listeners(node->rpc); i++) {
        if (is_reached(rpc_server_address(node->rpc, i), by_loopback)) {
            return rpc_server_port(node->rpc, i);
        }
    }
    return 0;
}

static void describe(struct gossip *g, bool anchor, bool is_loopback)
{
    struct swim_meta *meta = &g->meta;
    const struct node *node = g->node;

    *meta =
        (struct swim_meta){.proto_min = 1,
                           .proto_max = 1,
                           .flags = SWIM_META_CAN_CAPTURE | (anchor ? SWIM_META_CLOCK_ANCHOR : 0)};
    (void)snprintf(meta->version, sizeof meta->version, "%s", PR_VERSION);
    (void)snprintf(meta->name, sizeof meta->name, "%.*s", SWIM_META_NAME_MAX, node->name);
    if (strcmp(meta->name, node->name) != 0) {
        log_warn("the others are told the first %d letters of the name '%s' and no more: "
                 "--node-name gives a shorter one",
                 SWIM_META_NAME_MAX, node->name);
    }
    meta->http_port = http_port(node, is_loopback);
    meta->rpc_port = rpc_port(node, is_loopback);
    if (node->options->site != NULL) {
        (void)snprintf(meta->site, sizeof meta->site, "%s", node->options->site);
    }
    gossip_interfaces_describe(g);
    gossip_tags_describe(g);
    for (uint32_t i = 0; i < g->state.ring.keys.n; i++) {
        meta->key_ids[meta->n_keys++] = g->state.ring.keys.keys[i].id;
    }
}

static const struct swim_rules *const profiles[] = {&swim_rules_lan, &swim_rules_fast,
                                                    &swim_rules_wan};

static int make_core(struct gossip *g, struct err *err)
{
    const struct node_options *options = g->node->options;
    uint8_t meta[SWIM_META_MAX];
    struct swim_config config = {
        .rules = profiles[options->gossip_profile < 0 ? 0 : options->gossip_profile],
        .crypto = &swim_crypto_sodium,
        .keyring = g->state.ring.keys,
        .persisted_boot = g->state.boot,
        .meta = meta,
        .clock_is_anchor = clock_is_kept(), /* one that others may go by */
    };

    config.time_ahead_ns = gossip_time_load(g, config.clock_is_anchor);
    config.n_addrs =
        gossip_own_addrs(options, g->sockets, g->n_sockets, gossip_first_seed(g), config.addrs);
    if (config.n_addrs == 0) {
        return err_set(err, ERR_USAGE,
                       "this host has no address that others could reach it by: give one with "
                       "--advertise-addr");
    }
    g->n_addrs = config.n_addrs;
    memcpy(g->addrs, config.addrs, sizeof g->addrs);
    describe(g, config.clock_is_anchor, gossip_addr_is_loopback(&config.addrs[0]));
    config.n_meta = (uint16_t)swim_meta_write(&g->meta, meta);
    memcpy(config.public_key, g->state.public_key, sizeof config.public_key);
    memcpy(config.secret_key, g->state.secret_key, sizeof config.secret_key);
    config.has_admin = options->swarm_admin != NULL;
    if (config.has_admin && admin_public_parse(options->swarm_admin, config.admin_key, err) < 0) {
        swim_wipe(&config, sizeof config);
        return err_wrap(err, "--swarm-admin");
    }
    REQUIRE(getrandom(config.seed, sizeof config.seed, 0) == (ssize_t)sizeof config.seed);
    g->swim = swim_new(&config, gossip_now());
    swim_wipe(&config, sizeof config);
    if (g->swim == NULL) {
        return err_set(err, ERR_DAMAGED,
                       "'%s/boot' holds a life that no node can have had: remove the file if this "
                       "host's clock is right",
                       g->state.path);
    }
    return gossip_orders_load(g, err);
}

/* What a capture leaves out as the node's own. */
static void add_endpoints(const struct gossip *g)
{
    for (size_t i = 0; i < g->n_sockets && g->node->sources != NULL; i++) {
        const struct gossip_socket *s = &g->sockets[i];
        char text[ADDR_TEXT_MAX];
        struct own_endpoint endpoint = {.address = s->is_any ? NULL : text,
                                        .port_from = s->address.port,
                                        .port_to = s->address.port};
        (void)(s->family == 4 ? addr_ipv4_text(s->address.ip, text)
                              : addr_ipv6_text(s->address.ip, text));
        node_sources_add_endpoint(g->node, &endpoint);
        endpoint.udp = true;
        node_sources_add_endpoint(g->node, &endpoint);
    }
}

static void say_where(struct gossip *g)
{
    struct swim_view self;
    char text[GOSSIP_ADDR_TEXT];

    gossip_lock(g);
    if (swim_member_get(g->swim, swim_self(g->swim), &self)) {
        gossip_addr_text(&self.addr, text);
        log_info("node %016" PRIx64 " of the swarm, reached at %s", swim_self(g->swim), text);
    }
    gossip_unlock(g);
    for (size_t i = 0; i < g->n_sockets; i++) {
        gossip_addr_text(&g->sockets[i].address, text);
        log_info("gossip on %s (UDP and TCP)", text);
    }
}

static void on_told(uv_async_t *async);

static void free_all(struct gossip *g)
{
    gossip_drop_handed(g);
    for (size_t i = 0; i < g->n_sockets; i++) {
        gossip_socket_close(&g->sockets[i]);
    }
    swim_free(g->swim);
    gossip_seeds_deinit(g);
    gossip_watch_deinit(g);
    gossip_inbox_free(g->inbox);
    mem_free(g->scratch);
    gossip_state_close(&g->state);
    (void)pthread_mutex_destroy(&g->mutex);
    mem_free(g);
}

static struct gossip *make(struct node *node)
{
    struct gossip *g = x_alloc(sizeof *g);

    g->node = node;
    TAILQ_INIT(&g->handed);
    g->inbox = gossip_inbox_new();
    g->scratch = x_alloc(sizeof *g->scratch);
    REQUIRE(pthread_mutex_init(&g->mutex, NULL) == 0);
    return g;
}

/* What a start that failed has opened; nothing runs yet. */
static void undo(struct gossip *g)
{
    gossip_seeds_stop(g);
    gossip_streams_stop(g);
    uv_walk(&g->loop, close_one, NULL);
    uv_run(&g->loop, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&g->loop) == 0);
}

/* Its first turn waits for the lock: a member that calls at once is handed over by `tell`. */
static int start_thread_and_tell(struct gossip *g, struct err *err)
{
    gossip_lock(g);
    int rc = start_thread(g, err);
    if (rc == 0) {
        REQUIRE(uv_async_init(g->node->loop, &g->tell, on_told) == 0);
    }
    gossip_unlock(g);
    return rc;
}

static int start(struct gossip *g, struct err *err)
{
    REQUIRE(uv_loop_init(&g->loop) == 0);
    REQUIRE(uv_async_init(&g->loop, &g->poke, on_poke) == 0);
    g->poke.data = g->tell.data = g;
    int rc = gossip_drive_start(g);
    if (rc < 0) {
        err_set(err, rc, "cannot watch a socket of the swarm: %s", uv_strerror(rc));
    } else {
        rc = gossip_streams_listen(g, err);
    }
    if (rc == 0) {
        gossip_seeds_start(g);
        gossip_ring_start(g);
        gossip_interfaces_start(g);
        gossip_tags_start(g);
        gossip_watch_start(g);
        rc = start_thread_and_tell(g, err);
    }
    if (rc < 0) {
        undo(g);
    }
    return rc;
}

int gossip_open(struct node *node, struct err *err)
{
    if (node->options->cluster_key_file == NULL) {
        return 0;
    }
    struct gossip *g = make(node);
    int rc = open_state(g, err);
    if (rc == 0) {
        rc = open_sockets(g, err);
    }
    if (rc == 0) {
        rc = gossip_seeds_init(g, err);
    }
    if (rc == 0) {
        rc = make_core(g, err);
    }
    if (rc == 0) {
        rc = start(g, err);
    }
    if (rc < 0) {
        free_all(g);
        return rc;
    }
    g->calls_node = (struct channel_node){g->state.public_key, g->state.secret_key};
    say_where(g);
    add_endpoints(g);
    node->gossip = g;
    return 0;
}

/* ---- ending ---- */

static void say_left(struct gossip *g)
{
    void (*drained)(struct node * node) = g->drained;
    void (*left)(void *arg) = g->left;

    g->left = NULL;
    if (left != NULL) {
        log_info("the node has left the swarm");
        left(g->left_arg);
    }
    g->drained = NULL;
    if (drained != NULL) {
        drained(g->node);
    }
}

static void on_tell_closed(uv_handle_t *handle)
{
    struct gossip *g = handle->data;
    struct node *node = g->node;
    void (*closed)(struct node * node) = g->closed;

    node->gossip = NULL;
    free_all(g);
    closed(node);
}

static void on_told(uv_async_t *async)
{
    struct gossip *g = async->data;

    gossip_take_handed(g);
    gossip_lock(g);
    bool has_left = g->has_left;
    gossip_unlock(g);
    if (has_left) {
        say_left(g);
    }
    gossip_kv_told(g);
    if (atomic_load(&g->is_thread_done)) {
        REQUIRE(pthread_join(g->thread, NULL) == 0);
        uv_close((uv_handle_t *)&g->tell, on_tell_closed);
    }
}

/* Also when it has left: then the word of it comes once more. */
static void begin_to_leave(struct gossip *g)
{
    gossip_lock(g);
    g->is_leaving = true;
    bool has_left = g->has_left;
    if (!has_left) {
        gossip_tags_end(g);
        swim_leave(g->swim, gossip_now());
    }
    gossip_unlock(g);
    if (has_left) {
        uv_async_send(&g->tell);
    } else {
        gossip_poke(g);
    }
}

bool gossip_leave(struct gossip *g, void (*left)(void *arg), void *arg)
{
    if (g->is_leaving) {
        return false;
    }
    g->left = left;
    g->left_arg = arg;
    begin_to_leave(g);
    return true;
}

void gossip_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    struct gossip *g = node->gossip;

    (void)deadline_ns; /* the core's own is a second */
    if (g == NULL) {
        done(node);
        return;
    }
    g->drained = done;
    begin_to_leave(g);
}

void gossip_close(struct node *node, void (*closed)(struct node *node))
{
    struct gossip *g = node->gossip;

    if (g == NULL) {
        closed(node);
        return;
    }
    g->closed = closed;
    gossip_lock(g);
    g->is_closing = true;
    uv_async_send(&g->poke); /* the last one */
    gossip_unlock(g);
}
