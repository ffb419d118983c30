/* SPDX-License-Identifier: Apache-2.0
 *
 * The manifest of a merged download: what is in the file, from whom, and what lacks
 * (docs/merged-files.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/pull.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define MANIFEST_VERSION 1

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : to_json_text(text);
}

/* As the node said it, or null. */
static json_t *as_told(const json_t *session, const char *name)
{
    json_t *value = json_object_get(session, name);

    return value == NULL ? json_null() : json_incref(value);
}

static json_t *clock_json(const struct pull_source *source)
{
    uint64_t bound_ns = 0;
    int steps = 0;

    if (source->n_clock == 0) {
        return json_null();
    }
    for (uint32_t i = 0; i < source->n_clock; i++) {
        bound_ns = source->clock[i].bound_ns > bound_ns ? source->clock[i].bound_ns : bound_ns;
        steps += source->clock[i].is_step ? 1 : 0;
    }
    return json_pack(
        "{s:I, s:I, s:o, s:I, s:i}", "offset_ns", (json_int_t)source->clock[0].offset_ns,
        "last_offset_ns", (json_int_t)source->clock[source->n_clock - 1].offset_ns, "bound_ns",
        to_json_count(bound_ns), "samples", (json_int_t)source->n_clock, "steps", steps);
}

static json_t *session_json(const struct pull *pull, uint32_t i)
{
    const struct pull_source *source = &pull->plan.sources[i];
    const struct pull_stream *stream = &pull->streams[i];
    struct merge_told told = merge_told(pull->merge, i);
    json_t *object = json_object();

    json_object_set_new(object, "id", to_json_text(source->id));
    json_object_set_new(object, "name", as_told(source->session, "name"));
    json_object_set_new(object, "interfaces", as_told(source->session, "interfaces"));
    json_object_set_new(object, "started", as_told(source->session, "started"));
    json_object_set_new(object, "ended", as_told(source->session, "ended"));
    json_object_set_new(object, "state", as_told(source->session, "state"));
    json_object_set_new(object, "complete", json_boolean(stream->why == NULL));
    json_object_set_new(object, "reason", text_or_null(stream->why));
    json_object_set_new(object, "packets", to_json_count(told.packets));
    json_object_set_new(object, "bytes", to_json_count(told.bytes));
    json_object_set_new(object, "first", to_json_time(told.first_ns));
    json_object_set_new(object, "last",
                        to_json_time(told.packets == 0 ? UINT64_MAX : told.last_ns));
    json_object_set_new(object, "late", to_json_count(told.late));
    json_object_set_new(object, "late_max_ns", to_json_count(told.late_max_ns));
    json_object_set_new(object, "missing", to_json_count(stream->missing));
    json_object_set_new(object, "left_out", to_json_count(told.left_out + stream->left_out));
    json_object_set_new(object, "loss", as_told(source->session, "loss"));
    json_object_set_new(object, "clock", clock_json(source));
    return object;
}

static bool is_same_node(const struct pull_source *a, const struct pull_source *b)
{
    return strcmp(a->node, b->node) == 0 &&
           (a->node_id == NULL || b->node_id == NULL ? a->node_id == b->node_id
                                                     : strcmp(a->node_id, b->node_id) == 0);
}

static json_t *node_json(const char *node, const char *id, bool is_complete, const char *why)
{
    return json_pack("{s:o, s:o, s:b, s:o, s:[]}", "node", to_json_text(node), "id",
                     text_or_null(id), "complete", (int)is_complete, "reason", text_or_null(why),
                     "sessions");
}

/* Sources are sorted by node. */
static json_t *nodes_json(const struct pull *pull)
{
    const struct pull_plan *plan = &pull->plan;
    json_t *list = json_array();
    json_t *node = NULL;

    for (uint32_t i = 0; i < plan->n_sources; i++) {
        const struct pull_source *source = &plan->sources[i];
        const char *why = pull->streams[i].why;
        if (i == 0 || !is_same_node(source, &plan->sources[i - 1])) {
            node = node_json(source->node, source->node_id, true, NULL);
            json_array_append_new(list, node);
        }
        if (why != NULL) {
            json_object_set_new(node, "complete", json_false());
            json_object_set_new(node, "reason", to_json_text(why));
        }
        json_array_append_new(json_object_get(node, "sessions"), session_json(pull, i));
    }
    for (uint32_t i = 0; i < plan->n_absent; i++) {
        const struct pull_absent *absent = &plan->absent[i];
        json_array_append_new(
            list, node_json(absent->node, absent->node_id, absent->is_expected, absent->why));
    }
    return list;
}

static json_t *common_time(const struct pull_plan *plan)
{
    if (plan->reference != NULL) {
        return json_pack("{s:s, s:s}", "of", "member", "id", plan->reference);
    }
    return plan->is_one_swarm ? json_pack("{s:s, s:n}", "of", "swarm", "id")
                              : json_pack("{s:s, s:n}", "of", "each node", "id");
}

static void sum_up(const struct pull *pull, json_t *object)
{
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint64_t late = 0;
    uint64_t first_ns = UINT64_MAX;
    uint64_t last_ns = 0;
    bool is_complete = true;

    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        struct merge_told told = merge_told(pull->merge, i);
        packets += told.packets;
        bytes += told.bytes;
        late += told.late;
        first_ns = told.first_ns < first_ns ? told.first_ns : first_ns;
        last_ns = told.last_ns > last_ns ? told.last_ns : last_ns;
        is_complete = is_complete && pull->streams[i].why == NULL && pull->streams[i].missing == 0;
    }
    for (uint32_t i = 0; i < pull->plan.n_absent; i++) {
        is_complete = is_complete && pull->plan.absent[i].is_expected;
    }
    json_object_set_new(object, "complete", json_boolean(is_complete));
    json_object_set_new(object, "packets", to_json_count(packets));
    json_object_set_new(object, "bytes", to_json_count(bytes));
    json_object_set_new(object, "late", to_json_count(late));
    json_object_set_new(object, "first", to_json_time(first_ns));
    json_object_set_new(object, "last", to_json_time(packets == 0 ? UINT64_MAX : last_ns));
}

json_t *pull_manifest(struct pull *pull)
{
    const struct pull_opts *opts = pull->opts;
    const char *slash = strrchr(opts->output, '/');
    char sum[2 * PULL_HASH_BYTES + 1];
    json_t *object = json_object();

    pull_hash_text(pull->hash, sum);
    json_object_set_new(object, "format_version", json_integer(MANIFEST_VERSION));
    json_object_set_new(object, "file", to_json_text(slash == NULL ? opts->output : slash + 1));
    json_object_set_new(object, "format", json_string(opts->is_classic ? "pcap" : "pcapng"));
    json_object_set_new(object, "file_bytes", to_json_count(pull->part.offset));
    json_object_set_new(object, "blake2b_256", json_string(sum));
    json_object_set_new(object, "written", to_json_time(clock_wall_ns()));
    json_object_set_new(object, "capture_id", text_or_null(pull->plan.capture_id));
    json_object_set_new(object, "filter", text_or_null(opts->filter));
    json_object_set_new(object, "from",
                        to_json_time(opts->from_ns == 0 ? UINT64_MAX : opts->from_ns));
    json_object_set_new(object, "to", to_json_time(opts->to_ns));
    json_object_set_new(object, "resumed_at", to_json_count(pull->part.resumed_at));
    json_object_set_new(object, "common_time", common_time(&pull->plan));
    sum_up(pull, object);
    json_object_set_new(object, "nodes", nodes_json(pull));
    return object;
}

int pull_write_manifest(const struct pull *pull, json_t *manifest, struct err *err)
{
    char *path = x_sprintf("%s.json", pull->opts->output);
    char *fresh = x_sprintf("%s.json.new", pull->opts->output);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = 0;

    if (fd < 0 || json_dumpfd(manifest, fd, JSON_INDENT(2)) < 0 || write(fd, "\n", 1) != 1 ||
        fsync(fd) < 0 || rename(fresh, path) < 0) {
        rc = err_errno(err, errno, "cannot write '%s'", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(fresh);
    mem_free(path);
    return rc;
}
