/* SPDX-License-Identifier: Apache-2.0 */
#include "node/sources_internal_uv.h"

#include <string.h>

#include "node/devices_uv.h"
#include "node/gossip.h"
#include "node/node.h"
#include "node/remote_name.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/capture/source_pcap.h"
#include "shared/packet/filter.h"

/* Of the kernel's ring, where nothing else is said. */
#define BUFFER_BYTES (32u * 1024u * 1024u)

static struct local_source *local_of(struct source *source)
{
    return container_of(source, struct local_source, source);
}

static int local_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct source *inner = local_of(source)->inner;

    return inner->ops->read(inner, sink, err);
}

static int local_fd(struct source *source)
{
    struct source *inner = local_of(source)->inner;

    return inner->ops->fd(inner);
}

static void local_stats(struct source *source, struct source_stats *out)
{
    struct source *inner = local_of(source)->inner;

    inner->ops->stats(inner, out);
}

/* The list is locked, so that no swap puts a filter back that lets packets in. */
static void local_halt(struct source *source)
{
    struct local_source *local = local_of(source);

    uv_mutex_lock(&local->sources->mutex);
    local->excludes = false;
    local->inner->ops->halt(local->inner);
    uv_mutex_unlock(&local->sources->mutex);
}

static void local_close(struct source *source)
{
    struct local_source *local = local_of(source);
    struct local_source **at = &local->sources->open;

    uv_mutex_lock(&local->sources->mutex);
    while (*at != local) {
        at = &(*at)->next;
    }
    *at = local->next;
    uv_mutex_unlock(&local->sources->mutex);
    local->inner->ops->close(local->inner);
    mem_free(local->user);
    mem_free(local->in_force);
    mem_free(local);
}

static const struct source_ops local_ops = {
    .read = local_read,
    .fd = local_fd,
    .stats = local_stats,
    .halt = local_halt,
    .close = local_close,
};

/* Under the lock, so that an address that comes now is either in `own` or swapped in afterwards. */
static void adopt(struct node_sources *sources, struct source *inner, const char *user,
                  const char *own, struct source **out)
{
    struct local_source *local = x_alloc(sizeof *local);

    local->source = (struct source){.ops = &local_ops,
                                    .ifaces = inner->ifaces,
                                    .n_ifaces = inner->n_ifaces,
                                    .buffer_bytes = inner->buffer_bytes};
    local->inner = inner;
    local->sources = sources;
    local->user = x_strdup(user);
    local->excludes = own[0] != '\0';
    local->in_force = x_strdup(own);
    local->next = sources->open;
    sources->open = local;
    *out = &local->source;
}

/* An own part that makes no sense for the link type (libpcap says so) is left out: such an
 * interface does not carry our TCP. The user's part was checked alone. */
static int open_filtered(const struct source_request *request, const char *own, const char *user,
                         struct source **out, struct err *err)
{
    char *joined = own_filter_join(own, user);
    const struct source_pcap_opts opts = {
        .interface = request->interface,
        .filter = joined,
        .snaplen = request->snaplen == 0 ? SOURCE_PCAP_SNAPLEN_MAX : request->snaplen,
        .promisc = request->promisc,
        .buffer_bytes = request->buffer_bytes == 0 ? BUFFER_BYTES : request->buffer_bytes,
        .block_timeout_ms = request->block_timeout_ms,
    };
    int code = source_pcap_open(&opts, out, err);

    mem_free(joined);
    return code;
}

static int open_local(struct node *node, const struct source_request *request, struct source **out,
                      char **excluded, struct err *err)
{
    struct node_sources *sources = node->sources;
    const char *user = request->filter == NULL ? "" : request->filter;
    struct source *inner = NULL;

    /* alone: a stray bracket in it would open the own part */
    int code = filter_check(user, err);
    if (code < 0) {
        return code;
    }
    uv_mutex_lock(&sources->mutex);
    char *own = x_strdup(sources->own);
    struct err unfit = sources->unfit;
    uv_mutex_unlock(&sources->mutex);
    if (unfit.code < 0) {
        mem_free(own);
        return err_set(err, unfit.code, "%s", unfit.text);
    }
    code = open_filtered(request, own, user, &inner, err);
    if (code == ERR_FILTER && own[0] != '\0') {
        own[0] = '\0';
        code = open_filtered(request, own, user, &inner, err);
    }
    if (code < 0) {
        mem_free(own);
        return code;
    }
    if (source_pcap_warning(inner)[0] != '\0') {
        log_warn("%s", source_pcap_warning(inner));
    }
    uv_mutex_lock(&sources->mutex);
    bool is_old = own[0] != '\0' && strcmp(own, sources->own) != 0;
    if (is_old) {
        char *joined = own_filter_join(sources->own, user);
        code = inner->ops->swap_filter(inner, joined, err);
        mem_free(joined);
        mem_free(own);
        own = x_strdup(sources->own);
    }
    adopt(sources, inner, user, own, out);
    uv_mutex_unlock(&sources->mutex);
    if (code < 0) {
        (*out)->ops->close(*out);
        mem_free(own);
        return code;
    }
    *excluded = own;
    return 0;
}

char *node_source_excluded(struct source *source)
{
    if (source->ops != &local_ops) {
        return x_strdup(""); /* of an uplink: the traffic of another host */
    }
    struct local_source *local = local_of(source);
    uv_mutex_lock(&local->sources->told);
    char *own = x_strdup(local->in_force);
    uv_mutex_unlock(&local->sources->told);
    return own;
}

void node_sources_watch_swaps(struct node *node, void (*swapped)(struct node *node))
{
    node->sources->swapped = swapped;
}

static const struct source_provider *provider_for(struct node *node, const char *interface)
{
    const struct node_sources *sources = node->sources;

    for (size_t i = 0; i < sources->n_providers; i++) {
        if (strchr(interface, sources->providers[i]->mark) != NULL) {
            return sources->providers[i];
        }
    }
    return NULL;
}

/* NODE/IFACE means the same whichever node of the swarm is asked: of this one it is IFACE. NULL: it
 * is not of this one. Owned, mem_free. */
static char *own_interface(struct node *node, const char *interface)
{
    struct gossip_member member;
    char *far = NULL;
    char *name = NULL;

    if (node->gossip == NULL || remote_name_split(interface, &far, &name, NULL) < 0) {
        return NULL;
    }
    if (gossip_find(node->gossip, far, &member, NULL) < 0 || !member.is_self) {
        mem_free(name);
        name = NULL;
    }
    mem_free(far);
    return name;
}

int node_source_open(struct node *node, const struct source_request *request, struct source **out,
                     char **excluded, struct err *err)
{
    const struct source_provider *provider = provider_for(node, request->interface);
    char *own = provider == NULL ? NULL : own_interface(node, request->interface);

    if (own != NULL) {
        struct source_request here = *request;
        here.interface = own;
        int code = node_source_open(node, &here, out, excluded, err);
        mem_free(own);
        return code;
    }

    if (provider != NULL && interface_find(request->interface, NULL) < 0) {
        return provider->open(node, request, out, excluded, err);
    }
    return open_local(node, request, out, excluded, err);
}

int node_source_find(struct node *node, const char *interface, struct err *err)
{
    const struct source_provider *provider = provider_for(node, interface);
    char *own = provider == NULL ? NULL : own_interface(node, interface);

    if (own != NULL) {
        int code = node_source_find(node, own, err);
        mem_free(own);
        return code;
    }
    if (provider != NULL && provider->find(node, interface, err) == 0) {
        return 0;
    }
    int code = devices_find(node, interface, err);
    return code < 0 && provider != NULL ? provider->find(node, interface, err) : code;
}

struct names_question {
    struct node *node;
    void (*each)(const char *name, void *arg);
    void (*end)(void *arg);
    void *arg;
};

static void on_devices(const struct json_t *all, const struct interface_list *list, void *arg)
{
    struct names_question *question = arg;
    const struct node_sources *sources = question->node->sources;

    (void)all;
    for (size_t i = 0; i < list->n; i++) {
        question->each(list->items[i].name, question->arg);
    }
    for (size_t i = 0; i < sources->n_providers; i++) {
        sources->providers[i]->names(question->node, question->each, question->arg);
    }
    question->end(question->arg);
    mem_free(question);
}

void node_source_names(struct node *node, void (*each)(const char *name, void *arg),
                       void (*end)(void *arg), void *arg)
{
    struct names_question *question = x_alloc(sizeof *question);

    *question = (struct names_question){.node = node, .each = each, .end = end, .arg = arg};
    devices_ask(node, on_devices, question);
}

void node_source_register(struct node *node, const struct source_provider *provider)
{
    struct node_sources *sources = node->sources;

    REQUIRE(sources->n_providers < SOURCE_PROVIDERS_MAX);
    sources->providers[sources->n_providers++] = provider;
}
