/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pcapng_listen.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/listener_uv.h"
#include "node/own_traffic_uv.h"
#include "node/relay_params.h"
#include "node/sources.h"
#include "node/stream_uv.h"
#include "node/viewer_uv.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/packet/filter.h"
#include "shared/capture/own_filter.h"

/* Addresses of one --pcapng-listen, and connections of all. */
#define ADDRESSES_MAX   4
#define CONNECTIONS_MAX 256
/* A peer that takes nothing for so long is gone. */
#define STALL_MS  60000
#define LINGER_MS 2000
/* Refusals are logged once in so long. */
#define TURNED_AWAY_MS 10000

/* One listening socket. */
struct pcapng_listener {
    struct listener listener;
    struct pcapng_listen *all;
    struct pcapng_listener *next;
    struct relay_listen what;
};

struct pcapng_listen {
    struct node *node;
    struct streams streams;
    struct pcapng_listener *listeners;
    struct pcapng_client *clients;
    unsigned n_clients;
    unsigned n_open; /* listeners, and the streams */
    bool ending;
    bool streams_closing;
    void (*closed)(struct node *node);
};

/* One connection, from accept to its end. */
struct pcapng_client {
    struct pcapng_client *next;
    struct pcapng_listen *all;
    struct stream *stream; /* NULL when it is gone */
    struct viewer *viewer; /* NULL while the capture is opened */
    bool is_joining;
};

static void check_end(struct pcapng_listen *all);

/* ---- a client ----------------------------------------------------------------------------- */

static bool tcp_has_room(void *peer)
{
    return stream_has_room(peer);
}

static void tcp_write(void *peer, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                      void *arg)
{
    stream_write(peer, iov, n, release, arg);
}

/* A plain stream has no place for a reason. */
static void tcp_close(void *peer, uint16_t code, const char *reason)
{
    (void)code;
    (void)reason;
    stream_finish(peer);
}

static const struct viewer_peer_ops tcp_peer = {
    .has_room = tcp_has_room, .write = tcp_write, .close = tcp_close};

static void forget_when_done(struct pcapng_client *client)
{
    struct pcapng_listen *all = client->all;
    struct pcapng_client **at = &all->clients;

    if (client->stream != NULL || client->is_joining) {
        return;
    }
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    all->n_clients--;
    mem_free(client);
    check_end(all);
}

/* Wireshark sends nothing; whatever comes is read and thrown away, so that the end is seen. */
static void on_data(struct stream *stream, void *arg, const uint8_t *data, size_t n)
{
    (void)stream;
    (void)arg;
    (void)data;
    (void)n;
}

/* The peer will not send any more, which `nc` says at once: it may still read. */
static void on_ended(struct stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
}

static void on_drained(struct stream *stream, void *arg)
{
    struct pcapng_client *client = arg;

    (void)stream;
    if (client->viewer != NULL) {
        viewer_pump(client->viewer);
    }
}

static void on_closed(struct stream *stream, void *arg, const char *why)
{
    struct pcapng_client *client = arg;

    (void)stream;
    log_debug("pcapng viewer left: %s", why);
    client->stream = NULL;
    if (client->viewer != NULL) {
        viewer_gone(client->viewer);
        client->viewer = NULL;
    }
    forget_when_done(client);
}

static void on_woken(struct stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
}

static void on_tick(struct stream *stream, void *arg, uint64_t now_ms)
{
    (void)stream;
    (void)arg;
    (void)now_ms;
}

static const struct stream_ops client_ops = {
    .data = on_data,
    .ended = on_ended,
    .drained = on_drained,
    .woken = on_woken,
    .tick = on_tick,
    .closed = on_closed,
};

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    static const struct viewer_opts opts = {.kind = VIEWER_TCP};
    struct pcapng_client *client = arg;

    client->is_joining = false;
    if (client->stream == NULL) {
        forget_when_done(client);
        return;
    }
    if (stream == NULL) {
        log_warn("no packets for the pcapng viewer %s: %s", stream_peer(client->stream), err->text);
        stream_finish(client->stream);
        return;
    }
    client->viewer = viewer_new(stream, &opts);
    viewer_start(client->viewer, &tcp_peer, client->stream, false);
}

static void turn_away(struct pcapng_listen *all, int fd)
{
    static struct log_limit limit;
    uint64_t left_out;

    close(fd);
    if (log_allowed(&limit, uv_now(all->node->loop), TURNED_AWAY_MS, &left_out)) {
        log_warn("a pcapng viewer was turned away: %u are connected (%llu more since the last "
                 "such line)",
                 all->n_clients, (unsigned long long)left_out);
    }
}

static void on_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct pcapng_listener *at = container_of(listener, struct pcapng_listener, listener);
    struct pcapng_listen *all = at->all;

    if (all->n_clients == CONNECTIONS_MAX || all->ending) {
        turn_away(all, fd);
        return;
    }
    struct pcapng_client *client = x_alloc(sizeof *client);
    client->all = all;
    client->stream = stream_accept(&all->streams, fd, NULL, peer, &client_ops, client);
    if (client->stream == NULL) {
        mem_free(client);
        return;
    }
    client->next = all->clients;
    all->clients = client;
    all->n_clients++;
    client->is_joining = true;
    const struct relay_request request = {.interface = at->what.interface,
                                          .filter = at->what.filter};
    relay_join(all->node->relay, &request, on_joined, client);
}

/* ---- beginning ---------------------------------------------------------------------------- */

static void tell_own(struct node *node, const struct pcapng_listener *at)
{
    char address[STREAM_PEER_MAX];

    stream_address_text(&at->listener.address, address);
    bool any = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    node_sources_add_endpoint(node,
                              &(struct own_endpoint){.address = any ? NULL : address,
                                                     .port_from = listener_port(&at->listener),
                                                     .port_to = listener_port(&at->listener)});
}

static int listen_at(struct pcapng_listen *all, const struct sockaddr_storage *address,
                     const char *text, struct err *err)
{
    struct pcapng_listener *at = NULL;

    if (!address_is_loopback(address) && !all->node->options->insecure) {
        return err_set(err, ERR_PERMISSION,
                       "--pcapng-listen '%s' gives packets to everybody who can reach it; use a "
                       "loopback address, or --insecure",
                       text);
    }
    at = x_alloc(sizeof *at);
    int code = relay_listen_parse(text, &at->what, err);
    code = code < 0
               ? code
               : listener_open(&at->listener, all->node->loop, address, "--pcapng-listen", err);
    if (code < 0) {
        relay_listen_free(&at->what);
        mem_free(at);
        return code;
    }
    at->listener.accepted = on_accepted;
    at->all = all;
    at->next = all->listeners;
    all->listeners = at;
    all->n_open++;
    tell_own(all->node, at);
    log_info("pcapng of '%s' on %s", at->what.interface, at->listener.text);
    return 0;
}

static int add(struct pcapng_listen *all, const char *text, struct err *err)
{
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    struct relay_listen what = {0};
    int code = relay_listen_parse(text, &what, err);

    if (code < 0) {
        return code;
    }
    if (what.filter != NULL && filter_check(what.filter, err) < 0) {
        relay_listen_free(&what);
        return err_wrap(err, "--pcapng-listen '%s'", text);
    }
    int n = listener_resolve(what.address, addresses, ADDRESSES_MAX, err);
    code = n < 0 ? n : node_source_find(all->node, what.interface, err);
    relay_listen_free(&what);
    for (int i = 0; code >= 0 && i < n; i++) {
        code = listen_at(all, &addresses[i], text, err);
    }
    return code < 0 ? code : 0;
}

static void forget(struct node *node)
{
    (void)node;
}

int pcapng_listen_open(struct node *node, struct err *err)
{
    struct pcapng_listen *all = x_alloc(sizeof *all);
    const struct streams_opts opts = {.stall_ms = STALL_MS,
                                      .linger_ms = LINGER_MS,
                                      .sweep_ms = 1000,
                                      .max_queued = 2 * node->options->viewer_queue_bytes +
                                                    16u * 1024u * 1024u,
                                      .high_mark = node->options->viewer_queue_bytes};
    int code = 0;

    all->node = node;
    node->pcapng = all;
    streams_open(&all->streams, node->loop, &opts);
    all->n_open = 1;
    for (size_t i = 0; code == 0 && i < node->options->pcapng_listen.n; i++) {
        code = add(all, node->options->pcapng_listen.items[i], err);
    }
    if (code < 0) { /* it goes while the other parts are closed */
        pcapng_listen_close(node, forget);
    }
    return code;
}

/* ---- end ---------------------------------------------------------------------------------- */

static void finish(struct pcapng_listen *all)
{
    struct node *node = all->node;
    void (*closed)(struct node * node) = all->closed;

    while (all->listeners != NULL) {
        struct pcapng_listener *at = all->listeners;
        all->listeners = at->next;
        relay_listen_free(&at->what);
        mem_free(at);
    }
    mem_free(all);
    node->pcapng = NULL;
    closed(node);
}

static void on_streams_closed(struct streams *streams)
{
    struct pcapng_listen *all = container_of(streams, struct pcapng_listen, streams);

    all->n_open--;
    check_end(all);
}

static void check_end(struct pcapng_listen *all)
{
    if (all->n_clients > 0 || all->closed == NULL) {
        return;
    }
    if (all->n_open == 0) {
        finish(all);
    } else if (all->n_open == 1 && !all->streams_closing) {
        all->streams_closing = true;
        streams_close(&all->streams, on_streams_closed);
    }
}

static void on_listener_closed(struct listener *listener)
{
    struct pcapng_listen *all = container_of(listener, struct pcapng_listener, listener)->all;

    all->n_open--;
    check_end(all);
}

static void stop_listening(struct pcapng_listen *all)
{
    if (all->ending) {
        return;
    }
    all->ending = true;
    for (struct pcapng_listener *at = all->listeners; at != NULL; at = at->next) {
        listener_close(&at->listener, on_listener_closed);
    }
}

/* The relay ends its viewers, which finishes their streams. */
void pcapng_listen_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    (void)deadline_ns;
    stop_listening(node->pcapng);
    done(node);
}

void pcapng_listen_close(struct node *node, void (*closed)(struct node *node))
{
    struct pcapng_listen *all = node->pcapng;
    struct pcapng_client *next = NULL;

    all->closed = closed;
    stop_listening(all);
    for (struct pcapng_client *client = all->clients; client != NULL; client = next) {
        next = client->next;
        if (client->stream != NULL) {
            stream_abort(client->stream, "the node is ending");
        }
    }
    check_end(all);
}
