/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recording.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/node.h"
#include "node/sources.h"
#include "node/uplinks.h"
#include "node/store_access.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/session_json.h"

static char *copy(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : x_strdup(text);
}

struct recording *recording_new(struct node *node, const struct capture_request *request)
{
    struct recording *rec = x_alloc(sizeof *rec);

    rec->node = node;
    rec->interfaces = x_alloc((request->n_interfaces + 1) * sizeof *rec->interfaces);
    for (size_t i = 0; i < request->n_interfaces; i++) {
        rec->interfaces[rec->n_interfaces++] = x_strdup(request->interfaces[i]);
    }
    rec->filter = copy(request->filter);
    rec->name = copy(request->name);
    rec->tags = copy(request->tags);
    rec->max_packets = request->max_packets;
    rec->max_bytes = request->max_bytes;
    rec->duration_ns = request->duration_ns;
    rec->from_ns = request->from_ns;
    rec->until_ns = request->until_ns;
    rec->resumes = request->resumes;
    rec->snaplen = request->snaplen;
    rec->promisc = request->promisc;
    recording_clock_init(&rec->clock, node, request->clock_reference);
    pthread_mutex_init(&rec->lock, NULL);
    return rec;
}

static void close_sources(struct recording *rec)
{
    for (uint32_t i = 0; i < rec->n_sources; i++) {
        rec->sources[i]->ops->close(rec->sources[i]);
    }
    rec->n_sources = 0;
}

void recording_free(struct recording *rec)
{
    if (rec == NULL) {
        return;
    }
    REQUIRE(rec->session == NULL && rec->n_sources == 0 && rec->store == NULL);
    for (size_t i = 0; i < rec->n_interfaces; i++) {
        mem_free(rec->interfaces[i]);
    }
    mem_free(rec->interfaces);
    mem_free(rec->filter);
    mem_free(rec->name);
    mem_free(rec->tags);
    mem_free(rec->excluded);
    store_session_deinit(&rec->described);
    recording_clock_deinit(&rec->clock);
    json_decref(rec->result);
    pthread_mutex_destroy(&rec->lock);
    mem_free(rec);
}

static int open_sources(struct recording *rec, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < rec->n_interfaces && r == 0; i++) {
        const struct source_request request = {
            .interface = rec->interfaces[i],
            .filter = rec->filter,
            .snaplen = rec->snaplen,
            .promisc = rec->promisc,
            .buffer_bytes = rec->node->options->buffer_bytes,
            .lossless = true,
            .settled = rec->n_interfaces == 1,
        };
        char *excluded = NULL;
        r = node_source_open(rec->node, &request, &rec->sources[rec->n_sources], &excluded, err);
        rec->n_sources += r == 0;
        if (r == 0 && excluded != NULL && excluded[0] != '\0' && rec->excluded == NULL) {
            rec->excluded = excluded;
        } else {
            mem_free(excluded);
        }
    }
    return r;
}

static int subtract(uint64_t *limit, uint64_t used, struct err *err)
{
    if (*limit != 0 && used >= *limit) {
        return err_set(err, ERR_LIMIT, "the session had reached its limit when the node went down");
    }
    *limit -= *limit == 0 ? 0 : used;
    return 0;
}

/* The newest session of these tags, "" for none. */
static int find_resumed(struct recording *rec, char id[STORE_ID_TEXT], struct err *err)
{
    struct store_session *all = NULL;
    size_t n = 0;
    int r = store_sessions(rec->store, &all, &n, err);

    id[0] = '\0';
    for (size_t i = n; r == 0 && i > 0 && id[0] == '\0'; i--) {
        const struct store_session *one = &all[i - 1];
        if (strcmp(one->tags, rec->tags) == 0) {
            memcpy(id, one->id, STORE_ID_TEXT);
            rec->described.started_ns = one->started_ns;
            rec->is_resumed = true;
            r = subtract(&rec->max_packets, one->packets, err);
            r = r < 0 ? r : subtract(&rec->max_bytes, one->bytes, err);
        }
    }
    store_sessions_free(all, n);
    return r;
}

static int open_writer(struct recording *rec, struct err *err)
{
    uint64_t now_ns = clock_wall_ns();
    rec->described.started_ns = rec->from_ns > now_ns ? rec->from_ns : now_ns;
    char old[STORE_ID_TEXT] = "";
    int r = node_store_hold(rec->node->store, &rec->store, err);
    r = r < 0 || !rec->resumes ? r : find_resumed(rec, old, err);
    const struct store_session_spec spec = {
        .resume = old[0] == '\0' ? NULL : old,
        .name = rec->name,
        .node = rec->node->name,
        .filter = rec->filter,
        .excluded = rec->excluded,
        .tags = rec->tags,
        .started_ns = rec->described.started_ns,
        .quota_bytes = rec->node->options->quota_bytes,
        .clock = recording_clock_look,
        .clock_arg = &rec->clock,
    };
    char id[STORE_ID_TEXT];

    r = r < 0 ? r : store_writer_new(rec->store, &spec, &rec->writer, id, err);
    if (r == 0) {
        memcpy(rec->described.id, id, sizeof rec->described.id);
        rec->encrypted = store_is_encrypted(rec->store);
    }
    return r;
}

static int start_session(struct recording *rec, struct err *err)
{
    const struct session_consumer consumer = {.consumer = rec->writer};
    const struct session_spec spec = {
        .sources = rec->sources,
        .n_sources = rec->n_sources,
        .consumers = &consumer,
        .n_consumers = 1,
        .max_packets = rec->max_packets,
        .max_bytes = rec->max_bytes,
        .duration_ns = rec->duration_ns,
        .from_ns = rec->from_ns,
        .until_ns = rec->until_ns,
    };

    return session_start(&spec, &rec->session, err);
}

static void put(char *out, size_t n, const char *text)
{
    snprintf(out, n, "%s", text == NULL ? "" : text);
}

static void describe(struct recording *rec)
{
    struct store_session *d = &rec->described;

    put(d->name, sizeof d->name, rec->name);
    put(d->node, sizeof d->node, rec->node->name);
    put(d->filter, sizeof d->filter, rec->filter);
    put(d->tags, sizeof d->tags, rec->tags);
    put(d->excluded, sizeof d->excluded, rec->excluded);
    d->ifaces = x_alloc(rec->n_sources * sizeof *d->ifaces);
    for (uint32_t i = 0; i < rec->n_sources; i++) {
        if (rec->sources[i]->n_ifaces > 0) {
            d->ifaces[d->n_ifaces++] = rec->sources[i]->ifaces[0];
        }
    }
}

/* A capture that could not start is no session. */
static void forget_session(struct recording *rec)
{
    struct store_session *session = NULL;

    if (rec->described.id[0] != '\0' && !rec->is_resumed &&
        store_session_find(rec->store, rec->described.id, &session, NULL) == 0) {
        (void)store_delete_session(rec->store, session, NULL);
        store_sessions_free(session, 1);
    }
}

static void give_up(struct recording *rec)
{
    store_writer_free(rec->writer);
    rec->writer = NULL;
    if (rec->store != NULL) {
        forget_session(rec);
        node_store_release(rec->node->store, rec->store);
        rec->store = NULL;
    }
    close_sources(rec);
}

int recording_start(struct recording *rec, struct err *err)
{
    int r = open_sources(rec, err);

    r = r < 0 ? r : open_writer(rec, err);
    r = r < 0 ? r : start_session(rec, err);
    if (r < 0) {
        give_up(rec);
        return r;
    }
    describe(rec);
    return 0;
}

/* Of the first source of which something is left out, as at the start. */
static void sample_excluded(const struct recording *rec, struct recording_sample *out)
{
    put(out->excluded, sizeof out->excluded, NULL);
    for (uint32_t i = 0; i < rec->n_sources && out->excluded[0] == '\0'; i++) {
        char *now = node_source_excluded(rec->sources[i]);
        put(out->excluded, sizeof out->excluded, now);
        mem_free(now);
    }
}

bool recording_sample(struct recording *rec, struct recording_sample *out)
{
    pthread_mutex_lock(&rec->lock);
    bool goes_on = !rec->is_over;
    if (goes_on) {
        session_snapshot(rec->session, &out->counters);
        store_writer_stats(rec->writer, &out->stats);
        rec->lost = out->counters.total.store;
        sample_excluded(rec, out);
    }
    pthread_mutex_unlock(&rec->lock);
    return goes_on;
}

void recording_settle(struct recording *rec)
{
    struct store_writer_stats stats;

    if (rec->n_sources != 1 || pthread_mutex_trylock(&rec->lock) != 0) {
        return;
    }
    if (!rec->is_over) {
        store_writer_stats(rec->writer, &stats);
        uplink_source_settled(rec->sources[0], stats.durable + rec->lost);
    }
    pthread_mutex_unlock(&rec->lock);
}

/* As the catalogue has it; when that cannot be read, as we know it. */
static struct json_t *final_json(struct recording *rec)
{
    struct store_session *stored = NULL;
    struct err err = {0};

    if (store_session_find(rec->store, rec->described.id, &stored, &err) < 0) {
        log_warn("session %s cannot be read back: %s", rec->described.id, err.text);
        return recording_json(rec, &rec->last);
    }
    struct json_t *object = session_json(stored, rec->encrypted);
    store_sessions_free(stored, 1);
    return object;
}

static void note_failure(const struct recording *rec)
{
    struct err err = {0};

    if (rec->failure.code < 0 &&
        store_session_failed(rec->store, rec->described.id, rec->failure.text, &err) < 0) {
        log_warn("why session %s ended is not in the store: %s", rec->described.id, err.text);
    }
}

void recording_finish(struct recording *rec)
{
    pthread_mutex_lock(&rec->lock);
    rec->is_over = true;
    const struct session_result *result = session_result(rec->session);
    rec->last.counters = result->counters;
    store_writer_stats(rec->writer, &rec->last.stats);
    rec->end = result->end;
    rec->is_void = result->ended_ns < rec->from_ns;
    if (result->code < 0) {
        rec->failure = result->err;
        rec->failure.code = result->code;
    }
    pthread_mutex_unlock(&rec->lock);
    store_writer_free(rec->writer);
    rec->writer = NULL;
    note_failure(rec);
    rec->result = rec->is_void ? recording_json(rec, &rec->last) : final_json(rec);
    if (rec->is_void) {
        forget_session(rec);
    }
    session_free(rec->session);
    rec->session = NULL;
    close_sources(rec);
    node_store_release(rec->node->store, rec->store);
    rec->store = NULL;
}

struct json_t *recording_json(struct recording *rec, const struct recording_sample *sample)
{
    struct store_session now = rec->described;

    now.state = sample->stats.state;
    now.packets = sample->stats.packets;
    now.bytes = sample->stats.bytes;
    now.stored_bytes = sample->stats.stored_bytes;
    now.loss = sample->counters.total;
    if (sample->excluded[0] != '\0') {
        put(now.excluded, sizeof now.excluded, sample->excluded);
    }
    recording_clock_show(&rec->clock, &now.clock);
    struct json_t *object = session_json(&now, rec->encrypted);
    clock_samples_deinit(&now.clock);
    return object;
}
