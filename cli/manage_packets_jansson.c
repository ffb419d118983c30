/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manage_packets.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define ALL        "all"
#define PAGE_SMALL 100u
#define PAGE_LARGE 10000u  /* what a node gives at most */
#define IDLE_MAX   100000u /* answers in a row without a packet: 2 s each when it searches */

/* A session that is read. */
struct stream {
    char *id;
    char *node;    /* its name; NULL: the node asked */
    char *at_node; /* its id, for calls */
    char *cursor;  /* of the next page; NULL: from the beginning */
    json_t *page;  /* an array; NULL: none is here */
    size_t at;     /* in it */
    size_t bytes;  /* of the message that it came in */
    bool at_end;   /* no page follows */
};

struct manage_packets {
    struct command_context *ctx;
    struct manage *manage;
    const struct manage_packets_spec *spec;
    struct stream *streams;
    size_t n;
    size_t held; /* bytes of all pages */
    uint64_t total;
    size_t n_ifaces;
    uint64_t damaged;
    uint64_t deleted;
    bool of_nodes;
    json_t *answers; /* of all nodes, to all questions that found sessions */
    json_t *row;     /* the last one given, of several nodes */
};

static void drop_page(struct manage_packets *packets, struct stream *stream)
{
    json_decref(stream->page);
    packets->held -= stream->bytes;
    stream->page = NULL;
    stream->bytes = 0;
    stream->at = 0;
}

void manage_packets_free(struct manage_packets *packets)
{
    for (size_t i = 0; packets != NULL && i < packets->n; i++) {
        drop_page(packets, &packets->streams[i]);
        mem_free(packets->streams[i].id);
        mem_free(packets->streams[i].cursor);
        mem_free(packets->streams[i].node);
        mem_free(packets->streams[i].at_node);
    }
    if (packets != NULL) {
        json_decref(packets->answers);
        json_decref(packets->row);
        mem_free(packets->streams);
        mem_free(packets);
    }
}

/* ---- which sessions ---- */

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* answer: of a node among several; NULL: it is the node asked. */
static int add(struct manage_packets *packets, const json_t *answer, const json_t *session)
{
    const char *node = field_text(answer, "node");
    const char *at_node = field_text(answer, "id") == NULL ? node : field_text(answer, "id");
    const char *id = field_text(session, "id");
    uint64_t count = field_count(session, "packets");
    struct err *err = &packets->ctx->err;

    if (id == NULL) {
        return err_set(err, ERR_DAMAGED, "the node answered with a session that has no id");
    }
    for (size_t i = 0; i < packets->n; i++) {
        if (strcmp(packets->streams[i].id, id) == 0 &&
            is_same(packets->streams[i].at_node, at_node)) {
            return 0;
        }
    }
    if (packets->n == MANAGE_SESSIONS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u sessions at once: name some of them with -s",
                       MANAGE_SESSIONS_MAX);
    }
    packets->streams = x_realloc(packets->streams, (packets->n + 1) * sizeof *packets->streams);
    packets->streams[packets->n++] = (struct stream){
        .id = x_strdup(id),
        .node = node == NULL ? NULL : x_strdup(node),
        .at_node = at_node == NULL ? NULL : x_strdup(at_node),
    };
    packets->total = packets->total == UINT64_MAX || count == UINT64_MAX ||
                             count > UINT64_MAX - 1 - packets->total
                         ? UINT64_MAX
                         : packets->total + count;
    packets->n_ifaces += json_array_size(json_object_get(session, "interfaces"));
    return 0;
}

/* The only one, or all, of those that a node listed. */
static int add_some(struct manage_packets *packets, const json_t *answer, const json_t *list,
                    bool all, struct err *err)
{
    size_t n = json_array_size(list);
    int rc = 0;

    if (!all && n > 1) {
        return err_set(err, ERR_USAGE,
                       "the store of the node holds %zu sessions: name one with -s, or all "
                       "with -s all ('packetrecorder manage sessions' lists them)",
                       n);
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = add(packets, answer, json_array_get(list, i));
    }
    return rc;
}

static int add_listed(struct manage_packets *packets, bool all)
{
    struct command_context *ctx = packets->ctx;
    json_t *list = NULL;
    int rc = manage_call(packets->manage, "session.list", NULL, &list, &ctx->err);

    rc = rc < 0 ? rc : manage_check_list(ctx, "session.list", &list);
    if (rc == 0 && !all && json_array_size(list) == 0) {
        rc = err_set(&ctx->err, ERR_NOT_FOUND, "the store of the node holds no session");
    }
    rc = rc < 0 ? rc : add_some(packets, NULL, list, all, &ctx->err);
    json_decref(list);
    return rc;
}

static json_t *args_of(const char *name)
{
    return json_pack("{s:o}", "session_id", to_json_text(name));
}

static int add_named(struct manage_packets *packets, const char *name)
{
    struct command_context *ctx = packets->ctx;
    json_t *session = NULL;
    int rc = manage_call(packets->manage, "capture.stats", args_of(name), &session, &ctx->err);

    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.stats", &session);
    rc = rc < 0 ? rc : add(packets, NULL, session);
    json_decref(session);
    return rc;
}

/* What is wrong there is said with who did not answer; the others go on. */
static int add_answer(struct manage_packets *packets, const json_t *answer, json_t *result,
                      const char *name)
{
    struct command_context *ctx = packets->ctx;
    bool lists = name == NULL || strcmp(name, ALL) == 0;
    json_t *checked = json_incref(result);
    int rc = lists ? manage_check_list(ctx, "session.list", &checked)
                   : manage_check_object(ctx, "capture.stats", &checked);

    if (rc < 0) {
        return rc;
    }
    rc = lists ? add_some(packets, answer, checked, name != NULL, &ctx->err)
               : add(packets, answer, checked);
    json_decref(checked);
    return rc;
}

/* Several nodes: a list of sessions, or one session, of each. */
static int add_of_nodes(struct manage_packets *packets, const char *name)
{
    struct command_context *ctx = packets->ctx;
    bool lists = name == NULL || strcmp(name, ALL) == 0;
    const char *method = lists ? "session.list" : "capture.stats";
    json_t *answers = NULL;
    int rc = manage_call_nodes(ctx, packets->manage, NULL, method, lists ? NULL : args_of(name),
                               &answers);

    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *answer = json_array_get(answers, i);
        json_t *result = json_object_get(answer, "result");
        if (result != NULL && add_answer(packets, answer, result, name) < 0) {
            manage_answer_fail(answer, &ctx->err);
        }
    }
    json_array_extend(packets->answers, answers);
    json_decref(answers);
    return rc;
}

static int find(struct manage_packets *packets)
{
    const struct option_list *names = packets->spec->names;
    int rc = 0;

    if (names->n == 0) {
        return packets->of_nodes ? add_of_nodes(packets, NULL) : add_listed(packets, false);
    }
    for (size_t i = 0; i < names->n && rc == 0; i++) {
        rc = packets->of_nodes                   ? add_of_nodes(packets, names->items[i])
             : strcmp(names->items[i], ALL) == 0 ? add_listed(packets, true)
                                                 : add_named(packets, names->items[i]);
    }
    return rc;
}

int manage_packets_new(struct command_context *ctx, struct manage *manage,
                       const struct manage_packets_spec *spec, struct manage_packets **out)
{
    struct manage_packets *packets = x_alloc(sizeof *packets);

    *packets = (struct manage_packets){.ctx = ctx,
                                       .manage = manage,
                                       .spec = spec,
                                       .of_nodes = manage_nodes_are_named(ctx),
                                       .answers = json_array()};
    int rc = find(packets);
    if (rc < 0) {
        manage_packets_free(packets);
        return rc;
    }
    *out = packets;
    return 0;
}

/* ---- pages ---- */

/* A merge takes few of each; one session alone what is wanted. */
static uint64_t page_limit(const struct manage_packets *packets)
{
    uint64_t wanted = packets->spec->wanted;

    if (packets->n > 1) {
        return PAGE_SMALL;
    }
    return wanted == 0 || wanted > PAGE_LARGE ? PAGE_LARGE : wanted;
}

static int take_page(struct manage_packets *packets, struct stream *stream, json_t *answer,
                     uint64_t limit)
{
    json_t *page = json_object_get(answer, "packets");
    const char *next = field_text(answer, "next");
    struct err *err = &packets->ctx->err;
    uint64_t damaged = field_count(answer, "damaged_packets");
    uint64_t deleted = field_count(answer, "deleted_packets");

    if (!json_is_array(page) || json_array_size(page) > limit) {
        return err_set(err, ERR_DAMAGED,
                       "the node answered session.query with something that is no page of "
                       "packets; is it a packetrecorder of another version?");
    }
    for (size_t i = 0; i < json_array_size(page); i++) {
        if (!json_is_object(json_array_get(page, i))) {
            return err_set(err, ERR_DAMAGED, "the node answered with a packet that is no object");
        }
    }
    if (next != NULL && stream->cursor != NULL && strcmp(next, stream->cursor) == 0 &&
        json_array_size(page) > 0) {
        return err_set(err, ERR_DAMAGED, "the node answers with the same page again and again");
    }
    char *cursor = next == NULL ? NULL : x_strdup(next);
    mem_free(stream->cursor);
    stream->cursor = cursor;
    stream->at_end = next == NULL;
    stream->page = json_incref(page);
    stream->bytes = manage_answer_bytes(packets->manage);
    packets->held += stream->bytes;
    packets->damaged += damaged == UINT64_MAX ? 0 : damaged;
    packets->deleted += deleted == UINT64_MAX ? 0 : deleted;
    if (packets->held > MANAGE_PAGES_MAX) {
        return err_set(err, ERR_LIMIT,
                       "the answers take more than %u MiB: name fewer sessions with -s",
                       MANAGE_PAGES_MAX >> 20);
    }
    return 0;
}

static int fetch(struct manage_packets *packets, struct stream *stream)
{
    const struct manage_packets_spec *spec = packets->spec;
    struct command_context *ctx = packets->ctx;
    uint64_t limit = page_limit(packets);
    json_t *args = json_object();
    json_t *answer = NULL;

    manage_set_text(args, "session_id", stream->id);
    manage_set_text(args, "filter", spec->filter);
    manage_set_range(args, spec->from_ns, spec->to_ns);
    manage_set_count(args, "limit", limit);
    manage_set_text(args, "cursor", stream->cursor);
    if (spec->with_data) {
        json_object_set_new(args, "data", json_true());
    }
    int rc =
        manage_call_on(packets->manage, stream->at_node, "session.query", args, &answer, &ctx->err);
    rc = rc < 0 ? rc : manage_check_object(ctx, "session.query", &answer);
    rc = rc < 0 ? rc : take_page(packets, stream, answer, limit);
    json_decref(answer);
    return rc;
}

/* 1: a packet of this session is there; 0: its end. */
static int fill_one(struct manage_packets *packets, struct stream *stream)
{
    for (unsigned idle = 0; idle < IDLE_MAX; idle++) {
        if (stream->page != NULL && stream->at < json_array_size(stream->page)) {
            return 1;
        }
        drop_page(packets, stream);
        if (stream->at_end) {
            return 0;
        }
        int rc = fetch(packets, stream);
        if (rc < 0) {
            return rc;
        }
    }
    return err_set(&packets->ctx->err, ERR_LIMIT, "the node finds nothing and does not end");
}

/* Nothing more comes of this node; what was wrong is said once. */
static void lose_node(struct manage_packets *packets, const struct stream *lost)
{
    for (size_t i = 0; i < packets->n; i++) {
        packets->streams[i].at_end =
            packets->streams[i].at_end || is_same(packets->streams[i].at_node, lost->at_node);
    }
    for (size_t i = 0; i < json_array_size(packets->answers); i++) {
        json_t *answer = json_array_get(packets->answers, i);
        if (is_same(field_text(answer, "node"), lost->node) &&
            (field_text(answer, "id") == NULL ||
             is_same(field_text(answer, "id"), lost->at_node))) {
            manage_answer_fail(answer, &packets->ctx->err);
        }
    }
}

/* No node is to end what the others have to say. */
static bool concerns_all(const struct manage_packets *packets, int rc)
{
    return !packets->of_nodes || rc == ERR_INTERRUPTED || packets->held > MANAGE_PAGES_MAX ||
           manage_is_broken(packets->manage);
}

static int fill(struct manage_packets *packets, struct stream *stream)
{
    int rc = fill_one(packets, stream);

    if (rc < 0 && !concerns_all(packets, rc)) {
        drop_page(packets, stream);
        lose_node(packets, stream);
        return 0;
    }
    return rc;
}

/* ---- one after the other ---- */

static const char *time_of(const struct stream *stream)
{
    const char *time = field_text(json_array_get(stream->page, stream->at), "time");

    return time == NULL ? "" : time;
}

int manage_packets_next(struct manage_packets *packets, const json_t **out)
{
    struct stream *first = NULL;

    for (size_t i = 0; i < packets->n; i++) {
        struct stream *stream = &packets->streams[i];
        int rc = fill(packets, stream);
        if (rc < 0) {
            return rc;
        }
        /* All of one length and in UTC: times as text sort as times do. */
        if (rc > 0 && (first == NULL || strcmp(time_of(stream), time_of(first)) < 0)) {
            first = stream;
        }
    }
    if (first == NULL) {
        return 0;
    }
    *out = json_array_get(first->page, first->at++);
    if (first->node != NULL) {
        json_decref(packets->row);
        packets->row = manage_row_of(first->node, *out);
        *out = packets->row;
    }
    return 1;
}

uint64_t manage_packets_total(const struct manage_packets *packets)
{
    return packets->total;
}

bool manage_packets_of_several(const struct manage_packets *packets)
{
    return packets->n_ifaces > 1;
}

/* Each node's troubles once, however many sessions were asked for. */
static int tell_nodes(const struct manage_packets *packets, struct err *err)
{
    json_t *told = json_array();

    for (size_t i = 0; i < json_array_size(packets->answers); i++) {
        json_t *answer = json_array_get(packets->answers, i);
        bool is_told = false;
        for (size_t k = 0; k < json_array_size(told) && !is_told; k++) {
            const json_t *other = json_array_get(told, k);
            is_told = is_same(field_text(other, "id"), field_text(answer, "id")) &&
                      is_same(field_text(other, "node"), field_text(answer, "node")) &&
                      json_equal(json_object_get(other, "error"), json_object_get(answer, "error"));
        }
        if (!is_told) {
            json_array_append(told, answer);
        }
    }
    int rc = manage_tell_unanswered(told, err);
    json_decref(told);
    return rc == ERR_PARTLY && packets->spec->names->n > 1
               ? err_set(err, rc, "not all nodes answered for all sessions")
               : rc;
}

int manage_packets_damage(const struct manage_packets *packets, struct err *err)
{
    int rc = packets->of_nodes ? tell_nodes(packets, err) : 0;

    if (rc < 0 || (packets->damaged == 0 && packets->deleted == 0)) {
        return rc;
    }
    return err_set(err, ERR_PARTLY,
                   "%" PRIu64 " packets could not be read since they are damaged, %" PRIu64
                   " were deleted while they were being read; 'packetrecorder verify' on the node "
                   "tells more",
                   packets->damaged, packets->deleted);
}
