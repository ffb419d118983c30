/* SPDX-License-Identifier: Apache-2.0 */
#include "node/inject_hub.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "node/events.h"
#include "node/metrics.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/inject_posix.h"
#include "shared/capture/interface_device_posix.h"
#include "shared/capture/sendable.h"

/* Interfaces that are transmitted on; more are refused. */
#define INJECTORS_MAX 32u
/* An interface that cannot be opened, or went away, is tried again so often at most. */
#define REOPEN_NS UINT64_C(500000000)
/* Events of refused frames of one interface. */
#define EVENT_MS 1000
/* Before the deadline of a drain, for the threads to end. */
#define END_NS UINT64_C(200000000)

enum refusal {
    REFUSED_EMPTY,
    REFUSED_OVER_MTU,
    REFUSED_MALFORMED,
    REFUSED_QUEUE,     /* more waits than may */
    REFUSED_INTERFACE, /* it is down, gone, or may not be opened */
    REFUSED_KERNEL,    /* kernel or device did not take this frame */
    REFUSED_ENDING,    /* the node ended before the interface took it */
    REFUSED_RIGHT,     /* the client's key, or --allow-inject */
    N_REFUSALS,
};

static const struct {
    const char *name;
    const char *text;
} refusals[N_REFUSALS] = {
    [REFUSED_EMPTY] = {"empty", "an empty frame"},
    [REFUSED_OVER_MTU] = {"over_mtu", "a frame longer than the interface's MTU allows"},
    [REFUSED_MALFORMED] = {"malformed", "a frame without a whole link header"},
    [REFUSED_QUEUE] = {"queue_full", "more frames wait for the interface than may"},
    [REFUSED_INTERFACE] = {"interface", "the interface takes no frames"},
    [REFUSED_KERNEL] = {"kernel", "the kernel or the device did not take the frame"},
    [REFUSED_ENDING] = {"node_ended", "the node ended before the interface took the frame"},
    [REFUSED_RIGHT] = {"no_right", "a frame of a client without the right"},
};

struct frame {
    struct frame *next;
    uint32_t n;
    uint8_t data[];
};

struct injector {
    struct injector *next;
    struct inject_hub *hub;
    char name[IFACE_NAME_MAX];
    enum sendable_kind kind;
    atomic_uint mtu;
    uint64_t asked_ms; /* when the device was asked for its MTU */
    uint64_t event_ms; /* the last one of a refusal */
    uint64_t untold;
    uv_thread_t thread;

    /* the thread's */
    struct inject *inject;
    uint64_t opened_at_ns;

    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t refused[N_REFUSALS];

    uv_mutex_t mutex; /* guards what follows */
    uv_cond_t change;
    struct frame *first;
    struct frame *last;
    uint32_t n_frames;
    size_t n_bytes;
    bool ending;
};

struct inject_hub {
    struct node *node;
    struct injector *injectors;
    uint32_t n;
    atomic_uint_fast64_t give_up_ns; /* monotonic: threads that still send then stop */
    uint64_t refused_right;
    uint64_t right_event_ms;
    uv_work_t join; /* waits for the threads, off the loop */
    bool is_joining;
    bool is_joined;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
};

/* ---- the thread --------------------------------------------------------------------------- */

static bool wait_for_frames(struct injector *injector, struct frame **batch)
{
    uv_mutex_lock(&injector->mutex);
    while (injector->first == NULL && !injector->ending) {
        uv_cond_wait(&injector->change, &injector->mutex);
    }
    *batch = injector->first;
    injector->first = injector->last = NULL;
    injector->n_frames = 0;
    injector->n_bytes = 0;
    uv_mutex_unlock(&injector->mutex);
    return *batch != NULL;
}

static void count(struct injector *injector, enum refusal refusal, uint64_t n)
{
    atomic_fetch_add(&injector->refused[refusal], n);
}

static bool is_open(struct injector *injector)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct err err = {0};

    if (injector->inject != NULL) {
        return true;
    }
    if (injector->opened_at_ns != 0 && now_ns - injector->opened_at_ns < REOPEN_NS) {
        return false;
    }
    injector->opened_at_ns = now_ns;
    if (inject_open(injector->name, &injector->inject, &err) < 0) {
        log_warn("%s", err.text);
        return false;
    }
    inject_give_up_by(injector->inject, &injector->hub->give_up_ns);
    atomic_store(&injector->mtu, inject_mtu(injector->inject));
    return true;
}

/* What came out of one inject_send: counted, and an interface that failed is given up. */
static void settle(struct injector *injector, const struct inject_stats *before, int code,
                   uint32_t n, uint32_t n_done, const struct err *err)
{
    const struct inject_stats *now = inject_stats(injector->inject);

    atomic_fetch_add(&injector->sent, now->sent - before->sent);
    atomic_fetch_add(&injector->bytes, now->bytes - before->bytes);
    count(injector, REFUSED_KERNEL, now->refused - before->refused);
    if (code == ERR_LIMIT) {
        count(injector, REFUSED_ENDING, n - n_done);
    } else if (code < 0) {
        count(injector, REFUSED_INTERFACE, n - n_done);
        log_warn("%s", err->text);
        inject_close(injector->inject);
        injector->inject = NULL;
        injector->opened_at_ns = clock_monotonic_ns();
    }
}

static bool is_over(const struct injector *injector)
{
    return clock_monotonic_ns() >= atomic_load(&injector->hub->give_up_ns);
}

static void send_batch(struct injector *injector, const struct iovec *frames, uint32_t n)
{
    uint32_t n_done = 0;
    struct err err = {0};

    if (is_over(injector)) {
        count(injector, REFUSED_ENDING, n);
        return;
    }
    if (!is_open(injector)) {
        count(injector, REFUSED_INTERFACE, n);
        return;
    }
    const struct inject_stats before = *inject_stats(injector->inject);
    int code = inject_send(injector->inject, frames, n, &n_done, &err);
    settle(injector, &before, code, n, n_done, &err);
}

static void send_all(struct injector *injector, struct frame *frame)
{
    struct iovec iov[INJECT_BATCH_MAX];
    struct frame *held = frame;

    while (frame != NULL) {
        uint32_t n = 0;
        for (; frame != NULL && n < INJECT_BATCH_MAX; frame = frame->next) {
            iov[n++] = (struct iovec){frame->data, frame->n};
        }
        send_batch(injector, iov, n);
    }
    while (held != NULL) {
        struct frame *next = held->next;
        mem_free(held);
        held = next;
    }
}

static void thread_main(void *arg)
{
    struct injector *injector = arg;
    struct frame *batch = NULL;

    while (wait_for_frames(injector, &batch)) {
        send_all(injector, batch);
    }
    uint64_t n_left = atomic_load(&injector->refused[REFUSED_ENDING]);
    if (n_left > 0) {
        log_warn("%llu frames for '%s' were not transmitted: it did not take them before the node "
                 "ended",
                 (unsigned long long)n_left, injector->name);
    }
    inject_close(injector->inject);
    injector->inject = NULL;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void publish(struct node *node, const char *interface, const char *reason, uint64_t n)
{
    events_publish(node, "inject.refused",
                   json_pack("{s:s, s:s, s:I}", "interface", interface, "reason", reason, "frames",
                             (json_int_t)n));
}

/* At most one event a second and interface; it says how many there were. */
static void refuse(struct injector *injector, enum refusal refusal)
{
    uint64_t now_ms = uv_now(injector->hub->node->loop);

    count(injector, refusal, 1);
    injector->untold++;
    if (injector->event_ms == 0 || now_ms - injector->event_ms >= EVENT_MS) {
        injector->event_ms = now_ms;
        publish(injector->hub->node, injector->name, refusals[refusal].text, injector->untold);
        injector->untold = 0;
    }
}

static int refuse_client(struct inject_hub *hub, const char *interface, struct err *err,
                         const char *why)
{
    uint64_t now_ms = uv_now(hub->node->loop);

    hub->refused_right++;
    if (hub->right_event_ms == 0 || now_ms - hub->right_event_ms >= EVENT_MS) {
        hub->right_event_ms = now_ms;
        publish(hub->node, interface, why, 1);
    }
    return err_set(err, ERR_PERMISSION, "%s", why);
}

static struct injector *find(struct inject_hub *hub, const char *interface)
{
    for (struct injector *injector = hub->injectors; injector != NULL; injector = injector->next) {
        if (strcmp(injector->name, interface) == 0) {
            return injector;
        }
    }
    return NULL;
}

static void ask_device(struct injector *injector)
{
    struct interface device = {.hardware_type = -1};

    snprintf(device.name, sizeof device.name, "%s", injector->name);
    interface_device_ask(&device);
    injector->kind =
        device.is_device ? sendable_kind_of_hardware(device.hardware_type) : SENDABLE_NOTHING;
    atomic_store(&injector->mtu, device.mtu);
    injector->asked_ms = uv_now(injector->hub->node->loop);
}

static int add(struct inject_hub *hub, const char *interface, struct injector **out,
               struct err *err)
{
    struct injector *injector = x_alloc(sizeof *injector);

    injector->hub = hub;
    snprintf(injector->name, sizeof injector->name, "%s", interface);
    ask_device(injector);
    if (injector->kind == SENDABLE_NOTHING || hub->n == INJECTORS_MAX) {
        bool full = injector->kind != SENDABLE_NOTHING;
        mem_free(injector);
        return full ? err_set(err, ERR_LIMIT, "frames are sent on %u interfaces already",
                              INJECTORS_MAX)
                    : err_set(err, ERR_UNSUPPORTED,
                              "cannot transmit on '%.40s': loopback, or no Ethernet or IP device",
                              interface);
    }
    REQUIRE(uv_mutex_init(&injector->mutex) == 0);
    REQUIRE(uv_cond_init(&injector->change) == 0);
    if (uv_thread_create(&injector->thread, thread_main, injector) != 0) {
        uv_mutex_destroy(&injector->mutex);
        uv_cond_destroy(&injector->change);
        mem_free(injector);
        return err_set(err, ERR_LIMIT, "cannot start a thread to transmit");
    }
    injector->next = hub->injectors;
    hub->injectors = injector;
    hub->n++;
    *out = injector;
    return 0;
}

static void enqueue(struct injector *injector, const uint8_t *data, size_t n)
{
    struct frame *frame = x_alloc(sizeof *frame + n);

    frame->n = (uint32_t)n;
    memcpy(frame->data, data, n);
    uv_mutex_lock(&injector->mutex);
    bool room =
        injector->n_frames < INJECT_QUEUE_FRAMES && injector->n_bytes + n <= INJECT_QUEUE_BYTES;
    if (room) {
        if (injector->last == NULL) {
            injector->first = frame;
        } else {
            injector->last->next = frame;
        }
        injector->last = frame;
        injector->n_frames++;
        injector->n_bytes += n;
        uv_cond_signal(&injector->change);
    }
    uv_mutex_unlock(&injector->mutex);
    if (!room) {
        mem_free(frame);
        refuse(injector, REFUSED_QUEUE);
    }
}

static void check_and_enqueue(struct injector *injector, const uint8_t *data, size_t n)
{
    const struct packet_view packet = {.caplen = (uint32_t)n, .len = (uint32_t)n, .data = data};
    uint32_t link_type = injector->kind == SENDABLE_ETHERNET ? LINK_ETHERNET : LINK_RAW;

    if (n == 0) {
        refuse(injector, REFUSED_EMPTY);
        return;
    }
    /* an MTU can be changed: asked again, once a second while it is too small for something */
    enum sendable_reason reason =
        sendable_check(injector->kind, atomic_load(&injector->mtu), link_type, &packet);
    if (reason == SENDABLE_OVER_MTU &&
        uv_now(injector->hub->node->loop) - injector->asked_ms >= EVENT_MS) {
        ask_device(injector);
        reason = sendable_check(injector->kind, atomic_load(&injector->mtu), link_type, &packet);
    }
    switch (reason) {
    case SENDABLE_YES:
        enqueue(injector, data, n);
        break;
    case SENDABLE_OVER_MTU:
        refuse(injector, REFUSED_OVER_MTU);
        break;
    default:
        refuse(injector,
               injector->kind == SENDABLE_NOTHING ? REFUSED_INTERFACE : REFUSED_MALFORMED);
        break;
    }
}

int inject_hub_frame(struct node *node, const char *interface, bool has_right, const uint8_t *data,
                     size_t n, struct err *err)
{
    struct inject_hub *hub = node->inject;
    struct injector *injector = find(hub, interface);

    if (!node->options->allow_inject) {
        return refuse_client(hub, interface, err,
                             "this node transmits nothing: it runs without --allow-inject");
    }
    if (!has_right) {
        return refuse_client(hub, interface, err,
                             "transmitting takes an API key with the role inject or admin: "
                             "'packetrecorder keys add --role inject' makes one");
    }
    if (node->stopping) {
        return 0;
    }
    if (injector == NULL) {
        int code = add(hub, interface, &injector, err);
        if (code < 0) {
            return code;
        }
    }
    REQUIRE(injector != NULL); /* found, or added */
    check_and_enqueue(injector, data, n);
    return 0;
}

/* ---- beginning and end -------------------------------------------------------------------- */

int inject_hub_open(struct node *node, struct err *err)
{
    struct inject_hub *hub = x_alloc(sizeof *hub);

    (void)err;
    hub->node = node;
    atomic_init(&hub->give_up_ns, UINT64_MAX);
    node->inject = hub;
    return 0;
}

static void run_join(uv_work_t *request)
{
    struct inject_hub *hub = container_of(request, struct inject_hub, join);

    for (struct injector *injector = hub->injectors; injector != NULL; injector = injector->next) {
        uv_thread_join(&injector->thread);
    }
}

static void free_hub(struct inject_hub *hub)
{
    struct node *node = hub->node;
    void (*closed)(struct node * node) = hub->closed;

    while (hub->injectors != NULL) {
        struct injector *injector = hub->injectors;
        hub->injectors = injector->next;
        uv_mutex_destroy(&injector->mutex);
        uv_cond_destroy(&injector->change);
        mem_free(injector);
    }
    mem_free(hub);
    node->inject = NULL;
    closed(node);
}

static void on_joined(uv_work_t *request, int status)
{
    struct inject_hub *hub = container_of(request, struct inject_hub, join);
    void (*drained)(struct node * node) = hub->drained;

    (void)status;
    hub->is_joined = true;
    hub->drained = NULL;
    if (drained != NULL) {
        drained(hub->node);
    }
    if (hub->closed != NULL) {
        free_hub(hub);
    }
}

/* What is queued goes out until the deadline; what an interface does not take is counted. */
static void end_threads(struct inject_hub *hub, uint64_t deadline_ns)
{
    atomic_store(&hub->give_up_ns, deadline_ns > END_NS ? deadline_ns - END_NS : 0);
    if (hub->is_joining) {
        return;
    }
    for (struct injector *injector = hub->injectors; injector != NULL; injector = injector->next) {
        uv_mutex_lock(&injector->mutex);
        injector->ending = true;
        uv_cond_signal(&injector->change);
        uv_mutex_unlock(&injector->mutex);
    }
    hub->is_joining = true;
    REQUIRE(uv_queue_work(hub->node->loop, &hub->join, run_join, on_joined) == 0);
}

void inject_hub_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    node->inject->drained = done;
    end_threads(node->inject, deadline_ns);
}

void inject_hub_close(struct node *node, void (*closed)(struct node *node))
{
    struct inject_hub *hub = node->inject;

    hub->closed = closed;
    if (hub->is_joined) {
        free_hub(hub);
    } else {
        end_threads(hub, 0);
    }
}

/* ---- metrics ------------------------------------------------------------------------------ */

static void one_counter(struct inject_hub *hub, struct buf *out, const char *name, bool bytes)
{
    for (struct injector *injector = hub->injectors; injector != NULL; injector = injector->next) {
        struct buf labels = {0};
        metrics_label(&labels, "interface", injector->name);
        buf_put_u8(&labels, 0);
        metrics_count(out, name, (const char *)labels.data,
                      atomic_load(bytes ? &injector->bytes : &injector->sent));
        buf_deinit(&labels);
    }
}

static void refusal_counters(struct inject_hub *hub, struct buf *out, const char *name)
{
    for (unsigned reason = 0; reason < N_REFUSALS; reason++) {
        uint64_t sum = reason == REFUSED_RIGHT ? hub->refused_right : 0;
        struct buf labels = {0};

        for (struct injector *injector = hub->injectors; injector != NULL;
             injector = injector->next) {
            sum += atomic_load(&injector->refused[reason]);
        }
        metrics_label(&labels, "reason", refusals[reason].name);
        buf_put_u8(&labels, 0);
        metrics_count(out, name, (const char *)labels.data, sum);
        buf_deinit(&labels);
    }
}

void inject_hub_metrics(struct node *node, struct buf *out)
{
    static const char packets[] = "packetrecorder_injected_packets_total";
    static const char bytes[] = "packetrecorder_injected_bytes_total";
    static const char refused[] = "packetrecorder_inject_refused_total";

    metrics_family(out, packets, "counter", "Frames of clients that were transmitted.");
    one_counter(node->inject, out, packets, false);
    metrics_family(out, bytes, "counter", "Bytes of frames of clients that were transmitted.");
    one_counter(node->inject, out, bytes, true);
    metrics_family(out, refused, "counter", "Frames of clients that were not transmitted.");
    refusal_counters(node->inject, out, refused);
}
