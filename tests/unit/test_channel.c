/* SPDX-License-Identifier: Apache-2.0
 *
 * The channel as its users see it: opens with every kind of key, at every cut of the bytes; carries
 * a stream both ways past the change of keys; refuses with one byte and a sentence. What a hostile
 * side can do is in test_channel_hostile.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/noise.h"
#include "tests/support/channel_pair.h"

static const enum channel_kind kinds[] = {CHANNEL_API_KEY, CHANNEL_CLUSTER_GOSSIP,
                                          CHANNEL_CLUSTER_CALLS};

static void a_channel_opens_at_every_cut_of_its_bytes(void **state)
{
    struct channel_pair p;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t step = 1; step <= 200; step++) {
            pair_init(&p, kinds[k]);
            while (p.client.out.len > 0 || p.server.out.len > 0) {
                assert_true(end_carry(&p.client, &p.server, step));
                assert_true(end_carry(&p.server, &p.client, step));
            }
            assert_int_equal(channel_state(p.client.channel), CHANNEL_OPEN);
            assert_int_equal(channel_state(p.server.channel), CHANNEL_OPEN);
            assert_int_equal(p.client.opened, 1);
            assert_int_equal(p.server.opened, 1);
            assert_int_equal(p.lookups, 1);
            pair_deinit(&p);
        }
    }
}

static void the_server_learns_key_and_kind(void **state)
{
    struct channel_pair p;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        pair_open(&p, kinds[k]);
        assert_int_equal(p.kind_seen, kinds[k]);
        assert_string_equal(p.key_id_seen, PAIR_KEY_ID);
        assert_int_equal(channel_kind(p.server.channel), kinds[k]);
        assert_string_equal(channel_key_id(p.server.channel), PAIR_KEY_ID);
        pair_deinit(&p);
    }
}

static void nodes_learn_each_other_and_callers_do_not(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_init(&p, CHANNEL_CLUSTER_GOSSIP);
    assert_null(channel_peer(p.client.channel));
    pair_deinit(&p);
    pair_open(&p, CHANNEL_CLUSTER_GOSSIP);
    assert_memory_equal(channel_peer(p.client.channel), p.node_public[1], 32);
    assert_memory_equal(channel_peer(p.server.channel), p.node_public[0], 32);
    pair_deinit(&p);
    pair_open(&p, CHANNEL_API_KEY);
    assert_null(channel_peer(p.client.channel));
    assert_null(channel_peer(p.server.channel));
    pair_deinit(&p);
}

static void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    }
}

static void a_stream_comes_out_as_it_went_in(void **state)
{
    static const size_t sizes[] = {1,
                                   2,
                                   100,
                                   CHANNEL_PLAIN_MAX - 1,
                                   CHANNEL_PLAIN_MAX,
                                   CHANNEL_PLAIN_MAX + 1,
                                   3 * CHANNEL_PLAIN_MAX + 5};
    static const size_t steps[] = {1, 7, 4096, 65537, SIZE_MAX};
    uint8_t *bytes = x_alloc(sizes[ARRAY_LEN(sizes) - 1]);
    struct channel_pair p;

    (void)state;
    pair_open(&p, CHANNEL_API_KEY);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
            struct channel_end *from = k % 2 == 0 ? &p.client : &p.server;
            struct channel_end *to = k % 2 == 0 ? &p.server : &p.client;
            fill(bytes, sizes[i]);
            channel_seal(from->channel, bytes, sizes[i], &from->out);
            size_t frames = (sizes[i] + CHANNEL_PLAIN_MAX - 1) / CHANNEL_PLAIN_MAX;
            assert_int_equal(from->out.len, sizes[i] + frames * 18);
            assert_true(end_carry(from, to, steps[k]));
            assert_int_equal(to->seen.len, sizes[i]);
            assert_memory_equal(to->seen.data, bytes, sizes[i]);
            buf_reset(&to->seen);
        }
    }
    channel_seal(p.client.channel, bytes, 0, &p.client.out);
    assert_int_equal(p.client.out.len, 0);
    pair_deinit(&p);
    mem_free(bytes);
}

static void a_stream_goes_on_past_the_change_of_keys(void **state)
{
    struct channel_pair p;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        pair_open(&p, kinds[k]);
        for (unsigned i = 0; i < 3 * CHANNEL_REKEY_FRAMES; i++) {
            uint8_t byte = (uint8_t)i;
            channel_seal(p.client.channel, &byte, 1, &p.client.out);
            assert_true(end_carry(&p.client, &p.server, SIZE_MAX));
            assert_int_equal(p.server.seen.len, i + 1);
            assert_int_equal(p.server.seen.data[i], byte);
        }
        channel_seal(p.server.channel, "still", 5, &p.server.out);
        assert_true(end_carry(&p.server, &p.client, SIZE_MAX));
        assert_memory_equal(p.client.seen.data, "still", 5);
        pair_deinit(&p);
    }
}

/* A client against a server made of the Noise layer, which takes the next key by the book: after
 * CHANNEL_REKEY_FRAMES messages of a way, the proof counted. A side that forgot it would still
 * understand one that forgot it too. */
static void the_next_key_is_taken_after_so_many_frames_of_a_way(void **state)
{
    static const uint8_t psk[NOISE_KEY_BYTES] = {4};
    static const uint8_t ephemeral[NOISE_KEY_BYTES] = {5};
    const struct channel_client client = {
        .kind = CHANNEL_API_KEY, .key_id = PAIR_KEY_ID, .psk = psk};
    struct noise_handshake hs;
    struct noise_cipher send;
    struct noise_cipher receive;
    uint8_t answer[1 + NOISE_EXTRA_BYTES] = {CHANNEL_NOT_REFUSED};
    uint8_t sealed[2 + 1 + NOISE_TAG_BYTES] = {0, 1 + NOISE_TAG_BYTES};
    uint8_t byte;
    struct channel_end end = {.rc = 0};

    (void)state;
    end.channel = channel_new_client(&client, &end.out);
    noise_begin(&hs, NOISE_RESPONDER, psk, ephemeral, end.out.data, CHANNEL_PREAMBLE_BYTES);
    assert_true(noise_read(&hs, end.out.data + CHANNEL_PREAMBLE_BYTES, NOISE_EXTRA_BYTES, answer));
    answer[0] = CHANNEL_NOT_REFUSED;
    assert_true(noise_write(&hs, NULL, 0, answer + 1));
    noise_split(&hs, &send, &receive);
    buf_reset(&end.out);
    assert_true(end_feed(&end, answer, sizeof answer, SIZE_MAX));
    for (unsigned i = 0; i < 2 * CHANNEL_REKEY_FRAMES + 2; i++) {
        if (i > 0) { /* the first that it sends is the proof */
            channel_seal(end.channel, "x", 1, &end.out);
        }
        size_t n = (i > 0 ? 1 : 0) + NOISE_TAG_BYTES;
        assert_int_equal(end.out.len, 2 + n);
        assert_true(noise_open(&receive, end.out.data + 2, n, &byte));
        buf_reset(&end.out);
        noise_seal(&send, "y", 1, sealed + 2);
        assert_true(end_feed(&end, sealed, sizeof sealed, SIZE_MAX));
        if ((i + 1) % CHANNEL_REKEY_FRAMES == 0) {
            noise_rekey(&send);
            noise_rekey(&receive);
        }
    }
    channel_free(end.channel);
    buf_deinit(&end.out);
    buf_deinit(&end.seen);
}

static void data_may_come_right_behind_the_handshake(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_init(&p, CHANNEL_API_KEY);
    assert_true(end_carry(&p.client, &p.server, SIZE_MAX));
    assert_true(end_carry(&p.server, &p.client, SIZE_MAX));
    channel_seal(p.client.channel, "call", 4, &p.client.out);
    assert_true(end_carry(&p.client, &p.server, SIZE_MAX));
    assert_int_equal(p.server.opened, 1);
    assert_int_equal(p.server.seen.len, 4);
    assert_memory_equal(p.server.seen.data, "call", 4);
    pair_deinit(&p);
}

struct refused {
    enum channel_refusal refusal;
    bool later;
    const char *words;
    int code;
};

static void a_refusal_is_one_byte_and_a_sentence_with_the_way_out(void **state)
{
    static const struct refused cases[] = {
        {CHANNEL_NO_SUCH_KEY, false, "does not know the API key pr_abcdefgh_", ERR_KEY},
        {CHANNEL_WRONG_KEY, false, "whole line that 'packetrecorder keys add'", ERR_KEY},
        {CHANNEL_KEY_EXPIRED, true, "pr_abcdefgh_… has expired", ERR_KEY},
        {CHANNEL_BAD_VERSION, false, "update the older side", ERR_VERSION},
        {CHANNEL_BAD_KIND, false, "take the port of --rpc-addr", ERR_UNSUPPORTED},
        {CHANNEL_BUSY, false, "try again in a few seconds", ERR_LIMIT},
        {CHANNEL_NO_KEYS, false, "'packetrecorder keys add' beside the node", ERR_KEY},
    };
    struct channel_pair p;

    (void)state;
    assert_int_equal(ARRAY_LEN(cases), CHANNEL_REFUSALS - 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pair_init(&p, CHANNEL_API_KEY);
        p.refusal = cases[i].later ? CHANNEL_NOT_REFUSED : cases[i].refusal;
        p.refusal_later = cases[i].later ? cases[i].refusal : CHANNEL_NOT_REFUSED;
        assert_false(end_carry(&p.client, &p.server, SIZE_MAX));
        assert_int_equal(p.server.out.len, 1);
        assert_int_equal(p.server.out.data[0], cases[i].refusal);
        assert_int_equal(channel_refused(p.server.channel), cases[i].refusal);
        assert_non_null(strstr(p.server.err.text, channel_refusal_name(cases[i].refusal)));
        assert_false(end_carry(&p.server, &p.client, SIZE_MAX));
        assert_int_equal(p.client.rc, cases[i].code);
        assert_non_null(strstr(p.client.err.text, cases[i].words));
        pair_deinit(&p);
    }
}

static void an_expired_key_is_told_only_to_those_who_know_it(void **state)
{
    struct channel_pair p;

    (void)state;
    pair_init(&p, CHANNEL_API_KEY);
    p.refusal_later = CHANNEL_KEY_EXPIRED;
    p.psk[0]++;
    assert_false(end_carry(&p.client, &p.server, SIZE_MAX));
    assert_int_equal(p.server.out.len, 1);
    assert_int_equal(p.server.out.data[0], CHANNEL_WRONG_KEY);
    pair_deinit(&p);
}

static void the_end_of_a_connection_is_told_by_where_it_came(void **state)
{
    struct channel_pair p;
    struct err err;

    (void)state;
    pair_init(&p, CHANNEL_API_KEY);
    assert_int_equal(channel_ended(p.client.channel, &err), ERR_DAMAGED);
    assert_non_null(strstr(err.text, "no packetrecorder"));
    assert_true(channel_ended(p.server.channel, &err) < 0);
    assert_true(end_carry(&p.client, &p.server, SIZE_MAX));
    assert_true(end_feed(&p.client, p.server.out.data, 20, SIZE_MAX));
    assert_int_equal(channel_ended(p.client.channel, &err), ERR_DAMAGED);
    assert_non_null(strstr(err.text, "cut in the handshake"));
    pair_deinit(&p);
    pair_open(&p, CHANNEL_API_KEY);
    assert_true(channel_ended(p.client.channel, &err) < 0);
    assert_non_null(strstr(err.text, "has ended"));
    channel_seal(p.server.channel, "cut", 3, &p.server.out);
    assert_true(end_feed(&p.client, p.server.out.data, p.server.out.len - 1, SIZE_MAX));
    assert_int_equal(channel_ended(p.client.channel, &err), ERR_DAMAGED);
    pair_deinit(&p);
}

static void ids_of_cluster_keys_are_hexadecimal_digits(void **state)
{
    static const char *const bad[] = {"", "0badcaf", "0badcafee", "0BADCAFE", "0badcafg"};
    char text[CHANNEL_KEY_ID_CHARS + 1];
    uint32_t id = 0;

    (void)state;
    channel_cluster_key_id(0x0badcafe, text);
    assert_string_equal(text, "0badcafe");
    assert_true(channel_cluster_key_id_parse(text, &id));
    assert_int_equal(id, 0x0badcafe);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(channel_cluster_key_id_parse(bad[i], &id));
    }
}

static void a_preamble_tells_its_kind_with_the_sixth_byte(void **state)
{
    uint8_t preamble[] = {0xd7, 'P', 'R', 'C', CHANNEL_VERSION, CHANNEL_CLUSTER_CALLS};

    (void)state;
    for (size_t n = 0; n < sizeof preamble; n++) {
        assert_int_equal(channel_peek_kind(preamble, n), 0);
    }
    assert_int_equal(channel_peek_kind(preamble, sizeof preamble), CHANNEL_CLUSTER_CALLS);
    preamble[5] = CHANNEL_CLUSTER_GOSSIP;
    assert_int_equal(channel_peek_kind(preamble, sizeof preamble), CHANNEL_CLUSTER_GOSSIP);
    preamble[0] = 'G';
    assert_int_equal(channel_peek_kind(preamble, 1), CHANNEL_CLUSTER_GOSSIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preamble_tells_its_kind_with_the_sixth_byte),
        cmocka_unit_test(a_channel_opens_at_every_cut_of_its_bytes),
        cmocka_unit_test(the_server_learns_key_and_kind),
        cmocka_unit_test(nodes_learn_each_other_and_callers_do_not),
        cmocka_unit_test(a_stream_comes_out_as_it_went_in),
        cmocka_unit_test(a_stream_goes_on_past_the_change_of_keys),
        cmocka_unit_test(the_next_key_is_taken_after_so_many_frames_of_a_way),
        cmocka_unit_test(data_may_come_right_behind_the_handshake),
        cmocka_unit_test(a_refusal_is_one_byte_and_a_sentence_with_the_way_out),
        cmocka_unit_test(an_expired_key_is_told_only_to_those_who_know_it),
        cmocka_unit_test(the_end_of_a_connection_is_told_by_where_it_came),
        cmocka_unit_test(ids_of_cluster_keys_are_hexadecimal_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
