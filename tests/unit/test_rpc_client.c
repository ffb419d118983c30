/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocking client of calls against scripted nodes on loopback, each thing over a UNIX socket
 * and inside the channel. Nodes that mean harm are in test_rpc_client_hostile.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/base/pack.h"
#include "shared/base/unpack.h"
#include "tests/support/test_place.h"

#include "tests/support/rpc_peer.h"

static uint64_t number_of(struct rpc_span value)
{
    struct unpack u = unpack_from(value.bytes, value.n);
    uint64_t v = unpack_u64(&u);

    assert_false(unpack_failed(&u));
    return v;
}

/* Runs `test` with a client of the script, over each kind of connection. */
static void over_both(void (*run)(struct rpc_peer *peer, void *arg), void *arg,
                      void (*test)(struct rpc_client *client))
{
    for (int i = 0; i < 2; i++) {
        struct rpc_script script = {.run = run, .arg = arg, .is_unix = i == 0};
        rpc_script_start(&script);
        struct rpc_client *client = rpc_script_dial_well(&script);
        test(client);
        rpc_client_close(client);
        rpc_script_stop(&script);
    }
}

/* Answers each call with the length of its method, "fail" with an error, "nil" with nil. */
static void run_lengths(struct rpc_peer *peer, void *arg)
{
    struct rpc_message m;
    struct buf out = {0};

    (void)arg;
    while (rpc_peer_next(peer, &m)) {
        if (strcmp(m.method, "fail") == 0) {
            rpc_put_error(&out, m.id, "not_found", "no session 'x'", "node7");
            rpc_peer_put_buf(peer, &out);
        } else if (strcmp(m.method, "nil") == 0) {
            rpc_put_response(&out, m.id, (struct rpc_span){NULL, 0});
            rpc_peer_put_buf(peer, &out);
        } else if (m.kind == RPC_REQUEST) {
            rpc_peer_answer(peer, m.id, strlen(m.method));
        }
    }
}

static const struct rpc_span no_args = {NULL, 0};

static void ask_lengths(struct rpc_client *client)
{
    struct rpc_span result;
    struct err err = {0};

    assert_int_equal(rpc_client_call(client, "four", no_args, in_ms(5000), &result, &err), 0);
    assert_int_equal(number_of(result), 4);
    assert_int_equal(rpc_client_call(client, "fail", no_args, in_ms(5000), &result, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.text, "node7: no session 'x'");
    assert_string_equal(rpc_client_error(client)->code, "not_found");
    assert_string_equal(rpc_client_error(client)->node, "node7");
    assert_false(rpc_client_is_broken(client));
    assert_int_equal(rpc_client_call(client, "nil", no_args, in_ms(5000), &result, &err), 0);
    assert_null(result.bytes);
    assert_int_equal(rpc_client_call(client, "again", no_args, UINT64_MAX, &result, &err), 0);
    assert_int_equal(number_of(result), 5);
}

static void a_call_gets_its_answer_or_its_error(void **state)
{
    (void)state;
    over_both(run_lengths, NULL, ask_lengths);
}

/* Reads `n` calls, then answers the last one first; a notification before each answer. */
#define MANY 64u

static void run_backwards(struct rpc_peer *peer, void *arg)
{
    const size_t n = *(size_t *)arg;
    uint32_t ids[MANY];
    struct rpc_message m;

    for (size_t i = 0; i < n; i++) {
        if (!rpc_peer_next(peer, &m)) {
            return;
        }
        ids[i] = m.id;
    }
    for (size_t i = n; i-- > 0;) {
        rpc_peer_notify(peer, "events.event", i);
        rpc_peer_answer(peer, ids[i], 100 + i);
    }
    (void)rpc_peer_next(peer, &m);
}

static size_t n_backwards = MANY;

static void ask_many(struct rpc_client *client)
{
    uint32_t ids[MANY] = {0};
    struct rpc_span result;
    struct rpc_message message;
    struct err err;

    for (size_t i = 0; i < n_backwards; i++) {
        assert_int_equal(rpc_client_send(client, "x", no_args, in_ms(9000), &ids[i], &err), 0);
    }
    for (size_t i = 0; i < n_backwards; i++) {
        assert_int_equal(rpc_client_wait(client, ids[i], in_ms(9000), &result, &err), 0);
        assert_int_equal(number_of(result), 100 + i);
    }
    for (size_t i = n_backwards; i-- > 0;) { /* kept in the order in which they came */
        assert_int_equal(rpc_client_receive(client, in_ms(9000), &message, &err), 1);
        assert_int_equal(message.kind, RPC_NOTIFICATION);
        struct unpack params = unpack_from(message.params.bytes, message.params.n);
        assert_int_equal(unpack_array(&params, 1), 1);
        assert_int_equal(unpack_u64(&params), i);
    }
    assert_int_equal(rpc_client_receive(client, in_ms(1), &message, &err), -ETIMEDOUT);
}

static void many_calls_are_under_way_at_once(void **state)
{
    (void)state;
    over_both(run_backwards, &n_backwards, ask_many);
}

static void ask_many_and_take_what_comes(struct rpc_client *client)
{
    uint32_t id = 0;
    size_t answers = 0;
    size_t events = 0;
    struct rpc_span result;
    struct rpc_message message;

    for (size_t i = 0; i < n_backwards; i++) {
        assert_int_equal(rpc_client_send(client, "x", no_args, in_ms(9000), &id, NULL), 0);
    }
    while (answers + events < 2 * n_backwards) {
        assert_int_equal(rpc_client_receive(client, in_ms(9000), &message, NULL), 1);
        events += message.kind == RPC_NOTIFICATION;
        if (message.kind == RPC_RESPONSE) {
            assert_int_equal(rpc_client_answer(client, &message, &result, NULL), 0);
            assert_int_equal(number_of(result), 100 + message.id - 1);
            answers++;
        }
    }
    assert_int_equal(answers, n_backwards);
}

static void answers_can_be_taken_as_they_come(void **state)
{
    (void)state;
    over_both(run_backwards, &n_backwards, ask_many_and_take_what_comes);
}

struct late {
    uint64_t deadline_ms; /* that came with the call */
    uint32_t cancelled;
};

/* Does not answer the first call before it is cancelled, then does, and then answers the second. */
static void run_late(struct rpc_peer *peer, void *arg)
{
    struct late *late = arg;
    struct rpc_message m;
    struct rpc_call_options options;
    struct rpc_span args;
    uint32_t first;

    if (!rpc_peer_next(peer, &m)) {
        return;
    }
    first = m.id;
    REQUIRE(rpc_decode_params(m.params, &args, &options, NULL) == 0);
    late->deadline_ms = options.deadline_ms;
    if (!rpc_peer_next(peer, &m)) {
        return;
    }
    if (strcmp(m.method, RPC_CANCEL) == 0) {
        (void)rpc_decode_cancel(m.params, &late->cancelled, NULL);
    }
    rpc_peer_answer(peer, first, 1);
    if (rpc_peer_next(peer, &m)) {
        rpc_peer_answer(peer, m.id, 2);
    }
    (void)rpc_peer_next(peer, &m);
}

static void ask_late(struct rpc_client *client)
{
    struct rpc_span result;
    struct err err;

    assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(80), &result, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "no answer in time"));
    assert_int_equal(rpc_client_call(client, "y", no_args, in_ms(9000), &result, &err), 0);
    assert_int_equal(number_of(result), 2);
}

static void a_call_that_takes_too_long_is_cancelled_and_the_next_one_works(void **state)
{
    struct late late = {0};

    (void)state;
    over_both(run_late, &late, ask_late);
    assert_in_range(late.deadline_ms, 1, 80);
    assert_int_equal(late.cancelled, 1);
}

static void run_farewell(struct rpc_peer *peer, void *arg)
{
    struct buf message = {0};
    struct rpc_message m;
    struct buf value = {0};

    (void)arg;
    (void)rpc_peer_next(peer, &m);
    rpc_put_map(&value, 2);
    rpc_put_text(&value, "code");
    rpc_put_text(&value, "ending");
    rpc_put_text(&value, "message");
    rpc_put_text(&value, "the API key has been revoked");
    rpc_put_notification(&message, RPC_CLOSING, (struct rpc_span){value.data, value.len});
    buf_deinit(&value);
    rpc_peer_put_buf(peer, &message);
}

static void ask_farewell(struct rpc_client *client)
{
    struct rpc_span result;
    struct err err;

    assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(9000), &result, &err),
                     -ECONNRESET);
    assert_non_null(strstr(err.text, "the API key has been revoked"));
    assert_true(rpc_client_is_broken(client));
    assert_true(rpc_client_call(client, "x", no_args, in_ms(9000), &result, &err) < 0);
    assert_non_null(strstr(err.text, "ended before"));
}

static void what_a_node_says_before_it_ends_the_connection_is_told(void **state)
{
    (void)state;
    over_both(run_farewell, NULL, ask_farewell);
}

/* Answers with as many bytes as the largest message has room for. */
static void run_large(struct rpc_peer *peer, void *arg)
{
    struct rpc_message m;
    struct buf message = {0};
    const size_t n = RPC_RESPONSE_MAX - 16;

    (void)arg;
    while (rpc_peer_next(peer, &m)) {
        uint8_t *bytes = x_alloc(n);
        struct buf value = {0};
        memset(bytes, 0x5a, n);
        bytes[n - 1] = 1;
        rpc_put_bin(&value, bytes, n);
        rpc_put_response(&message, m.id, (struct rpc_span){value.data, value.len});
        buf_deinit(&value);
        mem_free(bytes);
        rpc_peer_put_buf(peer, &message);
    }
}

static void ask_large(struct rpc_client *client)
{
    struct rpc_span result;
    struct err err;
    uint8_t *args = x_alloc(RPC_REQUEST_MAX);
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(rpc_client_call(client, "x", no_args, in_ms(20000), &result, &err), 0);
        struct unpack u = unpack_from(result.bytes, result.n);
        const uint8_t *bytes = unpack_bin(&u, RPC_RESPONSE_MAX, &n);
        assert_int_equal(n, RPC_RESPONSE_MAX - 16);
        assert_int_equal(bytes[n - 2], 0x5a);
        assert_int_equal(bytes[n - 1], 1);
    }
    memset(args, 0xc0, RPC_REQUEST_MAX);
    struct rpc_span much = {args, RPC_REQUEST_MAX};
    assert_int_equal(rpc_client_call(client, "x", much, in_ms(9000), &result, &err), ERR_LIMIT);
    assert_false(rpc_client_is_broken(client));
    mem_free(args);
}

static void the_largest_answer_comes_whole_and_too_large_a_call_does_not_go(void **state)
{
    (void)state;
    over_both(run_large, NULL, ask_large);
}

/* Says 6 MiB before it reads anything, then answers. */
static void run_talkative(struct rpc_peer *peer, void *arg)
{
    const size_t n = 1024 * 1024;
    uint8_t *bytes = x_alloc(n);
    struct rpc_message m;

    (void)arg;
    for (int i = 0; i < 6; i++) {
        struct buf value = {0};
        struct buf message = {0};
        rpc_put_bin(&value, bytes, n);
        rpc_put_notification(&message, "events.event", (struct rpc_span){value.data, value.len});
        buf_deinit(&value);
        rpc_peer_put_buf(peer, &message);
    }
    mem_free(bytes);
    while (rpc_peer_next(peer, &m)) {
        rpc_peer_answer(peer, m.id, m.id);
    }
}

/* More than the kernel keeps for a socket in both directions. */
static void ask_at_length(struct rpc_client *client)
{
    const size_t n = RPC_REQUEST_MAX - 64;
    uint8_t *args = x_alloc(n);
    struct rpc_span result;
    struct err err;
    uint32_t ids[MANY] = {0};

    args[0] = 0xc5; /* bin, with 16 bits of length: no map, but nobody looks */
    args[1] = (uint8_t)((n - 3) >> 8);
    args[2] = (uint8_t)(n - 3);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_int_equal(
            rpc_client_send(client, "x", (struct rpc_span){args, n}, in_ms(9000), &ids[i], &err),
            0);
    }
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_int_equal(rpc_client_wait(client, ids[i], in_ms(9000), &result, &err), 0);
        assert_int_equal(number_of(result), ids[i]);
    }
    mem_free(args);
}

static void sides_that_both_have_much_to_say_do_not_wait_for_each_other(void **state)
{
    (void)state;
    over_both(run_talkative, NULL, ask_at_length);
}

/* Three events in one piece. */
static void run_three(struct rpc_peer *peer, void *arg)
{
    struct rpc_message m;

    (void)arg;
    rpc_peer_put(peer, "\x93\x02\xa1x\x91\x01\x93\x02\xa1x\x91\x02\x93\x02\xa1x\x91\x03", 18);
    (void)rpc_peer_next(peer, &m);
}

static void take_three(struct rpc_client *client)
{
    struct rpc_message message;
    const uint8_t *before = NULL;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(rpc_client_receive(client, in_ms(9000), &message, NULL), 1);
        assert_true(before == NULL || message.params.bytes == before + 6);
        before = message.params.bytes;
    }
}

/* Else a node could have a client move a quarter of a MiB for each six bytes that it sends. */
static void small_messages_lie_where_they_came(void **state)
{
    (void)state;
    over_both(run_three, NULL, take_three);
}

static void run_silent(struct rpc_peer *peer, void *arg)
{
    struct rpc_message m;

    (void)arg;
    while (rpc_peer_next(peer, &m)) {
    }
}

static void ask_too_many(struct rpc_client *client)
{
    uint32_t id = 0;
    struct err err;

    for (size_t i = 0; i < RPC_CLIENT_CALLS_MAX; i++) {
        assert_int_equal(rpc_client_send(client, "x", no_args, in_ms(9000), &id, &err), 0);
    }
    assert_int_equal(rpc_client_send(client, "x", no_args, in_ms(9000), &id, &err), ERR_LIMIT);
    assert_int_equal(rpc_client_cancel(client, id, in_ms(9000), &err), 0);
    assert_int_equal(rpc_client_send(client, "x", no_args, in_ms(9000), &id, &err), 0);
}

static void too_many_calls_are_refused_and_one_less_is_not(void **state)
{
    (void)state;
    over_both(run_silent, NULL, ask_too_many);
}

static void *interrupt_soon(void *arg)
{
    const struct timespec soon = {.tv_nsec = 30 * (long)MS};

    nanosleep(&soon, NULL);
    rpc_client_interrupt(arg);
    return NULL;
}

static void ask_and_interrupt(struct rpc_client *client)
{
    pthread_t thread;
    struct rpc_message message;

    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, client), 0);
    assert_int_equal(rpc_client_receive(client, UINT64_MAX, &message, NULL), ERR_INTERRUPTED);
    pthread_join(thread, NULL);
    assert_false(rpc_client_is_broken(client));
    assert_int_equal(rpc_client_receive(client, in_ms(1), &message, NULL), -ETIMEDOUT);
}

static void who_waits_can_be_interrupted(void **state)
{
    (void)state;
    over_both(run_silent, NULL, ask_and_interrupt);
}

static void a_key_that_does_not_open_is_told_with_the_way_out(void **state)
{
    static const struct {
        enum channel_refusal refusal;
        bool later;
        const char *words;
    } cases[] = {
        {CHANNEL_NO_SUCH_KEY, false, "does not know the API key pr_"},
        {CHANNEL_WRONG_KEY, true, "the secret of the API key pr_"},
        {CHANNEL_KEY_EXPIRED, true, "has expired"},
        {CHANNEL_NO_KEYS, false, "has no API keys"},
        {CHANNEL_BUSY, false, "try again"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rpc_script script = {.run = run_silent};
        struct rpc_client *client = NULL;
        struct err err;
        char *secret;
        script.refusal = cases[i].later ? CHANNEL_NOT_REFUSED : cases[i].refusal;
        script.refusal_later = cases[i].later ? cases[i].refusal : CHANNEL_NOT_REFUSED;
        rpc_script_start(&script);
        secret = script.key + 3 + API_KEY_ID_CHARS + 1; /* which may hold a '_' itself */
        assert_true(rpc_script_dial(&script, in_ms(9000), &client, &err) < 0);
        assert_null(client);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_non_null(strstr(err.text, "127.0.0.1:"));
        assert_null(strstr(err.text, secret));
        rpc_script_stop(&script);
    }
}

static void another_secret_or_none_does_not_open(void **state)
{
    struct rpc_script script = {.run = run_silent};
    struct rpc_client *client = NULL;
    struct api_key other = {.role = ROLE_ADMIN};
    char key[API_KEY_TEXT_MAX];
    const size_t secret_at = 3 + API_KEY_ID_CHARS + 1;
    struct err err;

    (void)state;
    rpc_script_start(&script);
    api_key_make(&other, key);
    memcpy(script.key + secret_at, key + secret_at, sizeof key - secret_at);
    assert_int_equal(rpc_script_dial(&script, in_ms(9000), &client, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "secret of the API key pr_"));
    snprintf(script.key, sizeof script.key, "%s", "pr_nonsense");
    assert_int_equal(rpc_script_dial(&script, in_ms(9000), &client, &err), ERR_KEY);
    assert_null(strstr(err.text, "nonsense"));
    struct rpc_endpoint endpoint = rpc_script_endpoint(&script);
    const struct rpc_client_opts opts = {.endpoint = &endpoint};
    assert_int_equal(rpc_client_open(&opts, in_ms(9000), &client, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "--api-key-file"));
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    rpc_script_stop(&script);
}

static void a_node_that_is_not_there_is_told(void **state)
{
    struct rpc_client *client = NULL;
    struct rpc_endpoint endpoint;
    const struct rpc_client_opts opts = {.endpoint = &endpoint, .api_key = "pr_a_b"};
    struct rpc_script script = {.run = run_silent};
    char *path = in_place("none.sock");
    struct err err;

    (void)state;
    assert_int_equal(rpc_endpoint_parse(path, &endpoint, NULL), 0);
    assert_int_equal(rpc_client_open(&opts, in_ms(9000), &client, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "--rpc-socket"));
    assert_non_null(strstr(err.text, path));
    mem_free(path);
    script.is_unix = true;
    rpc_script_start(&script);
    wire_server_stop(&script.server); /* its socket stays */
    endpoint = rpc_script_endpoint(&script);
    assert_true(rpc_client_open(&opts, in_ms(9000), &client, &err) < 0);
    assert_non_null(strstr(err.text, "nobody listens"));
    mem_free(script.path);
    script = (struct rpc_script){.run = run_silent};
    rpc_script_start(&script);
    endpoint = rpc_script_endpoint(&script);
    rpc_script_stop(&script);
    assert_true(rpc_client_open(&opts, in_ms(9000), &client, &err) < 0);
    assert_non_null(strstr(err.text, "--rpc-addr"));
}

static void what_a_node_calls_an_error_without_words_is_one(void **state)
{
    static const uint8_t bare[] = {0x94, 1, 1, 0xc3, 0xc0}; /* [1, 1, true, nil] */
    const struct rpc_message message = {
        .kind = RPC_RESPONSE, .id = 1, .error = {bare + 3, 1}, .result = {NULL, 0}};
    struct rpc_script script = {.run = run_silent, .is_unix = true};
    struct rpc_span result;
    struct err err;

    (void)state;
    rpc_script_start(&script);
    struct rpc_client *client = rpc_script_dial_well(&script);
    assert_int_equal(rpc_client_answer(client, &message, &result, &err), ERR_IO);
    assert_non_null(strstr(err.text, "does not say why"));
    rpc_client_close(client);
    rpc_client_close(NULL);
    rpc_script_stop(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_answer_or_its_error),
        cmocka_unit_test(many_calls_are_under_way_at_once),
        cmocka_unit_test(too_many_calls_are_refused_and_one_less_is_not),
        cmocka_unit_test(answers_can_be_taken_as_they_come),
        cmocka_unit_test(a_call_that_takes_too_long_is_cancelled_and_the_next_one_works),
        cmocka_unit_test(what_a_node_says_before_it_ends_the_connection_is_told),
        cmocka_unit_test(the_largest_answer_comes_whole_and_too_large_a_call_does_not_go),
        cmocka_unit_test(sides_that_both_have_much_to_say_do_not_wait_for_each_other),
        cmocka_unit_test(small_messages_lie_where_they_came),
        cmocka_unit_test(who_waits_can_be_interrupted),
        cmocka_unit_test(a_key_that_does_not_open_is_told_with_the_way_out),
        cmocka_unit_test(another_secret_or_none_does_not_open),
        cmocka_unit_test(a_node_that_is_not_there_is_told),
        cmocka_unit_test(what_a_node_calls_an_error_without_words_is_one),
    };

    return cmocka_run_group_tests(tests, make_place, drop_place);
}
