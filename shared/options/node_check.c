/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/node_check.h"

#include <stdarg.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/tags.h"
#include "shared/options/listen_addr.h"
#include "shared/options/swarm_addr.h"

#define NODE_NAME_MAX   64
#define SITE_MAX        16  /* SWIM_META_SITE_MAX */
#define SOCKET_PATH_MAX 107 /* of struct sockaddr_un */

struct check {
    node_problem_cb problem;
    void *arg;
    size_t n;
    struct listen_addr *addrs; /* all that were understood */
    const char **texts;
    size_t n_addrs;
};

static void say(struct check *check, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct check *check, const char *option, const char *fmt, ...)
{
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&err, ERR_USAGE, fmt, ap);
    va_end(ap);
    check->n++;
    if (check->problem != NULL) {
        check->problem(check->arg, option, err.text);
    }
}

static void take_addr(struct check *check, const char *option, const char *text,
                      const struct listen_addr *addr)
{
    for (size_t i = 0; i < check->n_addrs; i++) {
        if (listen_addr_clash(addr, &check->addrs[i])) {
            say(check, option,
                "'%s' and '%s' are the same place: leave one out, or give it "
                "another port",
                text, check->texts[i]);
            return;
        }
    }
    check->addrs[check->n_addrs] = *addr;
    check->texts[check->n_addrs++] = text;
}

static void check_http(struct check *check, const struct node_options *options)
{
    bool tls = options->tls_cert != NULL && options->tls_key != NULL;

    for (size_t i = 0; i < options->http_addrs.n; i++) {
        const char *text = options->http_addrs.items[i];
        struct listen_addr addr;
        struct err err;
        if (strcmp(text, "none") == 0) {
            if (options->http_addrs.n > 1) {
                say(check, "http-addr", "'none' stands alone: leave it out, or the others");
            }
            continue;
        }
        if (listen_addr_parse(text, &addr, &err) < 0) {
            say(check, "http-addr", "%s", err.text);
            continue;
        }
        take_addr(check, "http-addr", text, &addr);
        if (!addr.is_loopback && !tls && !options->insecure) {
            say(check, "http-addr",
                "'%s' is for other hosts, but there is no TLS: give --tls-cert and --tls-key, or "
                "--insecure to let packets and keys be read on the way",
                text);
        }
    }
}

static void check_pcapng(struct check *check, const struct node_options *options)
{
    for (size_t i = 0; i < options->pcapng_listen.n; i++) {
        const char *text = options->pcapng_listen.items[i];
        struct pcapng_listen listen;
        struct err err;
        if (pcapng_listen_parse(text, &listen, &err) < 0) {
            say(check, "pcapng-listen", "%s", err.text);
            continue;
        }
        take_addr(check, "pcapng-listen", text, &listen.addr);
        if (!listen.addr.is_loopback && !options->insecure) {
            say(check, "pcapng-listen",
                "'%s' would give packets to every host that connects: listen on 127.0.0.1, or say "
                "--insecure",
                text);
        }
        pcapng_listen_deinit(&listen);
    }
}

static void check_rpc(struct check *check, const struct node_options *options)
{
    const char *socket = options->rpc_socket;

    for (size_t i = 0; i < options->rpc_addrs.n; i++) {
        const char *text = options->rpc_addrs.items[i];
        struct listen_addr addr;
        struct err err;
        if (strcmp(text, "none") == 0) {
            if (options->rpc_addrs.n > 1) {
                say(check, "rpc-addr", "'none' stands alone: leave it out, or the others");
            }
        } else if (listen_addr_parse(text, &addr, &err) < 0) {
            say(check, "rpc-addr", "%s", err.text);
        } else {
            take_addr(check, "rpc-addr", text, &addr);
        }
    }
    if (socket != NULL && strcmp(socket, "none") != 0 &&
        (socket[0] != '/' || strlen(socket) > SOCKET_PATH_MAX)) {
        say(check, "rpc-socket",
            "'%.120s' is no path of a UNIX socket: it begins with '/' and has at most %d bytes, or "
            "is 'none'",
            socket, SOCKET_PATH_MAX);
    }
}

/* It becomes part of interface names (NAME:IFACE, NODE/IFACE), of labels and file names. */
static void check_name(struct check *check, const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = name == NULL ? 1 : strlen(name);

    if (name != NULL && (n == 0 || n > NODE_NAME_MAX || strspn(name, allowed) != n)) {
        say(check, "node-name",
            "'%.80s' is no name for a node: letters, digits, '.', '_' and '-', at most %d", name,
            NODE_NAME_MAX);
    }
}

/* Part of the meta data of a member, which has printable ASCII only. */
static void check_site(struct check *check, const char *site)
{
    bool good = site == NULL || (site[0] != '\0' && strlen(site) <= SITE_MAX);

    for (const char *at = site; good && at != NULL && *at != '\0'; at++) {
        good = *at >= ' ' && *at <= '~';
    }
    if (!good) {
        say(check, "site",
            "'%.80s' cannot be told to others: 1 to %d letters, digits and signs of ASCII", site,
            SITE_MAX);
    }
}

static void check_gossip_addrs(struct check *check, const struct node_options *options)
{
    for (size_t i = 0; i < options->gossip_addrs.n; i++) {
        const char *text = options->gossip_addrs.items[i];
        struct listen_addr addr;
        struct err err;
        if (listen_addr_parse(text, &addr, &err) < 0) {
            say(check, "gossip-addr", "%s", err.text);
            continue;
        }
        take_addr(check, "gossip-addr", text, &addr);
    }
}

static void check_tags(struct check *check, const struct node_options *options)
{
    struct tags tags = {0};
    struct err err;

    for (size_t i = 0; i < options->tags.n; i++) {
        if (tags_add(&tags, options->tags.items[i], &err) < 0) {
            say(check, "tag", "%s", err.text);
        }
    }
}

static void check_swarm(struct check *check, const struct node_options *options)
{
    struct swarm_addr addr;
    struct err err;

    if (options->join.n > 0 && options->cluster_key_file == NULL) {
        say(check, "join",
            "a swarm needs a key: make one with 'packetrecorder keys cluster-new > FILE', and "
            "give --cluster-key-file FILE on all nodes");
    }
    if (options->swarm_admin != NULL && options->cluster_key_file == NULL) {
        say(check, "swarm-admin", "there is no swarm without --cluster-key-file");
    }
    if (options->swarm_admin != NULL && strncmp(options->swarm_admin, "prv_", 4) != 0) {
        say(check, "swarm-admin",
            "'%.8s…' is not the public half of an admin key: 'packetrecorder keys admin-public "
            "--of FILE' prints it",
            options->swarm_admin);
    }
    for (size_t i = 0; i < options->join.n; i++) {
        if (swarm_addr_parse(options->join.items[i], &addr, &err) < 0) {
            say(check, "join", "%s", err.text);
        }
    }
    if (options->advertise_addrs.n > SWARM_ADVERTISE_MAX) {
        say(check, "advertise-addr", "%zu addresses: others are told %d at most",
            options->advertise_addrs.n, SWARM_ADVERTISE_MAX);
    }
    for (size_t i = 0; i < options->advertise_addrs.n; i++) {
        const char *text = options->advertise_addrs.items[i];
        if (swarm_addr_parse(text, &addr, &err) < 0) {
            say(check, "advertise-addr", "%s", err.text);
        } else if (!addr.is_numeric) {
            say(check, "advertise-addr", "'%s' is a name: give the address that it stands for",
                text);
        }
    }
    check_site(check, options->site);
    check_tags(check, options);
    if (options->cluster_key_file != NULL) {
        check_gossip_addrs(check, options);
    }
}

size_t node_options_check(const struct node_options *options, node_problem_cb problem, void *arg)
{
    size_t room = options->http_addrs.n + options->pcapng_listen.n + options->rpc_addrs.n +
                  options->gossip_addrs.n;
    struct check check = {
        .problem = problem,
        .arg = arg,
        .addrs = x_alloc(room * sizeof *check.addrs),
        .texts = x_alloc(room * sizeof *check.texts),
    };

    check_name(&check, options->node_name);
    if (options->tls_cert != NULL && options->tls_key == NULL) {
        say(&check, "tls-cert", "a certificate without its key: give --tls-key too");
    }
    if (options->tls_key != NULL && options->tls_cert == NULL) {
        say(&check, "tls-key", "a key without its certificate: give --tls-cert too");
    }
    check_http(&check, options);
    check_pcapng(&check, options);
    check_rpc(&check, options);
    check_swarm(&check, options);
    if (options->viewer_queue_bytes > options->backlog_bytes) {
        say(&check, "viewer-queue",
            "one viewer's queue is larger than the backlog that all share: "
            "make --backlog larger or --viewer-queue smaller");
    }
    mem_free(check.addrs);
    mem_free(check.texts);
    return check.n;
}

static bool reaches_out(const struct option_list *addrs, const char **which)
{
    for (size_t i = 0; i < addrs->n; i++) {
        struct listen_addr addr;
        if (listen_addr_parse(addrs->items[i], &addr, NULL) == 0 && !addr.is_loopback) {
            *which = addrs->items[i];
            return true;
        }
    }
    return false;
}

bool node_options_reach_out(const struct node_options *options, const char **which)
{
    return reaches_out(&options->http_addrs, which) || reaches_out(&options->rpc_addrs, which);
}
