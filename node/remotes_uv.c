/* SPDX-License-Identifier: Apache-2.0
 *
 * The source of a remote interface lives on two threads: the loop asks (live.open, live.read after
 * live.read) and queues the answers; the capture's thread takes them. While a queue is full nothing
 * more is asked for, so that the backlog of the other node decides what is lost, and says so.
 *
 *   capture thread:  open ─► inbox ──async──► loop: live.open ─► live.read ─► queue ─► read
 */
#include "node/remotes.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <uv.h>

#include "node/gossip.h"
#include "node/peers.h"
#include "node/remote_feed.h"
#include "node/remote_name.h"
#include "node/sources.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc_live.h"

#define QUEUE_BYTES (4u * 1024u * 1024u)
#define WAIT_MS     100 /* of a read: so often a quiet interface says how far it is */
#define OPEN_NS     UINT64_C(8000000000)
#define DAY_NS      (UINT64_C(86400) * 1000000000u)
#define READ_NS     UINT64_C(10000000000)

struct item {
    struct item *next;
    size_t n;
    uint8_t bytes[];
};

struct remote {
    struct source source;
    struct iface iface;
    struct remotes *remotes;
    struct remote *next; /* inbox */
    char *node;          /* as it was asked for */
    char *interface;     /* of the other node */
    char *filter;
    uint32_t snaplen;
    int fd; /* eventfd: readable while there is something to read */

    /* the loop's */
    uint64_t sid;
    uint64_t stream;
    uint64_t call; /* under way; 0 = none */
    bool has_base;

    /* the capture thread's */
    struct item *current;
    struct remote_bytes bytes;
    struct remote_feed feed;
    uint64_t given;

    /* under remotes->mutex */
    unsigned refs;  /* the source, and the loop while it works for it */
    bool is_queued; /* in the inbox */
    bool is_opened;
    bool is_closed;
    bool is_held;
    struct err failed; /* code < 0: it has ended */
    struct item *first;
    struct item **last;
    size_t n_bytes;
    uint64_t watermark_ns;
    uint64_t lost; /* of the far viewer */
};

struct remotes {
    struct node *node;
    uv_async_t wake;
    void (*closed)(struct node *node);
    uv_mutex_t mutex; /* guards what follows, and what is marked above */
    uv_cond_t opened;
    struct remote *inbox;
    bool is_ending;
};

static void ask_open(struct remote *remote);
static void ask_read(struct remote *remote);

static struct remote *remote_of(struct source *source)
{
    return container_of(source, struct remote, source);
}

/* ---- both threads; with the lock ---- */

static void unref(struct remote *remote)
{
    if (--remote->refs > 0) {
        return;
    }
    while (remote->first != NULL) {
        struct item *item = remote->first;
        remote->first = item->next;
        mem_free(item);
    }
    mem_free(remote->current);
    close(remote->fd);
    mem_free(remote->node);
    mem_free(remote->interface);
    mem_free(remote->filter);
    mem_free(remote);
}

static void post(struct remote *remote)
{
    struct remotes *remotes = remote->remotes;

    if (!remote->is_queued && !remotes->is_ending) {
        remote->is_queued = true;
        remote->refs++;
        remote->next = remotes->inbox;
        remotes->inbox = remote;
        uv_async_send(&remotes->wake);
    }
}

static void wake_reader(struct remote *remote)
{
    (void)!write(remote->fd, &(uint64_t){1}, sizeof(uint64_t));
}

static void fail(struct remote *remote, int code, const char *text)
{
    uv_mutex_lock(&remote->remotes->mutex);
    if (remote->failed.code == 0) {
        err_set(&remote->failed, code, "'%s' of node '%s': %s", remote->interface, remote->node,
                text);
        wake_reader(remote);
        uv_cond_broadcast(&remote->remotes->opened);
    }
    uv_mutex_unlock(&remote->remotes->mutex);
}

/* ---- the loop's side ---- */

static uint64_t begin_call(struct remote *remote, const char *method, struct buf *args,
                           uint64_t deadline_ns, peers_cb answered)
{
    const struct peers_call call = {
        .sid = remote->sid,
        .method = method,
        .args = {args->data, args->len},
        .rights = api_role_rights(ROLE_VIEW),
        .who = remote->iface.name,
        .deadline_ns = clock_monotonic_ns() + deadline_ns,
    };
    uint64_t number = peers_call(remote->remotes->node, &call, answered, remote);

    uv_mutex_lock(&remote->remotes->mutex);
    remote->refs++; /* until it is answered */
    uv_mutex_unlock(&remote->remotes->mutex);
    buf_deinit(args);
    return number;
}

static void end_call(struct remote *remote)
{
    struct remotes *remotes = remote->remotes; /* it may be the last that keeps it */

    uv_mutex_lock(&remotes->mutex);
    unref(remote);
    uv_mutex_unlock(&remotes->mutex);
}

static bool is_closed(struct remote *remote)
{
    uv_mutex_lock(&remote->remotes->mutex);
    bool closed = remote->is_closed || remote->failed.code < 0;
    uv_mutex_unlock(&remote->remotes->mutex);
    return closed;
}

static void on_closed_there(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    (void)result;
    (void)error;
    end_call(arg);
}

static void close_there(struct remote *remote)
{
    struct buf args = {0};

    if (remote->stream != 0) {
        rpc_live_put_close(&args, remote->stream);
        remote->stream = 0;
        (void)begin_call(remote, "live.close", &args, READ_NS, on_closed_there);
    }
}

static void on_opened_there(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct remote *remote = arg;
    struct remotes *remotes = remote->remotes;
    struct rpc_live_opened opened;
    struct err err = {0};

    remote->call = 0;
    if (error != NULL) {
        fail(remote, rpc_code_to_err(error->code), error->message);
    } else if (rpc_live_read_opened(result, &opened, &err) < 0) {
        fail(remote, err.code, err.text);
    } else {
        remote->stream = opened.stream;
        uv_mutex_lock(&remotes->mutex);
        remote->iface.link_type = remote->feed.link_type = opened.link_type;
        remote->iface.snaplen = opened.snaplen;
        remote->is_opened = true;
        uv_cond_broadcast(&remotes->opened);
        uv_mutex_unlock(&remotes->mutex);
        if (is_closed(remote)) {
            close_there(remote);
        } else {
            ask_read(remote);
        }
    }
    end_call(remote);
}

static void ask_open(struct remote *remote)
{
    struct node *node = remote->remotes->node;
    struct gossip_member member;
    struct buf args = {0};
    struct err err = {0};

    if (node->gossip == NULL) {
        fail(remote, ERR_NOT_FOUND, "this node is in no swarm");
    } else if (gossip_find(node->gossip, remote->node, &member, &err) < 0) {
        fail(remote, err.code, err.text);
    } else if (member.is_self) {
        fail(remote, ERR_USAGE, "that is this node: leave out its name");
    } else {
        remote->sid = member.sid;
        rpc_live_put_open(&args, remote->interface, remote->filter, remote->snaplen);
        remote->call = begin_call(remote, "live.open", &args, OPEN_NS, on_opened_there);
    }
}

/* Nobody's clock in the swarm may be a day ahead of another's: what is told beyond that is no time,
 * and would hold back nothing behind it. */
static uint64_t sane(uint64_t watermark_ns)
{
    uint64_t most_ns = clock_wall_ns() + DAY_NS;

    return watermark_ns < most_ns ? watermark_ns : most_ns;
}

static void take(struct remote *remote, const struct rpc_live_answer *answer)
{
    struct item *item = answer->data.n == 0 ? NULL : x_alloc(sizeof *item + answer->data.n);
    uint64_t watermark_ns = sane(answer->watermark_ns);

    if (item != NULL) {
        item->n = answer->data.n;
        memcpy(item->bytes, answer->data.bytes, item->n);
    }
    uv_mutex_lock(&remote->remotes->mutex);
    if (item != NULL) {
        *remote->last = item;
        remote->last = &item->next;
        remote->n_bytes += item->n;
        wake_reader(remote);
    }
    if (watermark_ns > remote->watermark_ns) {
        remote->watermark_ns = watermark_ns;
        wake_reader(remote);
    }
    remote->lost = answer->lost > remote->lost ? answer->lost : remote->lost;
    remote->is_held = remote->n_bytes >= QUEUE_BYTES;
    uv_mutex_unlock(&remote->remotes->mutex);
}

static void on_read_there(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct remote *remote = arg;
    struct rpc_live_answer answer;
    struct err err = {0};

    remote->call = 0;
    if (error != NULL) {
        remote->stream = 0; /* gone with its connection, or soon: nobody reads it */
        fail(remote, ERR_CAPTURE, error->message);
    } else if (rpc_live_read_answer(result, &answer, &err) < 0) {
        fail(remote, ERR_CAPTURE, err.text);
    } else if (is_closed(remote)) {
        close_there(remote);
    } else {
        take(remote, &answer);
        if (answer.end) {
            remote->stream = 0;
            fail(remote, ERR_CAPTURE, answer.why);
        } else {
            ask_read(remote);
        }
    }
    end_call(remote);
}

static void ask_read(struct remote *remote)
{
    struct buf args = {0};

    uv_mutex_lock(&remote->remotes->mutex);
    bool is_held = remote->is_held;
    uv_mutex_unlock(&remote->remotes->mutex);
    if (!is_held && remote->call == 0 && remote->stream != 0) {
        rpc_live_put_read(&args, remote->stream, WAIT_MS, RPC_LIVE_MAX);
        remote->call = begin_call(remote, "live.read", &args, READ_NS, on_read_there);
    }
}

static void serve(struct remote *remote)
{
    if (is_closed(remote)) {
        if (remote->call == 0) { /* else its answer ends it */
            close_there(remote);
        }
    } else if (remote->sid == 0) {
        ask_open(remote);
    } else {
        ask_read(remote);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct remotes *remotes = wake->data;

    uv_mutex_lock(&remotes->mutex);
    while (remotes->inbox != NULL) {
        struct remote *remote = remotes->inbox;
        remotes->inbox = remote->next;
        remote->is_queued = false;
        uv_mutex_unlock(&remotes->mutex);
        if (remotes->node->peers != NULL && !remotes->node->stopping) {
            serve(remote);
        } else {
            fail(remote, ERR_CAPTURE, "the node is ending");
        }
        uv_mutex_lock(&remotes->mutex);
        unref(remote);
    }
    uv_mutex_unlock(&remotes->mutex);
}

/* ---- the capture's side ---- */

/* The next answer becomes the current one; false with the descriptor silent when there is none. */
static int next_item(struct remote *remote, struct err *err)
{
    uint64_t count;
    int rc = 1;

    uv_mutex_lock(&remote->remotes->mutex);
    struct item *item = remote->first;
    if (item != NULL) {
        remote->first = item->next;
        remote->last = remote->first == NULL ? &remote->first : remote->last;
        remote->n_bytes -= item->n;
        remote->current = item;
        remote->bytes = (struct remote_bytes){item->bytes, item->n};
        if (remote->is_held && remote->n_bytes < QUEUE_BYTES / 2) {
            remote->is_held = false;
            post(remote);
        }
    } else if (remote->failed.code < 0) {
        rc = err_set(err, ERR_CAPTURE, "%s", remote->failed.text);
    } else {
        (void)!read(remote->fd, &count, sizeof count);
        rc = 0;
    }
    uv_mutex_unlock(&remote->remotes->mutex);
    return rc;
}

static int remote_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct remote *remote = remote_of(source);
    struct packet_view packet;
    int rc = remote->current == NULL ? next_item(remote, err) : 1;

    if (rc <= 0) {
        return rc < 0 ? rc : SOURCE_IDLE;
    }
    while ((rc = remote_feed_next(&remote->feed, &remote->bytes, &packet, err)) == 1) {
        remote->given++;
        if (!sink->packet(sink, &packet)) {
            return SOURCE_STOPPED;
        }
    }
    mem_free(remote->current);
    remote->current = NULL;
    return rc < 0
               ? err_set(err, ERR_CAPTURE, "'%s': it sends what is no capture", remote->iface.name)
               : SOURCE_MORE;
}

static int remote_fd(struct source *source)
{
    return remote_of(source)->fd;
}

/* What the far kernel lost and what was lost on the way there are losses before this node. The far
 * capture may be older than this one, and what it lost before is in its counter: rather too much is
 * told as lost than too little. */
static void remote_stats(struct source *source, struct source_stats *out)
{
    struct remote *remote = remote_of(source);

    uv_mutex_lock(&remote->remotes->mutex);
    uint64_t lost = remote->lost;
    uv_mutex_unlock(&remote->remotes->mutex);
    lost += remote->feed.kernel == UINT64_MAX ? 0 : remote->feed.kernel;
    *out = (struct source_stats){
        .received = remote->given + lost, .kernel = lost, .interface = remote->feed.interface};
}

static uint64_t remote_watermark(struct source *source)
{
    struct remote *remote = remote_of(source);

    uv_mutex_lock(&remote->remotes->mutex);
    uint64_t watermark_ns = remote->watermark_ns;
    uv_mutex_unlock(&remote->remotes->mutex);
    return watermark_ns;
}

static void remote_close(struct source *source)
{
    struct remote *remote = remote_of(source);
    struct remotes *remotes = remote->remotes;

    uv_mutex_lock(&remotes->mutex);
    remote->is_closed = true;
    post(remote);
    unref(remote);
    uv_mutex_unlock(&remotes->mutex);
}

static const struct source_ops remote_ops = {
    .read = remote_read,
    .fd = remote_fd,
    .stats = remote_stats,
    .watermark = remote_watermark,
    .close = remote_close,
};

/* node and interface are moved. */
static struct remote *remote_new(struct remotes *remotes, const struct source_request *request,
                                 char *node, char *interface)
{
    struct remote *remote = x_alloc(sizeof *remote);

    remote->source = (struct source){
        .ops = &remote_ops, .ifaces = &remote->iface, .n_ifaces = 1, .buffer_bytes = QUEUE_BYTES};
    remote->remotes = remotes;
    remote->node = node;
    remote->interface = interface;
    remote->filter = x_strdup(request->filter == NULL ? "" : request->filter);
    remote->snaplen = request->snaplen;
    remote->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    remote->refs = 1;
    remote->last = &remote->first;
    remote->feed.kernel = remote->feed.interface = UINT64_MAX;
    remote->iface.ts_digits = 9;
    snprintf(remote->iface.name, sizeof remote->iface.name, "%s",
             remote_name_plain(request->interface));
    snprintf(remote->iface.filter, sizeof remote->iface.filter, "%s", remote->filter);
    return remote;
}

static int provide(struct node *node, const struct source_request *request, struct source **out,
                   char **excluded, struct err *err)
{
    struct remotes *remotes = node->remotes;
    uint64_t until_ns = clock_monotonic_ns() + OPEN_NS;
    char *far = NULL;
    char *interface = NULL;
    int rc = remote_name_split(request->interface, &far, &interface, err);

    if (rc < 0) {
        return rc;
    }
    struct remote *remote = remote_new(remotes, request, far, interface);
    uv_mutex_lock(&remotes->mutex);
    post(remote);
    if (remotes->is_ending || remote->fd < 0) {
        err_set(&remote->failed, ERR_CAPTURE, "the node is ending");
    }
    while (!remote->is_opened && remote->failed.code == 0) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= until_ns ||
            uv_cond_timedwait(&remotes->opened, &remotes->mutex, until_ns - now_ns) != 0) {
            err_set(&remote->failed, ERR_CAPTURE, "node '%s' does not answer", remote->node);
        }
    }
    rc = remote->is_opened ? 0 : err_set(err, remote->failed.code, "%s", remote->failed.text);
    uv_mutex_unlock(&remotes->mutex);
    if (rc < 0) {
        remote_close(&remote->source);
        return rc;
    }
    *out = &remote->source;
    *excluded = x_strdup("");
    return 0;
}

static int provide_find(struct node *node, const char *interface, struct err *err)
{
    struct gossip_member member;
    char *far = NULL;
    char *name = NULL;
    int rc = remote_name_split(interface, &far, &name, err);

    if (rc < 0) {
        return rc;
    }
    if (node->gossip == NULL) {
        rc = err_set(err, ERR_NOT_FOUND, "'%s': this node is in no swarm", interface);
    } else {
        rc = gossip_find(node->gossip, far, &member, err); /* of this node: node_source_find */
    }
    mem_free(far);
    mem_free(name);
    return rc;
}

static void provide_names(struct node *node, void (*each)(const char *name, void *arg), void *arg)
{
    (void)node;
    (void)each;
    (void)arg;
}

static const struct source_provider remote_provider = {
    .mark = '/', .open = provide, .find = provide_find, .names = provide_names};

/* ---- the part ---- */

int remotes_open(struct node *node, struct err *err)
{
    struct remotes *remotes = x_alloc(sizeof *remotes);
    int rc = uv_async_init(node->loop, &remotes->wake, on_wake);

    if (rc < 0) {
        mem_free(remotes);
        return err_set(err, ERR_IO, "cannot follow other nodes: %s", uv_strerror(rc));
    }
    remotes->node = node;
    remotes->wake.data = remotes;
    REQUIRE(uv_mutex_init(&remotes->mutex) == 0);
    REQUIRE(uv_cond_init(&remotes->opened) == 0);
    node->remotes = remotes;
    node_source_register(node, &remote_provider);
    return 0;
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct remotes *remotes = handle->data;
    struct node *node = remotes->node;
    void (*closed)(struct node *) = remotes->closed;

    uv_mutex_destroy(&remotes->mutex);
    uv_cond_destroy(&remotes->opened);
    mem_free(remotes);
    node->remotes = NULL;
    closed(node);
}

void remotes_close(struct node *node, void (*closed)(struct node *node))
{
    struct remotes *remotes = node->remotes;

    remotes->closed = closed;
    uv_mutex_lock(&remotes->mutex);
    remotes->is_ending = true;
    while (remotes->inbox != NULL) {
        struct remote *remote = remotes->inbox;
        remotes->inbox = remote->next;
        unref(remote);
    }
    uv_mutex_unlock(&remotes->mutex);
    uv_close((uv_handle_t *)&remotes->wake, on_wake_closed);
}
