/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/swarm_view_posix.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "shared/base/buf.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/ws_client.h"

#define ASK_NS      UINT64_C(5000000000)
#define AGAIN_MS    10000
#define ALL_WAIT_MS 1000 /* for members that are slow */
#define BODY_MAX    (8u * 1024u * 1024u)

struct swarm_view {
    struct live_view_spec spec;       /* whom to ask */
    char *names[LIVE_VIEW_LINKS_MAX]; /* owned */
    const char *interfaces[LIVE_VIEW_LINKS_MAX];
    size_t n;
    size_t n_all;
    char own[SWARM_NAME_MAX]; /* what the node asked is called among the others */
    struct consumer *consumer;
    pthread_t thread;
    bool has_thread;
    int stop_fd;
};

/* ---- asking ---- */

static int get(const struct swarm_view *swarm, const char *path, json_t **out, struct err *err)
{
    struct buf target = {0};
    struct buf body = {0};
    unsigned status = 0;

    buf_printf(&target, "%s%s", swarm->spec.endpoint->path, path);
    const struct http_call call = {
        .endpoint = swarm->spec.endpoint,
        .method = "GET",
        .target = (const char *)target.data,
        .api_key = swarm->spec.api_key,
        .ca_file = swarm->spec.ca_file,
        .max_body = BODY_MAX,
    };
    int code = http_call(&call, clock_monotonic_ns() + ASK_NS, &status, &body, err);
    *out =
        code == 0 && status == 200 ? json_loadb((const char *)body.data, body.len, 0, NULL) : NULL;
    if (code == 0 && *out == NULL) {
        code = err_set(err, ERR_IO, "the node answers %s with %u, or with what is no JSON", path,
                       status);
    }
    buf_deinit(&target);
    buf_deinit(&body);
    return code;
}

/* false: nothing is known. */
static bool clock_in(const json_t *object, struct merge_clock_sample *out)
{
    const json_t *offset = json_object_get(object, "offset_ns");
    uint64_t bound_ns = field_count(object, "bound_ns");

    *out =
        (struct merge_clock_sample){.offset_ns = json_integer_value(offset), .bound_ns = bound_ns};
    return json_is_integer(offset) && bound_ns != UINT64_MAX;
}

/* Members say how their clocks stand to that of the node asked, and that one to swarm time. */
static void take_members(struct swarm_view *swarm, const json_t *members,
                         const struct merge_clock_sample *own)
{
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *one = json_array_get(members, i);
        const char *label = field_text(one, "label");
        const char *name = label == NULL ? field_text(one, "name") : label;
        const char *id = field_text(one, "id");
        struct merge_clock_sample clock;
        bool is_known =
            clock_in(one, &clock) &&
            !__builtin_add_overflow(clock.offset_ns, own->offset_ns, &clock.offset_ns) &&
            !__builtin_add_overflow(clock.bound_ns, own->bound_ns, &clock.bound_ns);
        if (!is_known) {
            clock = (struct merge_clock_sample){.bound_ns = MERGE_BOUND_UNKNOWN};
        }
        if (name != NULL && strlen(name) < SWARM_NAME_MAX) {
            swarm_merge_clock(swarm->consumer, name, id == NULL ? "" : id, &clock);
        }
    }
}

/* Where the node does not say what time it is, our own clock has to do. */
static void take_time(struct swarm_view *swarm, const json_t *clock,
                      const struct merge_clock_sample *own)
{
    uint64_t time_ns = field_time_ns(clock, "time");
    int64_t common_ns = (int64_t)clock_wall_ns();

    if (time_ns > 0 && time_ns < INT64_MAX) {
        int64_t known_ns;
        common_ns =
            !__builtin_sub_overflow((int64_t)time_ns, own->offset_ns, &known_ns) && known_ns > 0
                ? known_ns
                : common_ns;
    }
    swarm_merge_time(swarm->consumer, common_ns - (int64_t)clock_monotonic_ns());
}

static void take_clocks(struct swarm_view *swarm, const json_t *stats, const json_t *members)
{
    struct merge_clock_sample own;

    if (!clock_in(json_object_get(stats, "clock"), &own)) {
        own = (struct merge_clock_sample){0};
    }
    take_members(swarm, members, &own);
    take_time(swarm, json_object_get(stats, "clock"), &own);
}

/* Members first: what time it is grows old. */
static int ask_clocks(struct swarm_view *swarm, struct err *err)
{
    json_t *members = NULL;
    json_t *stats = NULL;
    int code = get(swarm, "/api/v1/members", &members, err);

    code = code < 0 ? code : get(swarm, "/api/v1/stats", &stats, err);
    if (code == 0) {
        take_clocks(swarm, stats, members);
    }
    json_decref(members);
    json_decref(stats);
    return code;
}

static void *follow_clocks(void *arg)
{
    struct swarm_view *swarm = arg;
    struct pollfd stop = {.fd = swarm->stop_fd, .events = POLLIN};

    while (poll(&stop, 1, AGAIN_MS) == 0) {
        (void)ask_clocks(swarm, NULL); /* what was known holds on */
    }
    return NULL;
}

/* ---- which interfaces ---- */

static void add(const struct live_view_interface *interface, void *arg)
{
    struct swarm_view *swarm = arg;

    if (strchr(interface->name, '/') == NULL && strlen(interface->node) < SWARM_NAME_MAX) {
        snprintf(swarm->own, sizeof swarm->own, "%s", interface->node);
    }
    if (!interface->up || interface->loopback || strlen(interface->name) >= SWARM_NAME_MAX) {
        return;
    }
    if (swarm->n < LIVE_VIEW_LINKS_MAX) {
        swarm->names[swarm->n] = x_strdup(interface->name);
        swarm->interfaces[swarm->n] = swarm->names[swarm->n];
        swarm->n++;
    }
    swarm->n_all++;
}

static int find_interfaces(struct swarm_view *swarm, struct err *err)
{
    unsigned status;
    int code =
        live_view_interfaces(&swarm->spec, clock_monotonic_ns() + ASK_NS, add, swarm, &status, err);

    if (code == 0 && swarm->n == 0) {
        code = err_set(err, ERR_NOT_FOUND, SWARM_ALL ": no interface is up");
    }
    if (code == 0 && swarm->n_all > swarm->n) {
        code =
            err_set(err, ERR_LIMIT,
                    SWARM_ALL " is %zu interfaces, more than %d: choose some with several -i, or "
                              "use 'manage watch'",
                    swarm->n_all, LIVE_VIEW_LINKS_MAX);
    }
    return code;
}

/* ---- its life ---- */

int swarm_view_open(const struct live_view_spec *spec, const char *application,
                    struct swarm_sink *sink, struct swarm_view **out, struct err *err)
{
    struct swarm_view *swarm = x_alloc(sizeof *swarm);

    swarm->spec = *spec;
    swarm->spec.all_nodes = true;
    swarm->spec.all_wait_ms = ALL_WAIT_MS;
    swarm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int code = swarm->stop_fd < 0 ? err_errno(err, errno, "cannot make an eventfd")
                                  : find_interfaces(swarm, err);
    if (code < 0) {
        sink->free(sink);
        swarm_view_close(swarm);
        return code;
    }
    const struct swarm_merge_opts opts = {.application = application,
                                          .node = swarm->own[0] == '\0' ? "node" : swarm->own,
                                          .hold_ns = SWARM_HOLD_NS,
                                          .sink = sink};
    swarm->consumer = swarm_merge_new(&opts);
    code = ask_clocks(swarm, err);
    if (code == 0) {
        int failed = pthread_create(&swarm->thread, NULL, follow_clocks, swarm);
        swarm->has_thread = failed == 0;
        code = failed == 0 ? 0 : err_errno(err, failed, "cannot start a thread");
    }
    if (code < 0) {
        swarm_view_close(swarm);
        return code;
    }
    *out = swarm;
    return 0;
}

void swarm_view_use(const struct swarm_view *swarm, struct live_view_spec *spec)
{
    spec->interfaces = swarm->interfaces;
    spec->n_interfaces = swarm->n;
    spec->consumer = swarm->consumer;
    spec->is_file = true;
    spec->statistics = swarm_merge_statistics;
    spec->wait = true; /* one that is away does not end the others */
}

void swarm_view_close(struct swarm_view *swarm)
{
    if (swarm == NULL) {
        return;
    }
    if (swarm->has_thread) {
        const uint64_t one = 1;
        (void)!write(swarm->stop_fd, &one, sizeof one);
        pthread_join(swarm->thread, NULL);
    }
    if (swarm->stop_fd >= 0) {
        close(swarm->stop_fd);
    }
    swarm_merge_free(swarm->consumer);
    for (size_t i = 0; i < swarm->n; i++) {
        mem_free(swarm->names[i]);
    }
    mem_free(swarm);
}
