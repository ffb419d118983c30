/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody between the sides, without a key, with another key, or with the key of the cluster
 * and no right to a name can try on a channel: each changed bit, each cut, replay, reflection,
 * downgrade, order, and whose signature it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "shared/base/mem.h"
#include "shared/wire/noise.h"
#include "tests/support/channel_pair.h"

#define SERVER_ANSWER (1 + NOISE_EXTRA_BYTES)
#define NODE_PROOF    (CHANNEL_NODE_PUBLIC_BYTES + 64)

static const enum channel_kind kinds[] = {CHANNEL_API_KEY, CHANNEL_CLUSTER_GOSSIP,
                                          CHANNEL_CLUSTER_CALLS};

/* Carries both ways until nobody has anything to say; the client's bytes with bit `client_bit` of
 * all that it sends turned, or the server's. SIZE_MAX: none. */
static void shake_with_a_turned_bit(struct channel_pair *p, size_t client_bit, size_t server_bit)
{
    size_t sent[2] = {0, 0};

    for (int turn = 0; turn < 4; turn++) {
        struct channel_end *from = turn % 2 == 0 ? &p->client : &p->server;
        struct channel_end *to = turn % 2 == 0 ? &p->server : &p->client;
        size_t bit = turn % 2 == 0 ? client_bit : server_bit;
        size_t *before = &sent[turn % 2];
        if (bit / 8 >= *before && bit / 8 < *before + from->out.len) {
            from->out.data[bit / 8 - *before] ^= (uint8_t)(1u << bit % 8);
        }
        *before += from->out.len;
        (void)end_carry(from, to, SIZE_MAX);
    }
}

static void no_changed_bit_of_a_handshake_lets_anybody_in(void **state)
{
    static const size_t client_bytes[] = {64 + 18, 64 + 114, 64 + 114};
    static const size_t server_bytes[] = {49, 49 + 114, 49 + 114};
    struct channel_pair p;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t bit = 0; bit < 8 * client_bytes[k]; bit++) {
            pair_init(&p, kinds[k]);
            shake_with_a_turned_bit(&p, bit, SIZE_MAX);
            assert_int_equal(channel_state(p.server.channel), CHANNEL_FAILED);
            assert_int_equal(p.server.opened, 0);
            pair_deinit(&p);
        }
        for (size_t bit = 0; bit < 8 * server_bytes[k]; bit++) {
            pair_init(&p, kinds[k]);
            shake_with_a_turned_bit(&p, SIZE_MAX, bit);
            assert_int_equal(channel_state(p.client.channel), CHANNEL_FAILED);
            assert_int_equal(p.client.opened, 0);
            assert_int_equal(p.server.opened, 0);
            pair_deinit(&p);
        }
        pair_init(&p, kinds[k]);
        shake_with_a_turned_bit(&p, SIZE_MAX, SIZE_MAX); /* the same without one opens */
        assert_int_equal(channel_state(p.server.channel), CHANNEL_OPEN);
        pair_deinit(&p);
    }
}

static void nobody_is_let_in_before_the_last_byte(void **state)
{
    struct channel_pair p;
    struct err err;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t cut = 1; cut <= 18; cut++) {
            pair_init(&p, kinds[k]);
            (void)end_carry(&p.client, &p.server, SIZE_MAX);
            (void)end_carry(&p.server, &p.client, SIZE_MAX);
            (void)end_feed(&p.server, p.client.out.data, p.client.out.len - cut, SIZE_MAX);
            assert_int_equal(channel_state(p.server.channel), CHANNEL_HANDSHAKE);
            assert_true(channel_ended(p.server.channel, &err) < 0);
            pair_deinit(&p);
        }
    }
}

/* All that a client sent, given to a server that has another ephemeral key. */
static void a_recorded_client_is_not_let_in_again(void **state)
{
    struct channel_pair p;
    struct channel_pair again;
    uint8_t ephemeral[32] = {99};

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        pair_init(&p, kinds[k]);
        struct buf recorded = {0};
        buf_append(&recorded, p.client.out.data, p.client.out.len);
        (void)end_carry(&p.client, &p.server, SIZE_MAX);
        (void)end_carry(&p.server, &p.client, SIZE_MAX);
        channel_seal(p.client.channel, "delete", 6, &p.client.out);
        buf_append(&recorded, p.client.out.data, p.client.out.len);
        pair_init_server(&again, kinds[k], ephemeral);
        assert_false(end_feed(&again.server, recorded.data, recorded.len, SIZE_MAX));
        assert_int_equal(again.server.out.data[0], CHANNEL_NOT_REFUSED); /* message 1 is good */
        assert_int_equal(again.server.opened, 0);
        assert_int_equal(again.server.seen.len, 0);
        buf_deinit(&recorded);
        pair_deinit(&p);
        pair_deinit(&again);
    }
}

static void what_a_side_sent_does_not_come_back_to_it(void **state)
{
    struct channel_pair p;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        pair_open(&p, kinds[k]);
        channel_seal(p.client.channel, "x", 1, &p.client.out);
        assert_false(end_feed(&p.client, p.client.out.data, p.client.out.len, SIZE_MAX));
        channel_seal(p.server.channel, "x", 1, &p.server.out);
        assert_false(end_feed(&p.server, p.server.out.data, p.server.out.len, SIZE_MAX));
        pair_deinit(&p);
    }
    pair_init(&p, CHANNEL_API_KEY); /* a client's first bytes are no answer to it */
    assert_false(end_feed(&p.client, p.client.out.data, p.client.out.len, SIZE_MAX));
    pair_deinit(&p);
}

static void frames_come_once_all_of_them_and_in_their_order(void **state)
{
    struct channel_pair p;

    (void)state;
    for (int what = 0; what < 4; what++) {
        struct buf one = {0};
        struct buf two = {0};
        pair_open(&p, CHANNEL_API_KEY);
        channel_seal(p.client.channel, "one", 3, &one);
        channel_seal(p.client.channel, "two", 3, &two);
        if (what == 0 || what == 1) {
            assert_true(end_feed(&p.server, one.data, one.len, SIZE_MAX));
        }
        switch (what) {
        case 0: /* as they were sent */
            assert_true(end_feed(&p.server, two.data, two.len, SIZE_MAX));
            break;
        case 1: /* twice */
            assert_false(end_feed(&p.server, one.data, one.len, SIZE_MAX));
            break;
        default: /* the first is missing, or comes later */
            assert_false(end_feed(&p.server, two.data, two.len, SIZE_MAX));
            assert_false(end_feed(&p.server, one.data, one.len, SIZE_MAX));
        }
        assert_int_equal(p.server.seen.len, what == 0 ? 6 : what == 1 ? 3 : 0);
        buf_deinit(&one);
        buf_deinit(&two);
        pair_deinit(&p);
    }
}

static void no_changed_bit_of_a_frame_comes_through(void **state)
{
    struct channel_pair p;
    struct err err;

    (void)state;
    for (size_t bit = 0; bit < 8 * (2 + 4 + 16); bit++) {
        pair_open(&p, CHANNEL_API_KEY);
        channel_seal(p.client.channel, "data", 4, &p.client.out);
        channel_seal(p.client.channel, "more", 4, &p.client.out);
        p.client.out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (end_carry(&p.client, &p.server, SIZE_MAX)) { /* longer than what is there: waits */
            assert_true(bit < 16);
            assert_int_equal(channel_ended(p.server.channel, &err), ERR_DAMAGED);
        }
        assert_int_equal(p.server.seen.len, 0);
        pair_deinit(&p);
    }
}

static void frames_that_hold_nothing_are_refused(void **state)
{
    struct channel_pair p;

    (void)state;
    for (unsigned n = 0; n <= 16; n++) {
        const uint8_t head[2] = {0, (uint8_t)n};
        pair_open(&p, CHANNEL_API_KEY);
        assert_false(end_feed(&p.server, head, sizeof head, SIZE_MAX));
        assert_int_equal(p.server.rc, ERR_DAMAGED);
        pair_deinit(&p);
    }
}

static void a_channel_that_failed_stays_so(void **state)
{
    struct channel_pair p;
    const uint8_t head[2] = {0, 0};

    (void)state;
    pair_open(&p, CHANNEL_API_KEY);
    channel_seal(p.client.channel, "good", 4, &p.client.out);
    assert_false(end_feed(&p.server, head, sizeof head, SIZE_MAX));
    p.server.rc = 0;
    assert_false(end_carry(&p.client, &p.server, SIZE_MAX));
    assert_int_equal(p.server.rc, ERR_DAMAGED);
    assert_int_equal(p.server.seen.len, 0);
    pair_deinit(&p);
}

/* ---- the preamble ---- */

static void feed_preamble(struct channel_pair *p, size_t at, uint8_t byte)
{
    pair_init(p, CHANNEL_API_KEY);
    p->client.out.data[at] = byte;
    assert_false(end_carry(&p->client, &p->server, SIZE_MAX));
}

static void other_protocols_get_no_answer(void **state)
{
    static const char *const greetings[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rndrnd",
                                            "\x94\x00\x01\xa9node.info\x90......"};
    struct channel_pair p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
        pair_init(&p, CHANNEL_API_KEY);
        assert_false(end_feed(&p.server, greetings[i], CHANNEL_PREAMBLE_BYTES, 3));
        assert_int_equal(p.server.out.len, 0);
        assert_int_equal(p.lookups, 0);
        pair_deinit(&p);
    }
}

static void other_versions_and_kinds_are_refused_and_no_key_is_looked_for(void **state)
{
    struct channel_pair p;

    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        if (v != CHANNEL_VERSION) {
            feed_preamble(&p, 4, (uint8_t)v);
            assert_int_equal(channel_refused(p.server.channel), CHANNEL_BAD_VERSION);
            assert_int_equal(p.server.out.data[0], CHANNEL_BAD_VERSION);
            assert_int_equal(p.lookups, 0);
            pair_deinit(&p);
        }
        if (v < CHANNEL_API_KEY || v > CHANNEL_CLUSTER_CALLS) {
            feed_preamble(&p, 5, (uint8_t)v);
            assert_int_equal(channel_refused(p.server.channel), CHANNEL_BAD_KIND);
            assert_int_equal(p.lookups, 0);
            pair_deinit(&p);
        }
        if (v != 0) {
            feed_preamble(&p, v % 2 == 0 ? 6 : 7, (uint8_t)v);
            assert_int_equal(channel_refused(p.server.channel), CHANNEL_BAD_VERSION);
            pair_deinit(&p);
        }
        bool plain = (v >= '0' && v <= '9') || (v >= 'a' && v <= 'z');
        if (!plain) {
            feed_preamble(&p, 15, (uint8_t)v);
            assert_int_equal(channel_refused(p.server.channel), CHANNEL_NO_SUCH_KEY);
            assert_int_equal(p.lookups, 0);
            pair_deinit(&p);
        }
    }
}

/* Kind and key id are in the prologue: changed on the way, the key does not fit. */
static void a_kind_or_key_id_that_was_changed_on_the_way_does_not_fit(void **state)
{
    struct channel_pair p;

    (void)state;
    feed_preamble(&p, 5, CHANNEL_CLUSTER_CALLS);
    assert_int_equal(channel_refused(p.server.channel), CHANNEL_WRONG_KEY);
    assert_int_equal(p.kind_seen, CHANNEL_CLUSTER_CALLS);
    pair_deinit(&p);
    feed_preamble(&p, 8, 'z');
    assert_int_equal(channel_refused(p.server.channel), CHANNEL_WRONG_KEY);
    assert_string_equal(p.key_id_seen, "zbcdefgh");
    pair_deinit(&p);
}

static enum channel_refusal never(void *arg, enum channel_kind kind, const char *key_id,
                                  struct channel_key *out)
{
    (void)arg;
    (void)kind;
    (void)key_id;
    (void)out;
    fail();
    return CHANNEL_NO_SUCH_KEY;
}

static void a_server_without_a_node_key_serves_no_nodes(void **state)
{
    const struct channel_server server = {.lookup = never};
    struct channel_pair p;

    (void)state;
    for (size_t k = 1; k < ARRAY_LEN(kinds); k++) {
        pair_init(&p, kinds[k]);
        channel_free(p.server.channel);
        p.server.channel = channel_new_server(&server);
        assert_false(end_carry(&p.client, &p.server, SIZE_MAX));
        assert_int_equal(p.server.out.data[0], CHANNEL_BAD_KIND);
        pair_deinit(&p);
    }
}

/* ---- somebody with the key of the cluster ---- */

/* A client made of the Noise layer alone, so that it can send any proof. */
struct intruder {
    struct noise_cipher send;
    struct noise_cipher receive;
    uint8_t hash[NOISE_HASH_BYTES];
    uint8_t their_proof[NODE_PROOF];
};

static void intrude(struct intruder *intruder, struct channel_pair *p)
{
    static const uint8_t psk[NOISE_KEY_BYTES] = {1, 2, 3}; /* of channel_pair.c */
    const uint8_t ephemeral[NOISE_KEY_BYTES] = {77};
    const uint8_t preamble[CHANNEL_PREAMBLE_BYTES] = "\xd7PRC\x01\x02\0\0abcdefg"
                                                     "h";
    struct noise_handshake hs;
    uint8_t message[NOISE_EXTRA_BYTES];
    const uint8_t *at;

    pair_init(p, CHANNEL_CLUSTER_GOSSIP);
    noise_begin(&hs, NOISE_INITIATOR, psk, ephemeral, preamble, sizeof preamble);
    assert_true(noise_write(&hs, NULL, 0, message));
    assert_true(end_feed(&p->server, preamble, sizeof preamble, SIZE_MAX));
    assert_true(end_feed(&p->server, message, sizeof message, SIZE_MAX));
    at = p->server.out.data;
    assert_int_equal(p->server.out.len, SERVER_ANSWER + 2 + NODE_PROOF + NOISE_TAG_BYTES);
    assert_true(noise_read(&hs, at + 1, NOISE_EXTRA_BYTES, message));
    noise_split(&hs, &intruder->send, &intruder->receive);
    memcpy(intruder->hash, hs.hash, sizeof hs.hash);
    assert_true(noise_open(&intruder->receive, at + SERVER_ANSWER + 2, NODE_PROOF + NOISE_TAG_BYTES,
                           intruder->their_proof));
    buf_reset(&p->server.out);
}

static bool prove(struct intruder *intruder, struct channel_pair *p, const uint8_t *proof, size_t n)
{
    uint8_t frame[2 + NODE_PROOF + 8 + NOISE_TAG_BYTES];

    frame[0] = 0;
    frame[1] = (uint8_t)(n + NOISE_TAG_BYTES);
    noise_seal(&intruder->send, proof, n, frame + 2);
    return end_feed(&p->server, frame, 2 + n + NOISE_TAG_BYTES, SIZE_MAX);
}

static void sign_as(const struct intruder *intruder, const char *words, const uint8_t *public_key,
                    const uint8_t *secret_key, uint8_t proof[NODE_PROOF])
{
    uint8_t text[128];
    size_t n = strlen(words);

    memcpy(text, words, n);
    memcpy(text + n, intruder->hash, sizeof intruder->hash);
    memcpy(proof, public_key, CHANNEL_NODE_PUBLIC_BYTES);
    (void)crypto_sign_detached(proof + CHANNEL_NODE_PUBLIC_BYTES, NULL, text,
                               n + sizeof intruder->hash, secret_key);
}

static void a_member_may_use_its_own_name_only(void **state)
{
    struct intruder intruder;
    struct channel_pair p;
    uint8_t proof[NODE_PROOF];

    (void)state;
    intrude(&intruder, &p); /* as itself */
    sign_as(&intruder, CHANNEL_PROOF_CLIENT, p.node_public[0], p.node_secret[0], proof);
    assert_true(prove(&intruder, &p, proof, sizeof proof));
    assert_memory_equal(channel_peer(p.server.channel), p.node_public[0], 32);
    pair_deinit(&p);
    intrude(&intruder, &p); /* another's name, its own signature */
    sign_as(&intruder, CHANNEL_PROOF_CLIENT, p.node_public[1], p.node_secret[0], proof);
    assert_false(prove(&intruder, &p, proof, sizeof proof));
    assert_int_equal(p.server.rc, ERR_KEY);
    assert_null(channel_peer(p.server.channel));
    pair_deinit(&p);
    intrude(&intruder, &p); /* the server's own proof, given back */
    assert_false(prove(&intruder, &p, intruder.their_proof, sizeof proof));
    assert_int_equal(p.server.rc, ERR_KEY);
    pair_deinit(&p);
    intrude(&intruder, &p); /* a good signature, for the server's role */
    sign_as(&intruder, CHANNEL_PROOF_SERVER, p.node_public[0], p.node_secret[0], proof);
    assert_false(prove(&intruder, &p, proof, sizeof proof));
    pair_deinit(&p);
    intrude(&intruder, &p); /* of another handshake */
    intruder.hash[0] ^= 1;
    sign_as(&intruder, CHANNEL_PROOF_CLIENT, p.node_public[0], p.node_secret[0], proof);
    assert_false(prove(&intruder, &p, proof, sizeof proof));
    pair_deinit(&p);
}

static void a_proof_of_another_size_is_none(void **state)
{
    static const size_t sizes[] = {0, 1, NODE_PROOF - 1, NODE_PROOF + 1};
    struct intruder intruder;
    struct channel_pair p;
    uint8_t proof[NODE_PROOF + 8] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        intrude(&intruder, &p);
        assert_false(prove(&intruder, &p, proof, sizes[i]));
        assert_int_equal(p.server.rc, ERR_DAMAGED);
        pair_deinit(&p);
    }
}

static void no_two_handshakes_begin_alike(void **state)
{
    static const uint8_t psk[CHANNEL_PSK_BYTES] = {1};
    const struct channel_client client = {
        .kind = CHANNEL_API_KEY, .key_id = PAIR_KEY_ID, .psk = psk};
    struct buf a = {0};
    struct buf b = {0};

    (void)state;
    channel_free(channel_new_client(&client, &a));
    channel_free(channel_new_client(&client, &b));
    assert_memory_equal(a.data, b.data, CHANNEL_PREAMBLE_BYTES);
    assert_memory_not_equal(a.data + CHANNEL_PREAMBLE_BYTES, b.data + CHANNEL_PREAMBLE_BYTES, 32);
    buf_deinit(&a);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_changed_bit_of_a_handshake_lets_anybody_in),
        cmocka_unit_test(nobody_is_let_in_before_the_last_byte),
        cmocka_unit_test(a_recorded_client_is_not_let_in_again),
        cmocka_unit_test(what_a_side_sent_does_not_come_back_to_it),
        cmocka_unit_test(frames_come_once_all_of_them_and_in_their_order),
        cmocka_unit_test(no_changed_bit_of_a_frame_comes_through),
        cmocka_unit_test(frames_that_hold_nothing_are_refused),
        cmocka_unit_test(a_channel_that_failed_stays_so),
        cmocka_unit_test(other_protocols_get_no_answer),
        cmocka_unit_test(other_versions_and_kinds_are_refused_and_no_key_is_looked_for),
        cmocka_unit_test(a_kind_or_key_id_that_was_changed_on_the_way_does_not_fit),
        cmocka_unit_test(a_server_without_a_node_key_serves_no_nodes),
        cmocka_unit_test(a_member_may_use_its_own_name_only),
        cmocka_unit_test(a_proof_of_another_size_is_none),
        cmocka_unit_test(no_two_handshakes_begin_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
