/* SPDX-License-Identifier: Apache-2.0 */
#include "node/devices_uv.h"

#include <sys/queue.h>
#include <unistd.h>

#include <jansson.h>
#include <uv.h>

#include "node/devices_digest.h"
#include "node/gossip.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/interface_json.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/capture/local_addresses_posix.h"

/* Devices often change several at a time. */
#define SETTLE_MS 30
/* Between the end of one reading and the next, however much changes. */
#define GAP_MS 200
/* Then it is read again for whoever asks next. */
#define OLD_MS 5000
/* The same where the kernel does not say what changes; who asks waits. */
#define BLIND_OLD_MS 1000

struct question {
    STAILQ_ENTRY(question) link;
    devices_told_cb told;
    void *arg;
};

struct node_devices {
    struct node *node;
    struct interface_list list;
    json_t *json;
    bool is_whole;       /* link types were asked for */
    uint64_t read_at_ms; /* monotonic; when the last reading ended */
    STAILQ_HEAD(, question) questions;
    uv_poll_t watch;
    uv_timer_t settle;
    unsigned n_handles;
    int watch_fd; /* -1 = none */
    bool is_reading;
    bool has_changed; /* while it was read */
    void (*closed)(struct node *node);
};

struct reading {
    struct node_devices *devices;
    struct interface_list list;
    json_t *json;
    int code;
    struct err err;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

static json_t *make_json(const struct interface_list *list)
{
    json_t *all = json_array();

    for (size_t i = 0; i < list->n; i++) {
        json_array_append_new(all, interface_json(&list->items[i]));
    }
    return all;
}

static void tell_all(struct node_devices *devices)
{
    struct question *question;

    while ((question = STAILQ_FIRST(&devices->questions)) != NULL) {
        STAILQ_REMOVE_HEAD(&devices->questions, link);
        question->told(devices->json, &devices->list, question->arg);
        mem_free(question);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct node_devices *devices = handle->data;
    struct node *node = devices->node;
    void (*closed)(struct node *) = devices->closed;

    if (--devices->n_handles > 0) {
        return;
    }
    if (devices->watch_fd >= 0) {
        close(devices->watch_fd);
    }
    json_decref(devices->json);
    interfaces_free(&devices->list);
    mem_free(devices);
    node->devices = NULL;
    closed(node);
}

static void close_when_idle(struct node_devices *devices)
{
    if (devices->closed == NULL || devices->is_reading) {
        return;
    }
    tell_all(devices);
    if (devices->n_handles > 1) {
        uv_close((uv_handle_t *)&devices->watch, on_handle_closed);
    }
    uv_close((uv_handle_t *)&devices->settle, on_handle_closed);
}

static void tell_swarm(struct node *node)
{
    struct devices_summary summary = devices_summary(node);

    if (node->gossip != NULL) {
        gossip_tell_interfaces(node->gossip, &summary);
    }
}

/* On a worker. */
static void run_read(void *arg)
{
    struct reading *reading = arg;

    reading->code = interfaces_read(&reading->list, &reading->err);
    if (reading->code == 0) {
        reading->json = make_json(&reading->list);
    }
}

static void read_soon(struct node_devices *devices);

static void on_read(void *arg, bool cancelled)
{
    struct reading *reading = arg;
    struct node_devices *devices = reading->devices;

    devices->is_reading = false;
    devices->read_at_ms = now_ms();
    if (reading->json != NULL) {
        json_decref(devices->json);
        interfaces_free(&devices->list);
        devices->json = reading->json;
        devices->list = reading->list;
        devices->is_whole = true;
        tell_swarm(devices->node);
    } else if (!cancelled) {
        log_warn("%s; what was known of them before stays", reading->err.text);
    }
    mem_free(reading);
    tell_all(devices);
    if (devices->has_changed && devices->closed == NULL) {
        read_soon(devices);
    }
    close_when_idle(devices);
}

static void read_now(struct node_devices *devices)
{
    if (devices->is_reading || devices->closed != NULL) {
        return;
    }
    struct reading *reading = x_alloc(sizeof *reading);
    reading->devices = devices;
    devices->has_changed = false;
    devices->is_reading = work_run(devices->node, run_read, on_read, reading);
    if (!devices->is_reading) { /* too much waits */
        mem_free(reading);
        read_soon(devices);
    }
}

static void on_settled(uv_timer_t *timer)
{
    read_now(timer->data);
}

static void read_soon(struct node_devices *devices)
{
    uint64_t gone_ms = now_ms() - devices->read_at_ms;
    uint64_t wait_ms = gone_ms < GAP_MS ? GAP_MS - gone_ms : 0;

    if (devices->is_reading) {
        devices->has_changed = true;
    } else if (!uv_is_active((uv_handle_t *)&devices->settle)) {
        uv_timer_start(&devices->settle, on_settled, wait_ms < SETTLE_MS ? SETTLE_MS : wait_ms, 0);
    }
}

static void on_changed(uv_poll_t *poll, int status, int events)
{
    struct node_devices *devices = poll->data;

    (void)status;
    (void)events;
    local_addresses_forget(devices->watch_fd);
    read_soon(devices);
}

static void watch(struct node_devices *devices)
{
    struct err err = {0};

    devices->watch_fd = local_devices_watch(&err);
    if (devices->watch_fd < 0) {
        log_info("%s; the interfaces are read when somebody asks for them", err.text);
        return;
    }
    REQUIRE(uv_poll_init(devices->node->loop, &devices->watch, devices->watch_fd) == 0);
    devices->watch.data = devices;
    devices->n_handles++;
    uv_unref((uv_handle_t *)&devices->watch);
    REQUIRE(uv_poll_start(&devices->watch, UV_READABLE, on_changed) == 0);
}

int devices_open(struct node *node, struct err *err)
{
    struct interface_list list = {0};

    int code = interfaces_read_unopened(&list, err);
    if (code < 0) {
        return code;
    }
    struct node_devices *devices = x_alloc(sizeof *devices);
    devices->node = node;
    devices->list = list;
    devices->json = make_json(&list);
    STAILQ_INIT(&devices->questions);
    REQUIRE(uv_timer_init(node->loop, &devices->settle) == 0);
    devices->settle.data = devices;
    devices->n_handles = 1;
    uv_unref((uv_handle_t *)&devices->settle);
    node->devices = devices;
    watch(devices); /* first: nothing that changes from here on is missed */
    read_now(devices);
    return 0;
}

void devices_close(struct node *node, void (*closed)(struct node *node))
{
    node->devices->closed = closed;
    close_when_idle(node->devices);
}

void devices_ask(struct node *node, devices_told_cb told, void *arg)
{
    struct node_devices *devices = node->devices;
    uint64_t age_ms = now_ms() - devices->read_at_ms;
    bool is_blind = devices->watch_fd < 0;

    if (devices->closed == NULL && (!devices->is_whole || (is_blind && age_ms >= BLIND_OLD_MS))) {
        struct question *question = x_alloc(sizeof *question);
        *question = (struct question){.told = told, .arg = arg};
        STAILQ_INSERT_TAIL(&devices->questions, question, link);
        read_now(devices);
        return;
    }
    if (age_ms >= OLD_MS) {
        read_now(devices);
    }
    told(devices->json, &devices->list, arg);
}

struct devices_summary devices_summary(const struct node *node)
{
    if (node->devices == NULL) {
        return (struct devices_summary){0};
    }
    const struct interface_list *list = &node->devices->list;
    return (struct devices_summary){
        .n = list->n < UINT16_MAX ? (uint16_t)list->n : UINT16_MAX,
        .digest = devices_digest(list),
    };
}

int devices_find(struct node *node, const char *name, struct err *err)
{
    struct node_devices *devices = node->devices;
    int code = interface_find_in(&devices->list, name, err);

    if (code < 0 && now_ms() - devices->read_at_ms >= BLIND_OLD_MS) {
        read_now(devices); /* for the next who asks */
    }
    return code;
}
