/* SPDX-License-Identifier: Apache-2.0
 *
 * What the captures are and what they have counted. Reading the counters asks each capture thread,
 * so it is done on a worker, for all of them at once.
 */
#include "node/captures_internal_uv.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "node/node.h"
#include "node/work.h"
#include "shared/base/mem.h"

#define PREFIX_MIN 8

/* ---- reading ---- */

struct sampling {
    struct captures *captures;
    size_t n;
    struct {
        struct capture *capture; /* a reference */
        struct recording_sample sample;
        bool taken;
    } * items;
};

static void run_sampling(void *arg)
{
    struct sampling *s = arg;

    for (size_t i = 0; i < s->n; i++) {
        s->items[i].taken = recording_sample(s->items[i].capture->rec, &s->items[i].sample);
    }
}

static void tell_refreshed(struct captures *c)
{
    struct refresh_waiter *waiter = c->refreshing;

    c->refreshing = NULL;
    while (waiter != NULL) {
        struct refresh_waiter *next = waiter->next;
        waiter->done(waiter->arg);
        mem_free(waiter);
        waiter = next;
    }
}

static void on_sampled(void *arg, bool cancelled)
{
    struct sampling *s = arg;
    struct captures *c = s->captures;

    for (size_t i = 0; i < s->n; i++) {
        struct capture *capture = s->items[i].capture;
        if (!cancelled && s->items[i].taken) {
            capture->sample = s->items[i].sample;
            capture->is_sampled = true;
        }
        capture_unref(capture);
    }
    mem_free(s->items);
    mem_free(s);
    c->is_sampling = false;
    tell_refreshed(c);
    captures_maybe_drained(c);
}

void captures_sample(struct captures *c)
{
    struct sampling *s;
    struct capture *capture;
    size_t n = 0;

    if (c->is_sampling) {
        return;
    }
    TAILQ_FOREACH (capture, &c->all, next) {
        n++;
    }
    s = x_alloc(sizeof *s);
    s->captures = c;
    s->items = x_alloc((n + 1) * sizeof *s->items);
    TAILQ_FOREACH (capture, &c->all, next) {
        if (capture->state == CAPTURE_RUNNING) {
            capture->refs++;
            s->items[s->n++].capture = capture;
        }
    }
    c->is_sampling = true;
    if (!work_run(c->node, run_sampling, on_sampled, s)) {
        on_sampled(s, true);
    }
}

void captures_refresh(struct captures *c, void (*done)(void *arg), void *arg)
{
    struct refresh_waiter *waiter = x_alloc(sizeof *waiter);

    *waiter = (struct refresh_waiter){.next = c->refreshing, .done = done, .arg = arg};
    c->refreshing = waiter;
    captures_sample(c);
}

void captures_settle(struct captures *c)
{
    struct capture *capture;

    TAILQ_FOREACH (capture, &c->all, next) {
        if (capture->state == CAPTURE_RUNNING) {
            recording_settle(capture->rec);
        }
    }
}

/* ---- finding ---- */

static bool is_shown(const struct capture *capture)
{
    return capture->state != CAPTURE_STARTING;
}

static bool id_fits(const struct capture *capture, const char *text, bool by_name)
{
    const struct recording *rec = capture->rec;
    size_t n = strlen(text);

    if (by_name) {
        return rec->name != NULL && strcmp(rec->name, text) == 0;
    }
    return n >= PREFIX_MIN && n < STORE_ID_TEXT && strncasecmp(rec->described.id, text, n) == 0;
}

int capture_find(struct captures *c, const char *id, struct capture **out, struct err *err)
{
    struct capture *capture;
    struct capture *found = NULL;
    unsigned n = 0;

    for (int by_name = 0; by_name < 2 && n == 0; by_name++) {
        TAILQ_FOREACH (capture, &c->all, next) {
            if (is_shown(capture) &&
                ((strcmp(id, "last") == 0) || id_fits(capture, id, by_name == 1))) {
                n = strcmp(id, "last") == 0 ? 1 : n + 1;
                found = capture;
            }
        }
    }
    if (n == 0) {
        return err_set(err, ERR_NOT_FOUND, "no running capture '%s'", id);
    }
    if (n > 1) {
        return err_set(err, ERR_AMBIGUOUS, "'%s' fits several captures: give more of the id", id);
    }
    *out = found;
    return 0;
}

/* ---- telling ---- */

struct json_t *captures_list(struct captures *c)
{
    json_t *list = json_array();
    struct capture *capture;

    TAILQ_FOREACH (capture, &c->all, next) {
        if (is_shown(capture)) {
            json_array_append_new(list, recording_json(capture->rec, &capture->sample));
        }
    }
    return list;
}

struct json_t *captures_find(struct captures *c, const char *id, struct err *err)
{
    struct capture *capture = NULL;

    if (capture_find(c, id, &capture, err) < 0 || capture == NULL) {
        return NULL;
    }
    return recording_json(capture->rec, &capture->sample);
}

static const struct capture *shown(const struct captures *c, const char *id)
{
    const struct capture *capture;

    TAILQ_FOREACH (capture, &c->all, next) {
        if (is_shown(capture) && strcmp(capture->rec->described.id, id) == 0) {
            return capture;
        }
    }
    return NULL;
}

bool captures_counters(struct captures *c, const char *id, struct session_counters *out)
{
    const struct capture *capture = shown(c, id);

    if (capture != NULL) {
        *out = capture->sample.counters;
    }
    return capture != NULL;
}

bool captures_stats(struct captures *c, const char *id, struct store_writer_stats *out)
{
    const struct capture *capture = shown(c, id);

    if (capture != NULL) {
        *out = capture->sample.stats;
    }
    return capture != NULL;
}

bool captures_has(const struct captures *c, const char *id)
{
    return shown(c, id) != NULL;
}

/* ---- counting ---- */

/* What is known of any of them. */
static void add_counter(uint64_t *sum, uint64_t value)
{
    if (value != LEDGER_UNKNOWN) {
        *sum = *sum == LEDGER_UNKNOWN ? value : *sum + value;
    }
}

void captures_add(struct captures_totals *totals, const struct recording_sample *sample)
{
    const struct ledger *from = &sample->counters.total;
    struct ledger *to = &totals->ledger;

    add_counter(&to->captured, from->captured);
    add_counter(&to->bytes, from->bytes);
    add_counter(&to->received, from->received);
    add_counter(&to->kernel, from->kernel);
    add_counter(&to->interface, from->interface);
    add_counter(&to->limit, from->limit);
    add_counter(&to->store, from->store);
    for (int i = 0; i < PROTOCOLS; i++) {
        totals->protocols.packets[i] += sample->stats.protocols.packets[i];
        totals->protocols.bytes[i] += sample->stats.protocols.bytes[i];
    }
    for (int i = 0; i < STORE_DELAY_BUCKETS; i++) {
        totals->delays.buckets[i] += sample->stats.delays.buckets[i];
    }
    totals->delays.count += sample->stats.delays.count;
    totals->delays.sum_ns += sample->stats.delays.sum_ns;
}

const struct capture_failure *captures_failed(const struct captures *c, size_t *n)
{
    return capture_failures_newest(&c->failures, uv_now(c->node->loop), n);
}

void captures_totals(const struct captures *c, struct captures_totals *out)
{
    const struct capture *capture;

    *out = c->past;
    TAILQ_FOREACH (capture, &c->all, next) {
        if (!is_shown(capture)) {
            continue;
        }
        out->running++;
        out->disk_full += capture->sample.stats.state == STORE_DISK_FULL;
        if (capture->is_sampled) {
            captures_add(out, &capture->sample);
            out->queue_bytes += capture->sample.counters.queue_bytes;
            out->queue_limit += capture->sample.counters.queue_limit;
        }
    }
}
