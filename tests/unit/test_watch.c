/* SPDX-License-Identifier: Apache-2.0
 *
 * Following interfaces of many nodes: which calls go out, and what answers do, those of hostile
 * nodes among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/watch.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"
#include "tests/support/merge_streams.h"

#define MS        1000000ULL
#define S         1000000000ULL
#define AT(ms)    (STREAM_START_NS + (ms)*MS)
#define CALLS_MAX 64u
#define PACKETS   64u

struct call {
    char node[64];
    char method[32];
    char args[128]; /* as JSON */
    uint32_t id;    /* 0: answered */
};

struct world {
    struct merge *merge;
    struct watch *watch;
    struct buf out;
    struct call calls[CALLS_MAX];
    uint32_t n_calls; /* ever */
    bool refuses;     /* to send */
    char told[2048];
};

/* ---- the calls of the watch ---- */

static int on_call(void *arg, const char *node, const char *method, struct rpc_span args,
                   uint32_t *id, struct err *err)
{
    struct world *w = arg;
    json_t *value = NULL;

    if (w->refuses) {
        return err_set(err, ERR_LIMIT, "no more calls");
    }
    assert_true(w->n_calls < CALLS_MAX);
    struct call *call = &w->calls[w->n_calls++];
    snprintf(call->node, sizeof call->node, "%s", node == NULL ? "-" : node);
    snprintf(call->method, sizeof call->method, "%s", method);
    assert_int_equal(rpc_to_json(args, 100, &value, NULL), 0);
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(call->args, sizeof call->args, "%s", text);
    free(text);
    json_decref(value);
    *id = call->id = w->n_calls;
    return 0;
}

static void on_tell(void *arg, const char *text)
{
    struct world *w = arg;
    size_t n = strlen(w->told);

    snprintf(w->told + n, sizeof w->told - n, "%s\n", text);
}

/* The call of that method to that node that is not answered. */
static struct call *find(struct world *w, const char *node, const char *method)
{
    for (uint32_t i = 0; i < w->n_calls; i++) {
        struct call *call = &w->calls[i];
        if (call->id != 0 && strcmp(call->node, node) == 0 && strcmp(call->method, method) == 0) {
            return call;
        }
    }
    return NULL;
}

static int set_up(void **state)
{
    const struct merge_opts opts = {.application = "test", .hold_ns = 200 * MS};
    struct world *w = x_alloc(sizeof *w);

    *w = (struct world){.merge = merge_new(&opts)};
    const struct watch_spec spec = {.pattern = "eth*",
                                    .filter = "udp",
                                    .merge = w->merge,
                                    .ops = {.call = on_call, .tell = on_tell, .arg = w}};
    w->watch = watch_new(&spec);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    watch_free(w->watch);
    merge_free(w->merge);
    buf_deinit(&w->out);
    mem_free(w);
    return 0;
}

/* ---- answers ---- */

static int list(struct world *w, const char *text, uint64_t now_ns)
{
    json_t *answers = json_loads(text, 0, NULL);

    assert_non_null(answers);
    int rc = watch_list(w->watch, answers, now_ns, NULL);
    json_decref(answers);
    return rc;
}

#define ROW(name, more) "{\"name\":\"" name "\",\"mtu\":1500,\"flags\":[\"up\"]" more "}"
#define TWO_NODES                                                                                  \
    "[{\"node\":\"a\",\"id\":\"01\",\"result\":[" ROW(                                             \
        "eth0", "") "]},"                                                                          \
                    "{\"node\":\"b\",\"id\":\"02\",\"result\":[" ROW("eth0", "") "]}]"

static void answer(struct world *w, struct call *call, const struct buf *result, const char *error,
                   uint64_t now_ns)
{
    struct rpc_error why = {.code = "io"};
    uint32_t id = call->id;

    snprintf(why.message, sizeof why.message, "%s", error == NULL ? "" : error);
    call->id = 0;
    assert_true(watch_answer(w->watch, id,
                             result == NULL ? (struct rpc_span){0}
                                            : (struct rpc_span){result->data, result->len},
                             error == NULL ? NULL : &why, now_ns));
}

static void opened(struct world *w, const char *node, uint64_t stream, uint64_t now_ns)
{
    struct call *call = find(w, node, "live.open");
    struct buf result = {0};

    assert_non_null(call);
    rpc_put_map(&result, 2);
    rpc_put_text(&result, "stream");
    rpc_put_u64(&result, stream);
    rpc_put_text(&result, "link_type");
    rpc_put_u64(&result, 1);
    answer(w, call, &result, NULL, now_ns);
    buf_deinit(&result);
}

struct data {
    const struct buf *bytes;
    uint64_t watermark_ns;
    uint64_t lost;
    int64_t offset_ns;
    uint64_t bound_ns; /* 0: no clock */
    const char *end;   /* why; NULL: it goes on */
};

static void came(struct world *w, const char *node, const struct data *data, uint64_t now_ns)
{
    struct call *call = find(w, node, "live.read");
    struct buf result = {0};

    assert_non_null(call);
    rpc_put_map(&result, data->end == NULL ? 5 : 6);
    rpc_put_text(&result, "watermark_ns");
    rpc_put_u64(&result, data->watermark_ns);
    rpc_put_text(&result, "lost");
    rpc_put_u64(&result, data->lost);
    rpc_put_text(&result, "clock");
    if (data->bound_ns == 0) {
        rpc_put_nil(&result);
    } else {
        rpc_put_map(&result, 2);
        rpc_put_text(&result, "offset_ns");
        rpc_put_i64(&result, data->offset_ns);
        rpc_put_text(&result, "bound_ns");
        rpc_put_u64(&result, data->bound_ns);
    }
    rpc_put_text(&result, "end");
    rpc_put_bool(&result, data->end != NULL);
    if (data->end != NULL) {
        rpc_put_text(&result, "why");
        rpc_put_text(&result, data->end);
    }
    rpc_put_text(&result, "data");
    rpc_put_bin(&result, data->bytes == NULL ? (const void *)"" : data->bytes->data,
                data->bytes == NULL ? 0 : data->bytes->len);
    answer(w, call, &result, NULL, now_ns);
    buf_deinit(&result);
}

/* A stream's first bytes, with packets at those milliseconds. */
static void packets(struct buf *out, uint64_t source, const uint64_t *at_ms, uint32_t n)
{
    struct capture_bytes cb = {0};

    stream_begin(&cb, 1);
    for (uint32_t i = 0; i < n; i++) {
        stream_packet(&cb, source, i + 1, AT(at_ms[i]), 0, 64);
    }
    *out = cb.buf;
}

static uint32_t merged(struct world *w, struct stream_packet *out)
{
    struct pcapng_reader reader;
    uint32_t source;

    while (merge_step(w->merge, &w->out, 4096 + w->out.len, &source) == MERGE_MORE) {
    }
    pcapng_reader_init(&reader);
    uint32_t n = read_output(&w->out, out, PACKETS, &reader);
    pcapng_reader_deinit(&reader);
    return n;
}

static void start(struct world *w)
{
    assert_int_equal(list(w, TWO_NODES, S), 0);
    opened(w, "01", 11, S);
    opened(w, "02", 22, S);
}

/* ---- what is followed ---- */

static void what_fits_is_opened(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        list(w,
             "[{\"node\":\"a\",\"id\":\"01\",\"result\":[" ROW("eth0", "") "," ROW(
                 "lo", "") ",{\"name\":\"eth1\",\"mtu\":1500,\"flags\":[]},"
                           "{\"name\":\"eth2\",\"mtu\":null,\"flags\":[\"up\"]},{\"name\":\"x:"
                           "eth3\"},{},7]},"
                           "{\"node\":\"b\",\"id\":\"02\",\"error\":{\"message\":\"it is dead\"}},"
                           "{\"node\":\"c\",\"id\":\"03\",\"result\":[" ROW("wlan0", "") "]}]",
             S),
        0);
    assert_int_equal(w->n_calls, 1);
    assert_string_equal(w->calls[0].node, "01");
    assert_string_equal(w->calls[0].args, "{\"filter\":\"udp\",\"interface\":\"eth0\"}");
    assert_string_equal(w->told, "b: it is dead\nc: no interface of it fits 'eth*'\n");
    assert_int_equal(watch_n_nodes(w->watch), 3);
    assert_true(watch_told(w->watch, 0).is_whole);
    assert_false(watch_told(w->watch, 1).is_whole);
    assert_false(watch_told(w->watch, 2).is_whole);
}

static void who_joins_later_is_followed_too(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        list(w, "[{\"node\":\"a\",\"id\":\"01\",\"result\":[" ROW("eth0", "") "]}]", S), 0);
    assert_int_equal(list(w, TWO_NODES, 6 * S), 0);
    assert_int_equal(w->n_calls, 2);
    assert_non_null(find(w, "02", "live.open"));
    assert_string_equal(w->told, "");
}

static void the_node_asked_needs_no_name(void **state)
{
    struct world *w = *state;
    json_t *all =
        json_loads("[{\"node\":\"a\",\"name\":\"eth0\",\"mtu\":1500,\"flags\":[\"up\"]}]", 0, NULL);

    assert_int_equal(watch_list_own(w->watch, all, S, NULL), 0);
    json_decref(all);
    assert_non_null(find(w, "-", "live.open"));
    assert_string_equal(watch_told(w->watch, 0).node, "a");
}

static void what_is_no_list_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(list(w, "{}", S), ERR_DAMAGED);
    assert_int_equal(list(w, "[7]", S), ERR_DAMAGED);
    assert_int_equal(list(w, "[{\"node\":\"a\",\"result\":{}}]", S), ERR_DAMAGED);
    assert_int_equal(list(w, "[{\"id\":\"01\",\"result\":[]}]", S), ERR_DAMAGED);
    assert_int_equal(watch_list_own(w->watch, NULL, S, NULL), ERR_DAMAGED);
    assert_int_equal(w->n_calls, 0);
}

static void no_more_streams_than_can_be_watched(void **state)
{
    struct world *w = *state;
    json_t *rows = json_array();

    w->refuses = true;
    for (unsigned i = 0; i < WATCH_STREAMS_MAX + 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "eth%u", i);
        json_array_append_new(
            rows, json_pack("{s:s, s:i, s:[s]}", "name", name, "mtu", 1500, "flags", "up"));
    }
    json_t *answers = json_pack("[{s:s, s:s, s:o}]", "node", "a", "id", "01", "result", rows);
    assert_int_equal(watch_list(w->watch, answers, S, NULL), 0);
    json_decref(answers);
    assert_int_equal(watch_n_streams(w->watch), WATCH_STREAMS_MAX);
    assert_ptr_equal(strstr(w->told, "more than"), w->told);
    assert_null(strstr(w->told + 1, "more than"));
}

/* ---- what comes ---- */

static void packets_of_all_come_in_order(void **state)
{
    struct world *w = *state;
    struct stream_packet got[PACKETS];
    struct buf a;
    struct buf b;

    start(w);
    assert_string_equal(find(w, "01", "live.read")->args,
                        "{\"max_bytes\":1048576,\"stream\":11,\"wait_ms\":40}");
    packets(&a, 1, (const uint64_t[]){10, 30, 50}, 3);
    packets(&b, 2, (const uint64_t[]){1720, 1740}, 2); /* its clock is 1.7 s ahead */
    came(w, "01", &(struct data){.bytes = &a, .watermark_ns = AT(60), .bound_ns = 1000}, S);
    came(w, "02",
         &(struct data){.bytes = &b,
                        .watermark_ns = AT(1745),
                        .offset_ns = 1700 * (int64_t)MS,
                        .bound_ns = 1000},
         S);
    assert_int_equal(merged(w, got), 4); /* up to the watermark of the slower one */
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(got[i].time_ns, AT(10 * (i + 1)));
        assert_int_equal(got[i].source, 1 + i % 2);
    }
    came(
        w, "02",
        &(struct data){.watermark_ns = AT(1760), .offset_ns = 1700 * (int64_t)MS, .bound_ns = 1000},
        S);
    assert_int_equal(merged(w, got), 5);
    assert_int_equal(watch_told(w->watch, 0).packets, 3);
    assert_int_equal(watch_sum(w->watch).packets, 5);
    buf_deinit(&a);
    buf_deinit(&b);
}

static void an_end_is_told_and_tried_again(void **state)
{
    struct world *w = *state;

    start(w);
    came(w, "02", &(struct data){.end = "the interface is gone"}, 2 * S);
    assert_string_equal(w->told, "b/eth0: the interface is gone\n");
    assert_non_null(find(w, "02", "live.close"));
    answer(w, find(w, "02", "live.close"), NULL, NULL, 2 * S);
    assert_int_equal(list(w, TWO_NODES, 2 * S + 500 * MS), 0);
    assert_null(find(w, "02", "live.open")); /* not at once */
    assert_int_equal(list(w, TWO_NODES, 3 * S), 0);
    answer(w, find(w, "02", "live.open"), NULL, "no", 3 * S);
    assert_int_equal(list(w, TWO_NODES, 4 * S), 0);
    assert_null(find(w, "02", "live.open")); /* later and later */
    assert_int_equal(list(w, TWO_NODES, 5 * S), 0);
    opened(w, "02", 23, 5 * S);
    assert_string_equal(strchr(w->told, '\n') + 1,
                        "b/eth0: followed again; what it saw in between is missing, and not "
                        "counted\n");
    assert_int_equal(watch_told(w->watch, 1).n_gaps, 1);
    assert_false(watch_told(w->watch, 1).is_whole);
    assert_true(watch_told(w->watch, 0).is_whole);
    assert_non_null(find(w, "01", "live.read"));
}

static void what_is_damaged_harms_itself_alone(void **state)
{
    static const uint8_t bad[] = {0x0a, 0x0d, 0x0d, 0x0a, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    struct world *w = *state;
    struct stream_packet got[PACKETS];
    struct buf a;
    struct buf b = {0};
    struct buf nothing = {0};

    start(w);
    packets(&a, 1, (const uint64_t[]){10, 30, 50}, 3);
    buf_append(&b, bad, sizeof bad);
    came(w, "02", &(struct data){.bytes = &b, .watermark_ns = UINT64_MAX, .lost = 5}, S);
    came(w, "01", &(struct data){.bytes = &a, .watermark_ns = AT(60), .bound_ns = 1000}, S);
    assert_non_null(find(w, "02", "live.close"));
    assert_int_equal(merged(w, got), 3);
    rpc_put_text(&nothing, "no map");
    answer(w, find(w, "01", "live.read"), &nothing, NULL, S);
    assert_non_null(strstr(w->told, "a/eth0: the node's answer to live.read is not as it should"));
    buf_deinit(&nothing);
    buf_deinit(&a);
    buf_deinit(&b);
}

static void losses_add_up_and_stop_at_the_most(void **state)
{
    struct world *w = *state;

    start(w);
    came(w, "01", &(struct data){.lost = 7}, S);
    came(w, "01", &(struct data){.lost = 3}, S); /* a counter does not go back */
    assert_int_equal(watch_told(w->watch, 0).lost, 7);
    came(w, "02", &(struct data){.lost = UINT64_MAX, .end = "x"}, S);
    assert_int_equal(watch_told(w->watch, 1).lost, UINT64_MAX);
    assert_int_equal(watch_sum(w->watch).lost, UINT64_MAX);
}

static void a_clock_that_becomes_known_is_a_new_interface(void **state)
{
    struct world *w = *state;
    struct stream_packet got[PACKETS];
    struct capture_bytes more = {0};
    struct buf a;

    assert_int_equal(
        list(w, "[{\"node\":\"a\",\"id\":\"01\",\"result\":[" ROW("eth0", "") "]}]", S), 0);
    opened(w, "01", 11, S);
    packets(&a, 1, (const uint64_t[]){1010}, 1);
    stream_packet(&more, 1, 2, AT(1500), 0, 64);
    came(w, "01", &(struct data){.bytes = &a, .watermark_ns = AT(1100)}, S);
    came(w, "01", &(struct data){.watermark_ns = AT(1200), .offset_ns = -1000, .bound_ns = 50}, S);
    came(w, "01",
         &(struct data){
             .bytes = &more.buf, .watermark_ns = AT(1600), .offset_ns = -1000, .bound_ns = 50},
         S);
    assert_int_equal(merged(w, got), 2);
    assert_int_equal(got[0].time_ns, AT(1010));
    assert_int_equal(got[1].time_ns, AT(1500) + 1000);
    assert_int_not_equal(got[0].iface, got[1].iface);
    buf_deinit(&a);
    buf_deinit(&more.buf);
}

/* ---- the end ---- */

static void everything_is_closed_at_the_end(void **state)
{
    struct world *w = *state;
    struct call *read;

    start(w);
    watch_close(w->watch, 2 * S);
    read = find(w, "01", "live.read");
    assert_null(find(w, "01", "live.close")); /* its last answer is waited for */
    answer(w, read, NULL, "it is dead", 2 * S);
    came(w, "02", &(struct data){.watermark_ns = AT(1)}, 2 * S);
    assert_non_null(find(w, "02", "live.close"));
    assert_int_equal(watch_n_calls(w->watch), 1);
    answer(w, find(w, "02", "live.close"), NULL, "gone", 2 * S);
    assert_int_equal(watch_n_calls(w->watch), 0);
    assert_int_equal(watch_n_open(w->watch), 0);
    uint32_t n = w->n_calls;
    assert_int_equal(list(w, TWO_NODES, 99 * S), 0);
    assert_int_equal(w->n_calls, n);
}

static void a_broken_connection_ends_all_streams(void **state)
{
    struct world *w = *state;

    start(w);
    watch_broke(w->watch, "the node asked is gone", 2 * S);
    assert_int_equal(watch_n_calls(w->watch), 0);
    assert_string_equal(watch_told(w->watch, 1).why, "the node asked is gone");
    assert_int_equal(list(w, TWO_NODES, 2 * S), 0);
    opened(w, "01", 12, 2 * S);
    assert_int_equal(watch_n_open(w->watch), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fits_is_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_joins_later_is_followed_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_node_asked_needs_no_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_list_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_streams_than_can_be_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packets_of_all_come_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_told_and_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_harms_itself_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(losses_add_up_and_stop_at_the_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_that_becomes_known_is_a_new_interface, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(everything_is_closed_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_connection_ends_all_streams, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
