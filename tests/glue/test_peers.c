/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls between members, in the swarm's own channel: on whose behalf they are, their bounds, how
 * they end, and members that die or answer what is no answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/peers_internal_uv.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"
#include "tests/glue/calls_fixture.h"

#define HELD_MAX 1100

static struct calls calls;

/* ---- handlers of the test, on all nodes ---- */

static struct rpc_call *held[HELD_MAX];
static size_t n_held;
static size_t n_gone;
/* What node.interfaces answers: bytes, with the id of the call behind the first two of them when
 * hostile_has_id. */
static struct buf hostile;
static bool hostile_has_id;

static void on_gone(void *arg)
{
    (void)arg;
    n_gone++;
}

static void hold(struct rpc_call *call, struct node *node)
{
    (void)node;
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

static void say_who(struct rpc_call *call, struct node *node)
{
    rpc_call_reply(call, json_sprintf("%s: %s", node->name, rpc_call_who(call)));
}

/* As a member might that is not one of ours. */
static void be_hostile(struct rpc_call *call, struct node *node)
{
    struct buf message = {0};

    (void)node;
    buf_append(&message, hostile.data, hostile.len);
    if (hostile_has_id && message.len > 2) {
        message.data[2] = (uint8_t)call->id;
    }
    rpc_conn_send(call->conn, &message);
    hold(call, node);
}

static const struct rpc_handler handlers[] = {
    {"node.info", hold},
    {"node.doctor", say_who},
    {"node.interfaces", be_hostile},
    {"capture.stop", say_who},
};
static const struct rpc_handler_group group = {handlers, ARRAY_LEN(handlers)};

/* In place of node/rpc_groups.c. */
const struct rpc_handler_group *const rpc_handler_groups[] = {&group};
const size_t n_rpc_handler_groups = 1;

static int set_up(void **state)
{
    (void)state;
    n_held = n_gone = 0;
    hostile_has_id = false;
    buf_reset(&hostile);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    release_held();
    calls_end(&calls);
    buf_deinit(&hostile);
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

static void assert_text(const struct asked *asked, const char *text)
{
    json_t *json = NULL;

    assert_false(asked->failed);
    assert_int_equal(
        rpc_to_json((struct rpc_span){asked->result.data, asked->result.len}, 10, &json, NULL), 0);
    assert_string_equal(json_string_value(json), text);
    json_decref(json);
}

static void assert_error(const struct asked *asked, const char *code, const char *word)
{
    assert_true(asked->failed);
    assert_string_equal(asked->error.code, code);
    assert_non_null(strstr(asked->error.message, word));
}

/* ---- calls ---- */

static void a_call_is_made_on_behalf_of_who_asked(void **state)
{
    struct asked asked;

    (void)state;
    calls_start(&calls, 2);
    (void)asked_begin(&calls, &asked, 0, 1, "node.doctor", 0);
    asked_await(&calls, &asked);
    assert_text(&asked, "n1: the test via node n0");
    asked_free(&asked);
    (void)asked_begin(&calls, &asked, 1, 0, "node.doctor", 0); /* and the other way round */
    asked_await(&calls, &asked);
    assert_text(&asked, "n0: the test via node n1");
    asked_free(&asked);
    (void)asked_begin(&calls, &asked, 0, 1, "capture.stop", 0); /* he may look, no more */
    asked_await(&calls, &asked);
    assert_error(&asked, "permission", "'capture'");
    assert_string_equal(asked.error.node, "n1");
    (void)asked_begin(&calls, &asked, 0, 1, "no.such", 0);
    asked_await(&calls, &asked);
    assert_error(&asked, RPC_CODE_UNKNOWN_METHOD, "no.such");
}

static void all_calls_to_a_member_share_a_connection(void **state)
{
    struct asked asked[20];

    (void)state;
    calls_start(&calls, 2);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        (void)asked_begin(&calls, &asked[i], 0, 1, i % 2 == 0 ? "node.info" : "node.doctor", 0);
    }
    await_count(&n_held, 10);
    for (size_t i = 1; i < ARRAY_LEN(asked); i += 2) {
        asked_await(&calls, &asked[i]);
        assert_text(&asked[i], "n1: the test via node n0");
    }
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_connections"), 1);
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_calls_waiting"), 10);
    release_held();
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        asked_await(&calls, &asked[i]);
        asked_free(&asked[i]);
    }
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_calls_total"), 20);
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_calls_failed_total"), 0);
}

static void too_many_calls_to_a_member_are_refused(void **state)
{
    static struct asked asked[PEERS_CALLS_MAX + 2];

    (void)state;
    calls_start(&calls, 2);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        (void)asked_begin(&calls, &asked[i], 0, 1, "node.info", 0);
        assert_int_equal(asked[i].n, 0); /* never before the call has returned */
    }
    for (size_t i = PEERS_CALLS_MAX; i < ARRAY_LEN(asked); i++) {
        asked_await(&calls, &asked[i]);
        assert_error(&asked[i], RPC_CODE_BUSY, "too many calls");
    }
    await_count(&n_held, PEERS_CALLS_MAX);
    release_held();
    for (size_t i = 0; i < PEERS_CALLS_MAX; i++) {
        asked_await(&calls, &asked[i]);
        assert_text(&asked[i], "later");
        asked_free(&asked[i]);
    }
}

static void one_that_the_member_would_not_take_is_not_sent(void **state)
{
    struct asked asked = {0};
    struct asked good;
    struct buf args = {0};
    uint8_t *bytes = x_alloc(RPC_REQUEST_MAX);

    (void)state;
    calls_start(&calls, 2);
    rpc_put_map(&args, 1);
    rpc_put_text(&args, "a");
    rpc_put_bin(&args, bytes, RPC_REQUEST_MAX);
    (void)peers_call(calls_node(&calls, 0),
                     &(struct peers_call){.sid = calls_sid(&calls, 1),
                                          .method = "node.doctor",
                                          .args = {args.data, args.len},
                                          .who = "the test",
                                          .deadline_ns = UINT64_MAX},
                     asked_answer, &asked);
    (void)asked_begin(&calls, &good, 0, 1, "node.doctor", 0);
    asked_await(&calls, &asked);
    assert_error(&asked, err_name(ERR_LIMIT), "too large");
    asked_await(&calls, &good);
    assert_text(&good, "n1: the test via node n0");
    asked_free(&good);
    buf_deinit(&args);
    mem_free(bytes);
}

static void a_cancelled_call_ends_at_the_member(void **state)
{
    struct asked asked;
    struct asked other;

    (void)state;
    calls_start(&calls, 2);
    uint64_t number = asked_begin(&calls, &asked, 0, 1, "node.info", 0);
    await_count(&n_held, 1);
    peers_cancel(calls_node(&calls, 0), number);
    await_count(&n_gone, 1);
    (void)asked_begin(&calls, &other, 0, 1, "node.doctor", 0);
    asked_await(&calls, &other);
    assert_int_equal(asked.n, 0);
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_calls_waiting"), 0);
    asked_free(&other);
    /* Before it is connected too. */
    number = asked_begin(&calls, &asked, 1, 0, "node.info", 0);
    peers_cancel(calls_node(&calls, 1), number);
    (void)asked_begin(&calls, &other, 1, 0, "node.doctor", 0);
    asked_await(&calls, &other);
    assert_int_equal(asked.n, 0);
    asked_free(&other);
}

static void a_call_has_a_deadline_and_the_member_knows(void **state)
{
    struct asked asked;

    (void)state;
    calls_start(&calls, 2);
    (void)asked_begin(&calls, &asked, 0, 1, "node.info", 150);
    await_count(&n_held, 1);
    assert_true(rpc_call_deadline_ns(held[0]) < clock_monotonic_ns() + 1000000000u);
    asked_await(&calls, &asked);
    assert_error(&asked, RPC_CODE_DEADLINE, "");
    await_count(&n_gone, 1);
}

/* ---- ends ---- */

static void a_member_that_dies_is_unreachable_to_all_who_wait(void **state)
{
    struct asked asked[3];
    struct asked late;

    (void)state;
    calls_start(&calls, 3); /* one alone would not judge */
    uint64_t sid = calls_sid(&calls, 1);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        (void)asked_begin(&calls, &asked[i], 0, 1, "node.info", 0);
    }
    await_count(&n_held, 3);
    calls_kill(&calls, 1);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        asked_await(&calls, &asked[i]);
        assert_error(&asked[i], "unreachable", "");
        assert_string_equal(asked[i].error.node, "n1");
    }
    swarm_await(&calls.swarm, 0, 1, GOSSIP_DEAD);
    struct peers_call call = {
        .sid = sid, .method = "node.info", .who = "the test", .deadline_ns = UINT64_MAX};
    late = (struct asked){0};
    (void)peers_call(calls_node(&calls, 0), &call, asked_answer, &late);
    asked_await(&calls, &late);
    assert_error(&late, "unreachable", "dead");
    call.sid = 12345;
    late = (struct asked){0};
    (void)peers_call(calls_node(&calls, 0), &call, asked_answer, &late);
    asked_await(&calls, &late);
    assert_error(&late, "unreachable", "no such member");
}

static void who_is_banned_is_neither_asked_nor_heard(void **state)
{
    struct gossip_member member;
    struct err err = {0};
    struct asked asked;

    (void)state;
    calls_start(&calls, 2);
    struct gossip *gossip = calls_node(&calls, 0)->gossip;
    assert_int_equal(gossip_order(gossip, SWIM_BAN, "n1", &member, &err), 0);
    (void)asked_begin(&calls, &asked, 0, 1, "node.doctor", 0);
    asked_await(&calls, &asked);
    assert_error(&asked, "unreachable", "banned");
    (void)asked_begin(&calls, &asked, 1, 0, "node.doctor", 5000);
    asked_await(&calls, &asked);
    assert_true(asked.failed);
    assert_string_not_equal(asked.error.code, RPC_CODE_DEADLINE);
}

/* Who is told that it ends asks again, as one that follows an interface might. */
static struct asked again;
static unsigned n_again;

static void ask_again(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    (void)result;
    assert_non_null(error);
    assert_string_equal(error->code, RPC_CODE_ENDING);
    n_again++;
    (void)asked_begin(&calls, &again, 0, *(const unsigned *)arg, "node.info", 0);
}

static bool is_drained;

static void on_drained(struct node *node)
{
    (void)node;
    is_drained = true;
}

static bool has_drained(struct swarm *swarm, void *arg)
{
    (void)swarm;
    (void)arg;
    return is_drained;
}

static void a_node_that_ends_tells_all_and_is_done_at_once(void **state)
{
    static const unsigned whom = 1;
    struct peers_call call = {
        .method = "node.info", .rights = RIGHT_VIEW, .who = "the test", .deadline_ns = UINT64_MAX};

    (void)state;
    n_again = 0;
    is_drained = false;
    again = (struct asked){0};
    calls_start(&calls, 2);
    call.sid = calls_sid(&calls, 1);
    (void)peers_call(calls_node(&calls, 0), &call, ask_again, (void *)(uintptr_t)&whom);
    await_count(&n_held, 1);
    peers_drain(calls_node(&calls, 0), UINT64_MAX, on_drained);
    asked_await(&calls, &again);
    assert_error(&again, RPC_CODE_ENDING, "");
    assert_int_equal(n_again, 1);
    assert_true(swarm_pump(&calls.swarm, has_drained, NULL));
}

/* ---- hostile answers ---- */

static void it_is_damaged(const char *bytes, size_t n)
{
    struct asked asked;
    struct asked waits;
    struct asked good;

    buf_reset(&hostile);
    buf_append(&hostile, bytes, n);
    (void)asked_begin(&calls, &waits, 0, 1, "node.info", 0);
    (void)asked_begin(&calls, &asked, 0, 1, "node.interfaces", 0);
    asked_await(&calls, &asked);
    assert_error(&asked, "damaged", "");
    asked_await(&calls, &waits); /* the connection ends: what else he says is worth nothing */
    assert_error(&waits, "damaged", "");
    (void)asked_begin(&calls, &good, 0, 1, "node.doctor", 0);
    asked_await(&calls, &good);
    assert_text(&good, "n1: the test via node n0");
    asked_free(&good);
}

#define IT_IS_DAMAGED(bytes) it_is_damaged(bytes, sizeof(bytes) - 1)

static void what_is_no_answer_ends_the_connection(void **state)
{
    (void)state;
    calls_start(&calls, 2);
    IT_IS_DAMAGED("\xc1");                                 /* no msgpack */
    IT_IS_DAMAGED("\x01\x02\x03");                         /* no array */
    IT_IS_DAMAGED("\x94\x00\x01\xa1x\x90");                /* a request */
    IT_IS_DAMAGED("\x93\x01\x01\xc0");                     /* too short */
    IT_IS_DAMAGED("\x94\x05\x01\xc0\xc0");                 /* no such kind */
    IT_IS_DAMAGED("\x94\x01\xa1x\xc0\xc0");                /* an id that is none */
    IT_IS_DAMAGED("\x94\x01\x01\xc0\xc6\xff\xff\xff\xff"); /* announces 4 GiB */
    IT_IS_DAMAGED("\x94\x01\x01\xc0\xdd\xff\xff\xff\xff"); /* and as many elements */
    IT_IS_DAMAGED("\x94\x01\x01\xc0\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
                  "\x91\x91\x91\x91\x91\xc0"); /* deep */
    IT_IS_DAMAGED("\x93\x02\x01\x90");         /* a notification without a name */
}

/* Answers to what was not asked, or twice, or with an error that is none, are of no account. */
static void odd_answers_harm_nobody(void **state)
{
    static const char twice[] = "\x94\x01\x00\xc0\xa1x\x94\x01\xcd\x12\x34\xc0\xa1y";
    static const char no_error[] = "\x94\x01\x00\xa1x\xc0";
    static const char events[] = "\x93\x02\xacrpc.closing\x90\x93\x02\xacrpc.closing\x91\xc0"
                                 "\x93\x02\xa1x\x91\xc0\x94\x01\x00\xc0\xc0";
    struct asked asked;
    struct asked good;

    (void)state;
    calls_start(&calls, 2);
    hostile_has_id = true;
    buf_append(&hostile, twice, sizeof twice - 1);
    (void)asked_begin(&calls, &asked, 0, 1, "node.interfaces", 0);
    asked_await(&calls, &asked);
    assert_text(&asked, "x");
    release_held(); /* once more */
    asked_free(&asked);

    buf_reset(&hostile);
    buf_append(&hostile, no_error, sizeof no_error - 1);
    (void)asked_begin(&calls, &asked, 0, 1, "node.interfaces", 0);
    asked_await(&calls, &asked);
    assert_error(&asked, "damaged", "error is none");

    hostile_has_id = false;
    buf_reset(&hostile);
    buf_append(&hostile, events, sizeof events - 1);
    (void)asked_begin(&calls, &asked, 0, 1, "node.interfaces", 400);
    asked_await(&calls, &asked);
    assert_error(&asked, RPC_CODE_DEADLINE, "");
    (void)asked_begin(&calls, &good, 0, 1, "node.doctor", 0);
    asked_await(&calls, &good);
    assert_text(&good, "n1: the test via node n0");
    asked_free(&good);
    assert_int_equal(calls_metric(&calls, 0, "packetrecorder_peer_connects_failed_total"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_made_on_behalf_of_who_asked),
        TEST(all_calls_to_a_member_share_a_connection),
        TEST(too_many_calls_to_a_member_are_refused),
        TEST(one_that_the_member_would_not_take_is_not_sent),
        TEST(a_cancelled_call_ends_at_the_member),
        TEST(a_call_has_a_deadline_and_the_member_knows),
        TEST(a_member_that_dies_is_unreachable_to_all_who_wait),
        TEST(who_is_banned_is_neither_asked_nor_heard),
        TEST(a_node_that_ends_tells_all_and_is_done_at_once),
        TEST(what_is_no_answer_ends_the_connection),
        TEST(odd_answers_harm_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
