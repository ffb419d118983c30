/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/rpc_live.h"

#define S_NS           UINT64_C(1000000000)
#define RETRY_FIRST_NS S_NS
#define RETRY_MOST_NS  (60 * S_NS)
#define PROVEN_NS      (10 * S_NS) /* open for so long: what comes then is a new trouble */
/* A quiet interface says how far it is as often as this, or less often where there are many. */
#define WAIT_LEAST_MS 40u
#define WAIT_MOST_MS  400u
/* Answers that the node may have for us at once: less than it keeps for one connection. */
#define UNSENT_BYTES (24u * 1024u * 1024u)
#define READ_LEAST   (32u * 1024u)
#define NO_SOURCE    UINT32_MAX
/* Samples of a clock are no closer, unless it leaves the bound that was told. */
#define CLOCK_NS S_NS

struct watch *watch_new(const struct watch_spec *spec)
{
    struct watch *w = x_alloc(sizeof *w);

    *w = (struct watch){.spec = *spec};
    return w;
}

void watch_free(struct watch *w)
{
    if (w == NULL) {
        return;
    }
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        mem_free(w->nodes[i].name);
        mem_free(w->nodes[i].id);
    }
    for (uint32_t i = 0; i < w->n_streams; i++) {
        mem_free(w->streams[i].iface);
    }
    mem_free(w->nodes);
    mem_free(w->streams);
    mem_free(w->owners);
    mem_free(w);
}

/* ---- words ---- */

void watch_say(struct watch *w, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->spec.ops.tell(w->spec.ops.arg, text);
}

void watch_not_whole(struct watch_node *node, const char *why)
{
    node->is_whole = false;
    snprintf(node->why, sizeof node->why, "%s", why);
}

/* ---- calls ---- */

static uint64_t retry_after_ns(uint32_t n_failures)
{
    uint64_t ns = RETRY_FIRST_NS << (n_failures < 6 ? n_failures : 6);

    return ns < RETRY_MOST_NS ? ns : RETRY_MOST_NS;
}

static void end_stream(struct watch *w, struct watch_stream *s)
{
    if (s->source != NO_SOURCE) {
        (void)merge_end(w->spec.merge, s->source, NULL); /* cut in a block: what was whole counts */
        s->source = NO_SOURCE;
        s->lost_before = watch_add(s->lost_before, s->lost);
        s->lost = 0;
    }
    s->state = WATCH_ENDED;
    s->call = 0;
    s->stream = 0;
}

/* Told once, until it has been well for a while. */
static void fail(struct watch *w, struct watch_stream *s, const char *why, uint64_t now_ns)
{
    struct watch_node *node = &w->nodes[s->node];

    if (s->n_failures > 0 && s->state > WATCH_OPENING && now_ns - s->opened_ns >= PROVEN_NS) {
        s->n_failures = 0;
    }
    if (s->n_failures == 0) {
        watch_say(w, "%s/%s: %s", node->name, s->iface, why);
    }
    watch_not_whole(node, why);
    s->retry_ns = now_ns + retry_after_ns(s->n_failures++);
    end_stream(w, s);
}

static bool begin(struct watch *w, struct watch_stream *s, enum watch_state state,
                  const char *method, struct buf *args, uint64_t now_ns)
{
    const struct watch_node *node = &w->nodes[s->node];
    const char *name = node->id[0] != '\0' ? node->id : node->name;
    struct err err = {0};
    int rc = w->spec.ops.call(w->spec.ops.arg, node->is_asked ? NULL : name, method,
                              (struct rpc_span){args->data, args->len}, &s->call, &err);

    buf_deinit(args);
    if (rc < 0) {
        s->call = 0;
        fail(w, s, err.text, now_ns);
        return false;
    }
    s->state = state;
    return true;
}

void watch_open_stream(struct watch *w, struct watch_stream *s, uint64_t now_ns)
{
    struct buf args = {0};

    rpc_live_put_open(&args, s->iface, w->spec.filter, w->spec.snaplen);
    (void)begin(w, s, WATCH_OPENING, "live.open", &args, now_ns);
}

static void close_stream(struct watch *w, struct watch_stream *s, uint64_t now_ns)
{
    struct buf args = {0};

    rpc_live_put_close(&args, s->stream);
    (void)begin(w, s, WATCH_CLOSING, "live.close", &args, now_ns);
}

static void read_stream(struct watch *w, struct watch_stream *s, uint64_t now_ns)
{
    uint32_t n = watch_n_open(w);
    uint64_t wait_ms = n < WAIT_LEAST_MS ? WAIT_LEAST_MS : n < WAIT_MOST_MS ? n : WAIT_MOST_MS;
    uint64_t max_bytes = UNSENT_BYTES / (n == 0 ? 1 : n);
    struct buf args = {0};

    max_bytes = max_bytes > RPC_LIVE_MAX ? RPC_LIVE_MAX : max_bytes;
    max_bytes = max_bytes < READ_LEAST ? READ_LEAST : max_bytes;
    rpc_live_put_read(&args, s->stream, wait_ms, max_bytes);
    (void)begin(w, s, WATCH_READING, "live.read", &args, now_ns);
}

/* What is open and has nothing under way: what next? */
static void go_on(struct watch *w, struct watch_stream *s, uint64_t now_ns)
{
    if (s->state != WATCH_OPEN) {
        return;
    }
    if (w->is_closing) {
        close_stream(w, s, now_ns);
    } else if (merge_wants(w->spec.merge, s->source)) {
        read_stream(w, s, now_ns);
    }
}

void watch_go_on(struct watch *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->n_streams; i++) {
        go_on(w, &w->streams[i], now_ns);
    }
}

/* ---- answers ---- */

static void on_opened(struct watch *w, struct watch_stream *s, struct rpc_span result,
                      uint64_t now_ns)
{
    const struct watch_node *node = &w->nodes[s->node];
    const struct merge_who who = {.node = node->name, .id = node->id};
    struct rpc_live_opened opened;
    struct err err = {0};

    if (rpc_live_read_opened(result, &opened, &err) < 0 ||
        merge_add(w->spec.merge, &who, &s->source, &err) < 0) {
        s->source = NO_SOURCE;
        fail(w, s, err.text, now_ns);
        return;
    }
    w->owners = x_realloc(w->owners, (s->source + 1) * sizeof *w->owners);
    w->owners[s->source] = (uint32_t)(s - w->streams);
    w->n_owners = s->source + 1;
    s->stream = opened.stream;
    s->state = WATCH_OPEN;
    s->opened_ns = now_ns;
    s->has_clock = false;
    if (s->was_open) {
        s->n_gaps++;
        watch_say(w, "%s/%s: followed again; what it saw in between is missing, and not counted",
                  node->name, s->iface);
    }
    s->was_open = true;
    go_on(w, s, now_ns);
}

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* What the answer says of the node's clock holds for what comes after it; the first one, for all.
 */
static void take_clock(struct watch *w, struct watch_stream *s, const struct rpc_live_answer *a)
{
    struct merge_clock_sample now = {
        .offset_ns = a->has_clock ? a->offset_ns : 0,
        .bound_ns = a->has_clock ? a->bound_ns : MERGE_BOUND_UNKNOWN,
        .is_step = true,
    };

    if (s->has_clock) {
        uint64_t off = distance(now.offset_ns, s->clock.offset_ns);
        bool has_left = off > s->clock.bound_ns || (now.bound_ns == MERGE_BOUND_UNKNOWN) !=
                                                       (s->clock.bound_ns == MERGE_BOUND_UNKNOWN);
        now.time_ns = a->watermark_ns;
        if (now.time_ns <= s->clock.time_ns || (off == 0 && !has_left) ||
            (!has_left && now.time_ns - s->clock.time_ns < CLOCK_NS)) {
            return;
        }
    }
    merge_add_clock(w->spec.merge, s->source, &now);
    s->clock = now;
    s->has_clock = true;
}

static void on_read(struct watch *w, struct watch_stream *s, struct rpc_span result,
                    uint64_t now_ns)
{
    struct merge *merge = w->spec.merge;
    struct rpc_live_answer answer;
    struct err err = {0};
    bool is_bad = rpc_live_read_answer(result, &answer, &err) < 0;

    if (!is_bad) {
        take_clock(w, s, &answer);
        s->lost = answer.lost > s->lost ? answer.lost : s->lost;
        is_bad = merge_feed(merge, s->source, answer.data.bytes, answer.data.n, &err) < 0;
        merge_watermark(merge, s->source, answer.watermark_ns);
        merge_set_lost(merge, s->source, s->lost);
    }
    s->state = WATCH_OPEN;
    if (is_bad || (answer.end && !w->is_closing)) {
        uint64_t stream = s->stream;
        fail(w, s, is_bad ? err.text : answer.why[0] != '\0' ? answer.why : "it has ended", now_ns);
        s->stream = stream; /* the node need not keep it */
        close_stream(w, s, now_ns);
        return;
    }
    go_on(w, s, now_ns);
}

static void on_answer(struct watch *w, struct watch_stream *s, struct rpc_span result,
                      const struct rpc_error *error, uint64_t now_ns)
{
    enum watch_state state = s->state;

    s->call = 0;
    if (state == WATCH_CLOSING) {
        end_stream(w, s);
    } else if (error != NULL) {
        fail(w, s, error->message[0] != '\0' ? error->message : error->code, now_ns);
    } else if (state == WATCH_OPENING) {
        on_opened(w, s, result, now_ns);
    } else {
        on_read(w, s, result, now_ns);
    }
}

bool watch_answer(struct watch *w, uint32_t id, struct rpc_span result,
                  const struct rpc_error *error, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->n_streams && id != 0; i++) {
        if (w->streams[i].call == id) {
            on_answer(w, &w->streams[i], result, error, now_ns);
            return true;
        }
    }
    return false;
}

/* ---- the end ---- */

void watch_broke(struct watch *w, const char *why, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->n_streams; i++) {
        struct watch_stream *s = &w->streams[i];
        if (s->state == WATCH_ENDED) {
            continue;
        }
        watch_not_whole(&w->nodes[s->node], why);
        end_stream(w, s);
        s->retry_ns = now_ns;
    }
}

void watch_close(struct watch *w, uint64_t now_ns)
{
    w->is_closing = true;
    watch_go_on(w, now_ns);
}

void watch_end_sources(struct watch *w)
{
    for (uint32_t i = 0; i < w->n_streams; i++) {
        end_stream(w, &w->streams[i]);
    }
}

uint32_t watch_n_calls(const struct watch *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_streams; i++) {
        n += w->streams[i].call != 0;
    }
    return n;
}

uint32_t watch_n_open(const struct watch *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_streams; i++) {
        n += w->streams[i].stream != 0;
    }
    return n;
}

uint32_t watch_n_streams(const struct watch *w)
{
    return w->n_streams;
}

/* ---- what came of it ---- */

uint32_t watch_n_nodes(const struct watch *w)
{
    return w->n_nodes;
}

static void add_source(struct watch_told *told, const struct merge_told *source)
{
    told->packets += source->packets;
    told->bytes += source->bytes;
    told->dropped = watch_add(told->dropped, source->dropped);
    told->late += source->late;
    told->early += source->early;
}

/* node: UINT32_MAX = all. */
static void add_up(const struct watch *w, uint32_t node, struct watch_told *told)
{
    for (uint32_t i = 0; i < w->n_streams; i++) {
        const struct watch_stream *s = &w->streams[i];
        if (node == s->node || node == UINT32_MAX) {
            told->lost = watch_add(told->lost, watch_add(s->lost, s->lost_before));
            told->n_open += s->stream != 0;
            told->n_gaps += s->n_gaps;
            told->is_followed = told->is_followed || s->was_open;
        }
    }
    for (uint32_t i = 0; i < w->n_owners; i++) {
        if (node == w->streams[w->owners[i]].node || node == UINT32_MAX) {
            struct merge_told source = merge_told(w->spec.merge, i);
            add_source(told, &source);
        }
    }
}

struct watch_told watch_told(const struct watch *w, uint32_t node)
{
    const struct watch_node *of = &w->nodes[node];
    struct watch_told told = {
        .node = of->name, .id = of->id, .is_whole = of->is_whole, .why = of->why};

    add_up(w, node, &told);
    return told;
}

struct watch_told watch_sum(const struct watch *w)
{
    struct watch_told told = {.node = "", .id = "", .why = ""};

    add_up(w, UINT32_MAX, &told);
    return told;
}
