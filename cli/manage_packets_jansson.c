/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manage_packets.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "shared/base/mem.h"

#define ALL        "all"
#define PAGE_SMALL 100u
#define PAGE_LARGE 10000u  /* what a node gives at most */
#define IDLE_MAX   100000u /* answers in a row without a packet: 2 s each when it searches */

/* A session that is read. */
struct stream {
    char *id;
    char *cursor; /* of the next page; NULL: from the beginning */
    json_t *page; /* an array; NULL: none is here */
    size_t at;    /* in it */
    size_t bytes; /* of the message that it came in */
    bool at_end;  /* no page follows */
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
    }
    if (packets != NULL) {
        mem_free(packets->streams);
        mem_free(packets);
    }
}

/* ---- which sessions ---- */

static int add(struct manage_packets *packets, const json_t *session)
{
    const char *id = field_text(session, "id");
    uint64_t count = field_count(session, "packets");
    struct err *err = &packets->ctx->err;

    if (id == NULL) {
        return err_set(err, ERR_DAMAGED, "the node answered with a session that has no id");
    }
    for (size_t i = 0; i < packets->n; i++) {
        if (strcmp(packets->streams[i].id, id) == 0) {
            return 0;
        }
    }
    if (packets->n == MANAGE_SESSIONS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u sessions at once: name some of them with -s",
                       MANAGE_SESSIONS_MAX);
    }
    packets->streams = x_realloc(packets->streams, (packets->n + 1) * sizeof *packets->streams);
    packets->streams[packets->n++] = (struct stream){.id = x_strdup(id)};
    packets->total = packets->total == UINT64_MAX || count == UINT64_MAX ||
                             count > UINT64_MAX - 1 - packets->total
                         ? UINT64_MAX
                         : packets->total + count;
    packets->n_ifaces += json_array_size(json_object_get(session, "interfaces"));
    return 0;
}

/* The only one, or all. */
static int add_listed(struct manage_packets *packets, bool all)
{
    struct command_context *ctx = packets->ctx;
    json_t *list = NULL;
    int rc = manage_call(packets->manage, "session.list", NULL, &list, &ctx->err);

    rc = rc < 0 ? rc : manage_check_list(ctx, "session.list", &list);
    if (rc < 0) {
        return rc;
    }
    size_t n = json_array_size(list);
    if (!all && n != 1) {
        rc = n == 0 ? err_set(&ctx->err, ERR_NOT_FOUND, "the store of the node holds no session")
                    : err_set(&ctx->err, ERR_USAGE,
                              "the store of the node holds %zu sessions: name one with -s, or all "
                              "with -s all ('packetrecorder manage sessions' lists them)",
                              n);
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = add(packets, json_array_get(list, i));
    }
    json_decref(list);
    return rc;
}

static int add_named(struct manage_packets *packets, const char *name)
{
    struct command_context *ctx = packets->ctx;
    json_t *session = NULL;
    json_t *args = json_object();

    if (strcmp(name, ALL) == 0) {
        json_decref(args);
        return add_listed(packets, true);
    }
    manage_set_text(args, "session_id", name);
    int rc = manage_call(packets->manage, "capture.stats", args, &session, &ctx->err);
    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.stats", &session);
    rc = rc < 0 ? rc : add(packets, session);
    json_decref(session);
    return rc;
}

int manage_packets_new(struct command_context *ctx, struct manage *manage,
                       const struct manage_packets_spec *spec, struct manage_packets **out)
{
    struct manage_packets *packets = x_alloc(sizeof *packets);
    int rc = 0;

    *packets = (struct manage_packets){.ctx = ctx, .manage = manage, .spec = spec};
    if (spec->names->n == 0) {
        rc = add_listed(packets, false);
    }
    for (size_t i = 0; i < spec->names->n && rc == 0; i++) {
        rc = add_named(packets, spec->names->items[i]);
    }
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
    int rc = manage_call(packets->manage, "session.query", args, &answer, &ctx->err);
    rc = rc < 0 ? rc : manage_check_object(ctx, "session.query", &answer);
    rc = rc < 0 ? rc : take_page(packets, stream, answer, limit);
    json_decref(answer);
    return rc;
}

/* 1: a packet of this session is there; 0: its end. */
static int fill(struct manage_packets *packets, struct stream *stream)
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

int manage_packets_damage(const struct manage_packets *packets, struct err *err)
{
    if (packets->damaged == 0 && packets->deleted == 0) {
        return 0;
    }
    return err_set(err, ERR_PARTLY,
                   "%" PRIu64 " packets could not be read since they are damaged, %" PRIu64
                   " were deleted while they were being read; 'packetrecorder verify' on the node "
                   "tells more",
                   packets->damaged, packets->deleted);
}
