/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of replays. Their threads only ever wake the loop, which then looks at each.
 */
#include "node/replays.h"

#include <string.h>
#include <sys/queue.h>

#include <jansson.h>
#include <uv.h>

#include "node/events.h"
#include "node/metrics.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

/* For an interface that takes nothing, when it is stopped. */
#define STOP_NS UINT64_C(500000000)
/* Fewer characters of an id are no id. */
#define PREFIX_MIN 8u
/* Of one that is about to be stopped. */
#define WAITERS_MAX 16u

struct entry {
    TAILQ_ENTRY(entry) link; /* oldest first */
    struct replays *replays;
    struct replay_run *run;
    bool is_awaited; /* the starter waits for its beginning */
    bool has_begun;
    bool has_ended;
    struct asker starter;
    struct asker waiters[WAITERS_MAX];
    unsigned n_waiters;
};

struct replays {
    struct node *node;
    uv_async_t wake;
    TAILQ_HEAD(, entry) entries;
    unsigned n_running;
    unsigned n_ended;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
    uint64_t started;
    uint64_t failed;
    uint64_t packets; /* of those that have ended and are forgotten */
    uint64_t bytes;
};

/* ---- answers ---- */

static void answer_json(const struct asker *asker, json_t *json)
{
    const struct answer answer = {.json = json};

    asker->done(asker->arg, &answer, NULL);
    json_decref(json);
}

static void answer_error(const struct asker *asker, const struct err *err)
{
    asker->done(asker->arg, NULL, err);
}

/* ---- the end ---- */

static void forget(struct replays *replays, struct entry *entry)
{
    uint64_t packets;
    uint64_t bytes;

    replay_run_counts(entry->run, &packets, &bytes);
    replays->packets += packets;
    replays->bytes += bytes;
    TAILQ_REMOVE(&replays->entries, entry, link);
    replays->n_ended--;
    replay_run_free(entry->run);
    mem_free(entry);
}

static void forget_oldest(struct replays *replays)
{
    struct entry *entry = TAILQ_FIRST(&replays->entries);

    while (entry != NULL && replays->n_ended > REPLAYS_KEPT) {
        struct entry *next = TAILQ_NEXT(entry, link);
        if (entry->has_ended) {
            forget(replays, entry);
        }
        entry = next;
    }
}

static void publish(struct entry *entry, const char *type)
{
    json_t *json = replay_run_json(entry->run);
    json_t *event = json_object();
    static const char *const members[] = {"replay_id", "session_id", "interface", "packets",
                                          "bytes",     "errors",     "stopped",   "error"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_object_set(event, members[i], json_object_get(json, members[i]));
    }
    json_decref(json);
    events_publish(entry->replays->node, type, event);
}

static void end(struct entry *entry)
{
    struct replays *replays = entry->replays;
    struct err err = replay_run_error(entry->run);

    replay_run_join(entry->run);
    entry->has_ended = true;
    replays->n_running--;
    replays->n_ended++;
    if (err.code < 0) {
        replays->failed++;
        log_warn("replay %s ended: %s", replay_run_id(entry->run), err.text);
    } else {
        log_info("replay %s ended", replay_run_id(entry->run));
    }
    if (entry->has_begun) {
        publish(entry, "replay.ended");
    }
    for (unsigned i = 0; i < entry->n_waiters; i++) {
        answer_json(&entry->waiters[i], replay_run_json(entry->run));
    }
    entry->n_waiters = 0;
}

static void begin(struct entry *entry, enum replay_state state)
{
    struct err err = replay_run_error(entry->run);
    struct asker starter = entry->starter;
    bool failed = state == REPLAY_ENDED && err.code < 0;

    entry->is_awaited = false;
    if (failed) {
        answer_error(&starter, &err);
        return;
    }
    entry->has_begun = true;
    entry->replays->started++;
    publish(entry, "replay.started");
    answer_json(&starter, replay_run_json(entry->run));
}

static void finish_if_idle(struct replays *replays)
{
    void (*drained)(struct node *) = replays->drained;

    if (replays->n_running == 0 && drained != NULL) {
        replays->drained = NULL;
        drained(replays->node);
    }
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct replays *replays = container_of((uv_async_t *)handle, struct replays, wake);
    struct node *node = replays->node;
    void (*closed)(struct node *) = replays->closed;

    while (!TAILQ_EMPTY(&replays->entries)) {
        forget(replays, TAILQ_FIRST(&replays->entries));
    }
    mem_free(replays);
    node->replays = NULL;
    closed(node);
}

/* Everything is in order before somebody is told: he may ask for the next thing at once. */
static void look_at(struct entry *entry)
{
    enum replay_state state = replay_run_state(entry->run);

    if (entry->is_awaited && state != REPLAY_OPENING) {
        begin(entry, state);
    }
    if (state == REPLAY_ENDED && !entry->has_ended) {
        end(entry);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct replays *replays = container_of(wake, struct replays, wake);
    struct entry *entry;

    TAILQ_FOREACH (entry, &replays->entries, link) {
        look_at(entry);
    }
    forget_oldest(replays);
    finish_if_idle(replays);
    if (replays->closed != NULL && replays->n_running == 0 && !uv_is_closing((uv_handle_t *)wake)) {
        uv_close((uv_handle_t *)wake, on_wake_closed);
    }
}

/* On the thread of a replay. */
static void on_changed(void *arg)
{
    struct entry *entry = arg;

    uv_async_send(&entry->replays->wake);
}

/* ---- asking ---- */

static struct entry *find(struct replays *replays, const char *id, struct err *err)
{
    struct entry *found = NULL;
    struct entry *entry;

    TAILQ_FOREACH (entry, &replays->entries, link) {
        if (strlen(id) >= PREFIX_MIN && strncmp(replay_run_id(entry->run), id, strlen(id)) == 0) {
            if (found != NULL) {
                err_set(err, ERR_AMBIGUOUS, "several replays have an id that begins with '%.64s'",
                        id);
                return NULL;
            }
            found = entry;
        }
    }
    if (found == NULL) {
        err_set(err, ERR_NOT_FOUND, "there is no replay '%.64s': replay.list lists them", id);
        return NULL;
    }
    return found;
}

static int check(const struct node *node, struct err *err)
{
    if (!node->options->allow_inject) {
        return err_set(err, ERR_PERMISSION,
                       "this node transmits nothing: it runs without --allow-inject");
    }
    if (node->stopping || node->replays->closed != NULL) {
        return err_set(err, ERR_LIMIT, "the node is ending");
    }
    if (node->replays->n_running >= REPLAYS_MAX) {
        return err_set(err, ERR_LIMIT, "%u replays run: wait for one, or end one with replay.stop",
                       REPLAYS_MAX);
    }
    return 0;
}

void replays_start(struct node *node, const struct replay_request *request, const char *who,
                   const struct asker *asker)
{
    struct replays *replays = node->replays;
    struct err err = {0};
    int r = check(node, &err);

    if (r < 0) {
        answer_error(asker, &err);
        return;
    }
    struct entry *entry = x_alloc(sizeof *entry);
    entry->replays = replays;
    entry->is_awaited = true;
    entry->starter = *asker;
    /* The thread may wake the loop at once, but not before this is done. */
    TAILQ_INSERT_TAIL(&replays->entries, entry, link);
    replays->n_running++;
    r = replay_run_start(node->store, request, on_changed, entry, &entry->run, &err);
    if (r < 0) {
        TAILQ_REMOVE(&replays->entries, entry, link);
        replays->n_running--;
        mem_free(entry);
        answer_error(asker, &err);
        return;
    }
    log_info("replay %s of session '%s' is started by %s", replay_run_id(entry->run),
             request->session, who);
}

void replays_stop(struct node *node, const char *id, const char *who, const struct asker *asker)
{
    struct err err = {0};
    struct entry *entry = find(node->replays, id, &err);

    if (entry != NULL && !entry->has_ended && entry->n_waiters == WAITERS_MAX) {
        err_set(&err, ERR_LIMIT, "others stop this replay already");
        entry = NULL;
    }
    if (entry == NULL) {
        answer_error(asker, &err);
    } else if (entry->has_ended) {
        answer_json(asker, replay_run_json(entry->run));
    } else {
        log_info("replay %s is stopped by %s", replay_run_id(entry->run), who);
        entry->waiters[entry->n_waiters++] = *asker;
        replay_run_stop(entry->run, clock_monotonic_ns() + STOP_NS);
    }
}

void replays_list(struct node *node, const struct asker *asker)
{
    json_t *list = json_array();
    struct entry *entry;

    TAILQ_FOREACH (entry, &node->replays->entries, link) {
        json_array_append_new(list, replay_run_json(entry->run));
    }
    answer_json(asker, list);
}

void replays_stats(struct node *node, const char *id, const struct asker *asker)
{
    struct err err = {0};
    struct entry *entry = find(node->replays, id, &err);

    if (entry == NULL) {
        answer_error(asker, &err);
    } else {
        answer_json(asker, replay_run_json(entry->run));
    }
}

/* ---- the part ---- */

int replays_open(struct node *node, struct err *err)
{
    struct replays *replays = x_alloc(sizeof *replays);

    (void)err;
    replays->node = node;
    TAILQ_INIT(&replays->entries);
    uv_async_init(node->loop, &replays->wake, on_wake);
    uv_unref((uv_handle_t *)&replays->wake);
    node->replays = replays;
    return 0;
}

static void stop_all(struct replays *replays, uint64_t deadline_ns)
{
    struct entry *entry;

    TAILQ_FOREACH (entry, &replays->entries, link) {
        if (!entry->has_ended) {
            uv_ref((uv_handle_t *)&replays->wake); /* the loop waits for them */
            replay_run_stop(entry->run, deadline_ns);
        }
    }
}

void replays_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    struct replays *replays = node->replays;
    uint64_t soon_ns = clock_monotonic_ns() + STOP_NS;

    replays->drained = done;
    stop_all(replays, soon_ns < deadline_ns ? soon_ns : deadline_ns);
    finish_if_idle(replays);
}

void replays_close(struct node *node, void (*closed)(struct node *node))
{
    struct replays *replays = node->replays;

    replays->closed = closed;
    stop_all(replays, clock_monotonic_ns());
    uv_ref((uv_handle_t *)&replays->wake);
    uv_async_send(&replays->wake);
}

void replays_metrics(struct node *node, struct buf *out)
{
    const struct replays *replays = node->replays;
    uint64_t packets = replays->packets;
    uint64_t bytes = replays->bytes;
    struct entry *entry;

    TAILQ_FOREACH (entry, &replays->entries, link) {
        uint64_t n_packets;
        uint64_t n_bytes;
        replay_run_counts(entry->run, &n_packets, &n_bytes);
        packets += n_packets;
        bytes += n_bytes;
    }
    metrics_family(out, "packetrecorder_replays", "gauge", "Replays that run.");
    metrics_count(out, "packetrecorder_replays", "", replays->n_running);
    metrics_family(out, "packetrecorder_replays_started_total", "counter",
                   "Replays that were started.");
    metrics_count(out, "packetrecorder_replays_started_total", "", replays->started);
    metrics_family(out, "packetrecorder_replays_failed_total", "counter",
                   "Replays that could not begin, or ended with an error.");
    metrics_count(out, "packetrecorder_replays_failed_total", "", replays->failed);
    metrics_family(out, "packetrecorder_replayed_packets_total", "counter",
                   "Packets that replays sent.");
    metrics_count(out, "packetrecorder_replayed_packets_total", "", packets);
    metrics_family(out, "packetrecorder_replayed_bytes_total", "counter",
                   "Bytes of packets that replays sent.");
    metrics_count(out, "packetrecorder_replayed_bytes_total", "", bytes);
}
