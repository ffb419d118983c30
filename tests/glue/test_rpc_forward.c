/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that one node passes on to others: whose answers come back and in which form, one hop only,
 * the time shared out, members that die meanwhile or answer too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/peers_internal_uv.h"
#include "node/rpc_internal_uv.h"
#include "node/swarm_interfaces.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"
#include "tests/glue/calls_fixture.h"

#define HELD_MAX 64
#define BIG      (3u * 1024u * 1024u)

static struct calls calls;
static struct caller caller;

/* ---- handlers of the test, on all nodes ---- */

static struct rpc_call *held[HELD_MAX];
static size_t n_held;
static size_t n_gone;
static size_t n_said;
static const char *holds; /* the name of the node that holds node.info; the others answer */
static unsigned depth;    /* of the answer of node.interfaces on n1; 0: BIG bytes */
static unsigned n_listed; /* interfaces in that of n1, and one in those of others; 0: see depth */

static void on_gone(void *arg)
{
    (void)arg;
    n_gone++;
}

static void say_who(struct rpc_call *call, struct node *node)
{
    n_said++;
    rpc_call_reply(call, json_sprintf("%s: %s", node->name, rpc_call_who(call)));
}

static void hold_or_say(struct rpc_call *call, struct node *node)
{
    if (holds == NULL || strcmp(holds, node->name) != 0) {
        say_who(call, node);
        return;
    }
    assert_true(n_held < HELD_MAX);
    rpc_call_on_gone(call, on_gone, NULL);
    held[n_held++] = rpc_call_ref(call);
}

static void release_held(void)
{
    for (size_t i = 0; i < n_held; i++) {
        if (!rpc_call_is_gone(held[i])) {
            rpc_call_reply(held[i], json_string("later"));
        }
        rpc_call_unref(held[i]);
    }
    n_held = 0;
}

static void answer_much(struct rpc_call *call, struct node *node)
{
    struct buf result = {0};

    if (n_listed > 0) {
        json_t *list = json_array();
        for (unsigned i = 0; i < (strcmp(node->name, "n1") == 0 ? n_listed : 1); i++) {
            json_array_append_new(list, json_pack("{s:s}", "name", "eth0"));
        }
        rpc_call_reply(call, list);
        return;
    }
    if (depth == 0) {
        uint8_t *bytes = x_alloc(BIG);
        rpc_put_bin(&result, bytes, BIG);
        mem_free(bytes);
    } else if (strcmp(node->name, "n1") == 0) {
        for (unsigned i = 0; i < depth; i++) {
            rpc_put_array(&result, 1);
        }
        rpc_put_nil(&result);
    } else {
        rpc_put_nil(&result);
    }
    rpc_call_reply_packed(call, &result);
}

/* Long errors: what they say together must fit as well. */
static void complain(struct rpc_call *call, struct node *node)
{
    char text[900];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rpc_call_fail(call, "no_such_code", "%s %s", node->name, text);
}

static const struct rpc_handler handlers[] = {
    {"node.info", hold_or_say}, {"node.doctor", say_who}, {"node.interfaces", answer_much},
    {"capture.list", complain}, {"keys.add", say_who},    {"events.subscribe", say_who},
};
static const struct rpc_handler_group group = {handlers, ARRAY_LEN(handlers)};

/* In place of node/rpc_groups.c. */
const struct rpc_handler_group *const rpc_handler_groups[] = {&group};
const size_t n_rpc_handler_groups = 1;

static int set_up(void **state)
{
    (void)state;
    n_held = n_gone = n_said = 0;
    holds = NULL;
    depth = n_listed = 0;
    calls_start(&calls, 3);
    caller_open(&caller, &calls);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    release_held();
    caller_close(&caller);
    calls_end(&calls);
    return 0;
}

struct count {
    const size_t *n;
    size_t least;
};

static bool has_count(struct swarm *swarm, void *arg)
{
    const struct count *count = arg;

    (void)swarm;
    return *count->n >= count->least;
}

static void await_count(const size_t *n, size_t least)
{
    struct count count = {n, least};

    if (!swarm_pump(&calls.swarm, has_count, &count)) {
        fail_msg("%zu and not %zu", *n, least);
    }
}

static void assert_part(const char *node, const char *says)
{
    const char *text = json_string_value(caller_part(&caller, node, "result"));

    assert_non_null(text);
    if (strncmp(text, says, strlen(says)) != 0) {
        fail_msg("%s says '%s' and not '%s'", node, text, says);
    }
}

static void assert_part_failed(const char *node, const char *code, const char *word)
{
    const json_t *error = caller_part(&caller, node, "error");

    assert_non_null(error);
    assert_string_equal(json_string_value(json_object_get(error, "code")), code);
    assert_non_null(strstr(json_string_value(json_object_get(error, "message")), word));
}

static void assert_refused(const char *code, const char *word)
{
    assert_string_equal(caller.error.code, code);
    if (strstr(caller.error.message, word) == NULL) {
        fail_msg("'%s' does not say '%s'", caller.error.message, word);
    }
}

/* ---- whose answers ---- */

static void all_answer_in_one_and_in_order(void **state)
{
    (void)state;
    caller_ask(&caller, "node.doctor", "{\"nodes\": \"all\"}", 5000);
    assert_string_equal(caller.error.code, "");
    const json_t *nodes = json_object_get(caller.result, "nodes");
    assert_int_equal(json_array_size(nodes), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_array_get(nodes, i);
        char name[8];
        snprintf(name, sizeof name, "n%zu", i);
        assert_string_equal(json_string_value(json_object_get(one, "node")), name);
        assert_int_equal(strlen(json_string_value(json_object_get(one, "id"))), 32);
    }
    assert_part("n0", "n0: ");
    assert_null(strstr(json_string_value(caller_part(&caller, "n0", "result")), "via"));
    assert_part("n1", "n1: ");
    assert_non_null(strstr(json_string_value(caller_part(&caller, "n1", "result")), "via node n0"));
}

static void named_ones_answer_once_each(void **state)
{
    (void)state;
    caller_ask(&caller, "node.doctor", "{\"nodes\": [\"n2\", \"n0\", \"n2\"]}", 5000);
    assert_int_equal(json_array_size(json_object_get(caller.result, "nodes")), 2);
    assert_part("n2", "n2: ");
    assert_part("n0", "n0: ");
    assert_int_equal(n_said, 2);
}

static void the_answer_of_one_is_passed_on_as_it_is(void **state)
{
    (void)state;
    caller_ask(&caller, "node.doctor", "{\"node\": \"n1\"}", 5000);
    assert_non_null(json_string_value(caller.result));
    assert_memory_equal(json_string_value(caller.result), "n1: ", 4);
    caller_ask(&caller, "node.doctor", "{\"node\": \"n0\"}", 5000); /* itself */
    assert_memory_equal(json_string_value(caller.result), "n0: ", 4);
    caller_ask(&caller, "node.interfaces", "{\"node\": \"n1\"}", 5000); /* bytes too */
    assert_string_equal(caller.error.code, "");
    assert_true(caller.n_bytes > BIG);
    caller_ask(&caller, "capture.list", "{\"node\": \"n2\"}", 5000);
    assert_refused("no_such_code", "n2 xxx");
    assert_string_equal(caller.error.node, "n2");
    caller_ask(&caller, "keys.add", "{\"node\": \"n2\"}", 5000);
    assert_refused("usage", "");
}

static void what_cannot_be_passed_on_is_refused_here(void **state)
{
    (void)state;
    caller_ask(&caller, "node.doctor", "{\"node\": \"n1\", \"nodes\": \"all\"}", 0);
    assert_refused("usage", "exclude each other");
    caller_ask(&caller, "node.doctor", "{\"nodes\": []}", 0);
    assert_refused("usage", "\"nodes\"");
    caller_ask(&caller, "node.doctor", "{\"nodes\": [1]}", 0);
    assert_refused("usage", "\"nodes\"");
    caller_ask(&caller, "node.doctor", "{\"nodes\": \"n1\"}", 0);
    assert_refused("usage", "\"nodes\"");
    caller_ask(&caller, "node.doctor", "{\"nodes\": [\"n1\", \"nosuch\"]}", 0);
    assert_refused("not_found", "nosuch");
    caller_ask(&caller, "node.doctor", "{\"node\": \"\"}", 0);
    assert_refused("usage", "\"node\"");
    caller_ask(&caller, "node.doctor", "{\"node\": \"nosuch\"}", 0);
    assert_refused("not_found", "nosuch");
    caller_ask(&caller, "events.subscribe", "{\"node\": \"n1\"}", 0);
    assert_refused("unsupported", "asked itself");
    caller_ask(&caller, "job.list", "{\"nodes\": \"all\"}", 0);
    assert_refused("unsupported", "one node at a time");
    assert_int_equal(n_said, 0);
}

/* What a member passes on comes from a node that it was passed on to already. */
static void a_call_goes_one_hop(void **state)
{
    struct rpc_call_options options = {
        .is_forwarded = true, .rights = RIGHT_VIEW, .who = "the test"};
    struct buf all = {0};
    struct buf message = {0};
    struct asked asked;

    (void)state;
    (void)asked_begin(&calls, &asked, 0, 1, "node.doctor", 0);
    asked_await(&calls, &asked);
    asked_free(&asked);
    struct peer *peer = LIST_FIRST(&calls_node(&calls, 0)->peers->all);
    n_said = 0;
    rpc_put_text(&all, "all");
    options.nodes = (struct rpc_span){.bytes = all.data, .n = all.len};
    rpc_put_request_with(&message, peer->last_id + 1, "node.doctor", (struct rpc_span){0},
                         &options);
    peer_send(peer, &message);
    /* It has the same id, so that it is answered by what is said to the one before it. */
    (void)asked_begin(&calls, &asked, 0, 1, "node.doctor", 0);
    asked_await(&calls, &asked);
    assert_true(asked.failed);
    assert_string_equal(asked.error.code, "usage");
    assert_non_null(strstr(asked.error.message, "not forwarded again"));
    buf_deinit(&all);
}

/* ---- time ---- */

static void who_is_slow_costs_the_others_nothing(void **state)
{
    (void)state;
    holds = "n1";
    caller_ask(&caller, "node.info", "{\"nodes\": \"all\"}", 800);
    assert_string_equal(caller.error.code, ""); /* not the deadline of the whole */
    assert_part("n0", "n0: ");
    assert_part("n2", "n2: ");
    assert_part_failed("n1", RPC_CODE_DEADLINE, "");
    await_count(&n_gone, 1);
}

/* There is time left to bring home what the others say. */
static void the_node_asked_may_be_the_slow_one(void **state)
{
    const struct rpc_call *whole;

    (void)state;
    holds = "n0";
    caller_begin(&caller, "node.info", "{\"nodes\": \"all\"}", 1000);
    await_count(&n_held, 1);
    LIST_FOREACH (whole, &held[0]->conn->calls, link) {
        if (whole->sink == NULL) {
            break;
        }
    }
    assert_non_null(whole);
    assert_true(held[0]->deadline_ns < whole->deadline_ns - 50000000u);
    assert_true(caller_await(&caller));
    assert_string_equal(caller.error.code, "");
    assert_part("n1", "n1: ");
    assert_part("n2", "n2: ");
    assert_part_failed("n0", RPC_CODE_DEADLINE, "");
    assert_int_equal(n_gone, 1);
}

static void a_cancelled_call_ends_everywhere(void **state)
{
    struct buf message = {0};

    (void)state;
    holds = "n1";
    caller_begin(&caller, "node.info", "{\"nodes\": \"all\"}", 0);
    await_count(&n_held, 1);
    rpc_put_cancel(&message, caller.id);
    assert_int_equal(send(caller.fd, message.data, message.len, 0), (ssize_t)message.len);
    buf_deinit(&message);
    assert_true(caller_await(&caller));
    assert_refused(RPC_CODE_CANCELLED, "");
    await_count(&n_gone, 1);
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_calls_waiting"), 0);
}

/* ---- members that die, or say too much ---- */

static void who_dies_meanwhile_is_named_and_the_others_answer(void **state)
{
    (void)state;
    holds = "n2";
    caller_begin(&caller, "node.info", "{\"nodes\": \"all\"}", 0);
    await_count(&n_held, 1);
    calls_kill(&calls, 2);
    assert_true(caller_await(&caller));
    assert_part("n0", "n0: ");
    assert_part("n1", "n1: ");
    assert_part_failed("n2", "unreachable", "");
    swarm_await(&calls.swarm, 0, 2, GOSSIP_DEAD);
    caller_ask(&caller, "node.doctor", "{\"nodes\": \"all\"}", 5000);
    assert_part_failed("n2", "unreachable", "dead");
    assert_part("n1", "n1: ");
    caller_ask(&caller, "node.doctor", "{\"node\": \"n2\"}", 5000);
    assert_refused("unreachable", "dead");
    assert_string_equal(caller.error.node, "n2");
}

static void what_is_too_deep_harms_only_its_own_part(void **state)
{
    (void)state;
    depth = 14; /* with what is around it in the answer of one: as deep as may be */
    caller_ask(&caller, "node.interfaces", "{\"nodes\": \"all\"}", 5000);
    assert_string_equal(caller.error.code, "");
    assert_part_failed("n1", "damaged", "levels");
    assert_non_null(caller_part(&caller, "n0", "result"));
    assert_non_null(caller_part(&caller, "n2", "result"));
}

static void together_they_say_no_more_than_a_client_takes(void **state)
{
    (void)state;
    /* Bytes are not JSON's: the answer is looked at by its length. */
    caller_ask(&caller, "node.interfaces", "{\"nodes\": \"all\"}", 10000);
    assert_string_equal(caller.error.code, "");
    assert_true(caller.n_bytes > 2 * BIG && caller.n_bytes < 2 * BIG + 4096);
}

struct gathered {
    json_t *all;
    char missing[64];
    size_t n;
};

static void take_all(void *arg, json_t *all, const char *missing)
{
    struct gathered *got = arg;

    got->all = all;
    snprintf(got->missing, sizeof got->missing, "%s", missing);
    got->n++;
}

/* One that has more than it may is shown with what it may, and named. */
static void the_interfaces_of_all_are_bounded_and_that_is_told(void **state)
{
    struct gathered got = {0};

    (void)state;
    n_listed = 1024;
    swarm_interfaces(calls_node(&calls, 0), json_array(), 5000, take_all, &got);
    await_count(&got.n, 1);
    assert_int_equal(json_array_size(got.all), 1025);
    assert_string_equal(got.missing, "");
    json_decref(got.all);
    n_listed = 1025;
    swarm_interfaces(calls_node(&calls, 0), json_array(), 5000, take_all, &got);
    await_count(&got.n, 2);
    assert_int_equal(json_array_size(got.all), 1025);
    assert_string_equal(got.missing, "n1");
    json_decref(got.all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_answer_in_one_and_in_order),
        TEST(named_ones_answer_once_each),
        TEST(the_answer_of_one_is_passed_on_as_it_is),
        TEST(what_cannot_be_passed_on_is_refused_here),
        TEST(a_call_goes_one_hop),
        TEST(who_is_slow_costs_the_others_nothing),
        TEST(the_node_asked_may_be_the_slow_one),
        TEST(a_cancelled_call_ends_everywhere),
        TEST(who_dies_meanwhile_is_named_and_the_others_answer),
        TEST(what_is_too_deep_harms_only_its_own_part),
        TEST(together_they_say_no_more_than_a_client_takes),
        TEST(the_interfaces_of_all_are_bounded_and_that_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
