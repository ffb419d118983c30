/* SPDX-License-Identifier: Apache-2.0
 *
 * A job's capture. Whether it could be captured is tried on a worker: every interface that it
 * names, or that fits a pattern of it, is opened with its filter, and closed again. The capture
 * itself is one of node/captures, opened before the job's first instant and cut by the stamps of
 * its packets.
 */
#include "node/jobs_internal_uv.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/captures.h"
#include "node/devices_uv.h"
#include "node/gauges.h"
#include "node/remote_name.h"
#include "node/sources.h"
#include "node/work.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/capture/interfaces_pcap.h"

#define FREE_LEAST (64u << 20) /* bytes on the disk of the store */
/* Of the ring of a source that is closed at once: what the kernel has to clear takes longer than
 * all the rest of the check. */
#define CHECK_RING_BYTES (512u * 1024u)

/* The interfaces of a job here, and what is done with them. */
struct chosen {
    struct job_entry *entry; /* held */
    void (*then)(struct chosen *chosen);
    char names[SESSION_MAX_SOURCES][IFACE_NAME_MAX];
    size_t n;
    bool too_many;
    struct err err;
    /* Of the check, on a worker. */
    struct node *node;
    char filter[JOB_FILTER_MAX + 1];
    uint32_t snaplen;
    bool promisc;
};

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

static void add_name(struct chosen *chosen, const char *name)
{
    for (size_t i = 0; i < chosen->n; i++) {
        if (strcmp(chosen->names[i], name) == 0) {
            return;
        }
    }
    if (chosen->n == SESSION_MAX_SOURCES) {
        chosen->too_many = true;
        return;
    }
    snprintf(chosen->names[chosen->n++], IFACE_NAME_MAX, "%s", name);
}

static void add_fitting(struct chosen *chosen, const char *pattern,
                        const struct interface_list *list)
{
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        const struct interface *one = &list->items[i];
        if (one->is_device && one->up && fnmatch(pattern, one->name, 0) == 0) {
            add_name(chosen, one->name);
        }
    }
}

/* list: NULL where there is no pattern among the words. */
static void add_words(struct chosen *chosen, const struct interface_list *list)
{
    char words[JOB_INTERFACE_MAX + 1];
    char *rest = words;

    memcpy(words, chosen->entry->job.spec.interface, sizeof words);
    while (rest != NULL) {
        const char *word = strsep(&rest, " ");
        if (is_pattern(word)) {
            add_fitting(chosen, word, list);
        } else if (word[0] != '\0') {
            add_name(chosen, word);
        }
    }
}

static void on_devices(const json_t *all, const struct interface_list *list, void *arg)
{
    struct chosen *chosen = arg;

    (void)all;
    add_words(chosen, list);
    chosen->then(chosen);
}

static void choose(struct job_entry *entry, void (*then)(struct chosen *chosen))
{
    struct chosen *chosen = x_alloc(sizeof *chosen);
    const struct job_spec *spec = &entry->job.spec;

    *chosen = (struct chosen){.entry = entry,
                              .then = then,
                              .node = entry->jobs->node,
                              .snaplen = spec->snaplen,
                              .promisc = spec->promisc};
    memcpy(chosen->filter, spec->filter, sizeof chosen->filter);
    jobs_busy(entry);
    if (is_pattern(spec->interface)) {
        devices_ask(entry->jobs->node, on_devices, chosen);
    } else {
        add_words(chosen, NULL);
        then(chosen);
    }
}

static void let_go(struct chosen *chosen)
{
    struct job_entry *entry = chosen->entry;

    mem_free(chosen);
    jobs_idle(entry);
}

static int check_chosen(struct chosen *chosen)
{
    const char *pattern = chosen->entry->job.spec.interface;

    if (chosen->n == 0) {
        return err_set(&chosen->err, ERR_NOT_FOUND, "no interface that is up fits '%s'", pattern);
    }
    if (chosen->too_many) {
        return err_set(&chosen->err, ERR_LIMIT, "'%s' fits more than %d interfaces", pattern,
                       SESSION_MAX_SOURCES);
    }
    return 0;
}

/* ---- the check ---- */

static int check_store(struct chosen *chosen)
{
    const struct gauges_sample *sample = gauges_newest(chosen->node->gauges);
    char size[TEXT_NUMBER_MAX];

    if (sample->taken_ns == 0) {
        return 0; /* the very first second of a node */
    }
    if (sample->store.no_writing[0] != '\0') {
        return err_set(&chosen->err, ERR_IO, "%s", sample->store.no_writing);
    }
    if (sample->store.free_bytes < FREE_LEAST) {
        text_format_size(sample->store.free_bytes, size);
        return err_set(&chosen->err, ERR_FULL, "the disk of the store is full: %s are free", size);
    }
    return 0;
}

static void run_check(void *arg)
{
    struct chosen *chosen = arg;

    for (size_t i = 0; i < chosen->n && chosen->err.code == 0; i++) {
        const struct source_request request = {.interface = chosen->names[i],
                                               .filter = chosen->filter[0] == '\0' ? NULL
                                                                                   : chosen->filter,
                                               .snaplen = chosen->snaplen,
                                               .promisc = chosen->promisc,
                                               .buffer_bytes = CHECK_RING_BYTES,
                                               .lossless = true};
        struct source *source = NULL;
        char *excluded = NULL;
        if (node_source_open(chosen->node, &request, &source, &excluded, &chosen->err) == 0) {
            source->ops->close(source);
            mem_free(excluded);
        }
    }
}

static void on_checked(void *arg, bool cancelled)
{
    struct chosen *chosen = arg;
    struct job_entry *entry = chosen->entry;

    if (cancelled) {
        err_set(&chosen->err, ERR_LIMIT, "the node is ending");
    }
    job_on_checked(&entry->job, chosen->err.code < 0 ? chosen->err.text : NULL,
                   jobs_now_ns(entry->jobs));
    jobs_drive(entry);
    let_go(chosen);
}

static bool has_far(const struct chosen *chosen)
{
    bool has = false;

    for (size_t i = 0; i < chosen->n; i++) {
        has = has || remote_name_is(chosen->names[i]);
    }
    return has;
}

static void check(struct chosen *chosen)
{
    if (check_chosen(chosen) < 0 || check_store(chosen) < 0) {
        on_checked(chosen, false);
    } else if (has_far(chosen)) {
        work_run_apart(chosen->node, run_check, on_checked, chosen);
    } else if (!work_run(chosen->node, run_check, on_checked, chosen)) {
        err_set(&chosen->err, ERR_LIMIT, "the node has too much to do: try again later");
        on_checked(chosen, false);
    }
}

void jobs_check(struct job_entry *entry)
{
    choose(entry, check);
}

/* ---- the capture ---- */

static uint64_t count_of(const json_t *object, const char *name, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

static void take_session(struct job *job, const json_t *session)
{
    const json_t *loss = json_object_get(session, "loss");

    job_on_tally(job, &(struct job_tally){
                          .packets = count_of(session, "packets", 0),
                          .bytes = count_of(session, "bytes", 0),
                          .lost_kernel = count_of(loss, "kernel", UINT64_MAX),
                          .lost_interface = count_of(loss, "interface", UINT64_MAX),
                          .lost_store = count_of(loss, "store", UINT64_MAX),
                          .limit = count_of(loss, "limit", 0),
                      });
}

static void on_ended(void *arg, const json_t *session, const struct err *failure)
{
    struct job_entry *entry = arg;
    const char *state = json_string_value(json_object_get(session, "state"));
    enum job_end end = failure != NULL               ? JOB_ENDED_BADLY
                       : entry->jobs->node->stopping ? JOB_ENDED_DOWN
                                                     : JOB_ENDED_WELL;
    const char *why = failure != NULL ? failure->text : NULL;

    if (session != NULL) {
        take_session(&entry->job, session);
    }
    if (why == NULL && state != NULL && strcmp(state, "disk_full") == 0) {
        why = "the disk was full: see what the store lost";
        end = end == JOB_ENDED_WELL ? JOB_ENDED_BADLY : end;
    }
    job_on_ended(&entry->job, end, why, jobs_now_ns(entry->jobs));
    jobs_drive(entry);
    jobs_idle(entry);
}

static void on_started(void *arg, const char *id, const struct err *err)
{
    struct job_entry *entry = arg;

    job_on_opened(&entry->job, id, id == NULL ? err->text : NULL, jobs_now_ns(entry->jobs));
    jobs_drive(entry);
    if (id == NULL) {
        jobs_idle(entry);
    }
}

/* Swarm time as this host's wall clock has it now. */
static uint64_t wall_of(const struct jobs *jobs, int64_t swarm_ns)
{
    int64_t wall = swarm_ns + jobs->offset_ns;

    return wall > 0 ? (uint64_t)wall : 1;
}

static void start(struct chosen *chosen)
{
    struct job_entry *entry = chosen->entry;
    const struct job_spec *spec = &entry->job.spec;
    const char *names[SESSION_MAX_SOURCES];
    char id[ID_TEXT_MAX];
    char tags[96];

    if (check_chosen(chosen) < 0) {
        job_on_opened(&entry->job, NULL, chosen->err.text, jobs_now_ns(entry->jobs));
        jobs_drive(entry);
        let_go(chosen);
        return;
    }
    for (size_t i = 0; i < chosen->n; i++) {
        names[i] = chosen->names[i];
    }
    id_format(&spec->id, id);
    snprintf(tags, sizeof tags, "{\"job\":\"%s\"}", id);
    (void)jobs_now_ns(entry->jobs); /* the offset of now */
    const struct capture_request request = {
        .interfaces = names,
        .n_interfaces = chosen->n,
        .filter = spec->filter,
        .name = spec->name,
        .tags = tags,
        .max_packets = spec->max_packets,
        .max_bytes = spec->max_bytes,
        .resumes = entry->job.is_resumed,
        .snaplen = spec->snaplen,
        .promisc = spec->promisc,
        .from_ns = wall_of(entry->jobs, spec->start_ns),
        .until_ns = wall_of(entry->jobs, spec->end_ns),
        .clock_reference = spec->creator == jobs_self(entry->jobs) ? 0 : spec->creator,
        .ended = on_ended,
        .ended_arg = entry,
    };
    jobs_busy(entry); /* until it has ended */
    captures_start(entry->jobs->node->captures, &request, on_started, entry);
    let_go(chosen);
}

void jobs_start(struct job_entry *entry)
{
    choose(entry, start);
}

static void on_stopped(void *arg, json_t *session)
{
    (void)arg; /* on_ended tells */
    json_decref(session);
}

void jobs_end(struct job_entry *entry)
{
    struct err err = {0};

    if (captures_stop(entry->jobs->node->captures, entry->job.session, on_stopped, NULL, &err) <
            0 &&
        err.code != ERR_NOT_FOUND) { /* it is just ending */
        job_on_ended(&entry->job, JOB_ENDED_BADLY, err.text, jobs_now_ns(entry->jobs));
    }
}
