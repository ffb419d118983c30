/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope: what libsodium says of its bytes, whom it lets in, and the replay window against a
 * model that remembers everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_limits.h"
#include "shared/swarm/swim_random.h"
#include "tests/support/swim_keys.h"

static const struct swim_crypto *const tables[] = {&swim_crypto_sodium, &swim_crypto_null};
static const uint8_t receiver[SWIM_NONCE_BYTES] = "life of another";
static const char text[] = "frames would stand here";

static size_t seal_text(const struct swim_crypto *crypto, uint8_t *bytes)
{
    struct swim_keyring ring = swim_test_keyring();
    struct swim_envelope envelope = {.class = SWIM_CLASS_DATAGRAM, .counter = 0x0102030405060708};

    memset(envelope.boot_nonce, 0xb0, sizeof envelope.boot_nonce);
    memcpy(bytes + SWIM_HEAD_BYTES, text, sizeof text);
    return swim_envelope_seal(&ring, swim_keyring_active(&ring), crypto, &envelope, bytes,
                              sizeof text);
}

/* All that a receiver does; works on a copy. */
static bool is_accepted(const struct swim_keyring *ring, const struct swim_crypto *crypto,
                        const uint8_t *bytes, size_t n)
{
    uint8_t copy[256];
    struct swim_envelope envelope;
    const uint8_t *frames;
    size_t n_frames;

    memcpy(copy, bytes, n);
    if (!swim_envelope_read(copy, n, &envelope)) {
        return false;
    }
    const struct swim_key *key = swim_keyring_find(ring, envelope.key_id);
    return key != NULL &&
           swim_envelope_open(ring, key, crypto, receiver, copy, n, &frames, &n_frames) &&
           n_frames == sizeof text && memcmp(frames, text, n_frames) == 0;
}

static void the_bytes_are_those_of_the_diagram(void **state)
{
    uint8_t bytes[128];
    uint8_t want[128];
    uint8_t ad[24];
    struct swim_keyring ring = swim_test_keyring();
    size_t n = seal_text(&swim_crypto_sodium, bytes);

    (void)state;
    assert_int_equal(n, sizeof text + 48);
    assert_memory_equal(bytes, "\xd7\x01\x00\x00", 4);
    assert_int_equal(get_be32(bytes + 4), ring.keys[1].id);
    for (unsigned i = 8; i < 24; i++) {
        assert_int_equal(bytes[i], 0xb0);
    }
    assert_memory_equal(bytes + 24, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    memcpy(ad, bytes, 8);
    memcpy(ad + 8, ring.cluster_id, 16);
    crypto_aead_xchacha20poly1305_ietf_encrypt(want, NULL, (const uint8_t *)text, sizeof text, ad,
                                               sizeof ad, NULL, bytes + 8, ring.keys[1].key);
    assert_memory_equal(bytes + 32, want, sizeof text + 16);
}

static void what_was_sealed_opens(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    struct swim_envelope envelope;
    uint8_t bytes[128];

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        size_t n = seal_text(tables[t], bytes);
        assert_true(swim_envelope_read(bytes, n, &envelope));
        assert_int_equal(envelope.key_id, ring.keys[1].id);
        assert_int_equal(envelope.class, SWIM_CLASS_DATAGRAM);
        assert_true(envelope.counter == 0x0102030405060708);
        assert_int_equal(envelope.boot_nonce[15], 0xb0);
        assert_true(is_accepted(&ring, tables[t], bytes, n));
    }
}

/* S1: head and length are all that can be told, and equal words look different each time. */
static void without_the_key_nothing_can_be_read(void **state)
{
    static const uint8_t words[600] = "the same member, again and again";
    struct swim_keyring ring = swim_test_keyring();
    uint8_t bytes[2][SWIM_DATAGRAM_MAX];

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct swim_envelope envelope = {.class = SWIM_CLASS_DATAGRAM, .counter = 1 + i};
        memcpy(bytes[i] + SWIM_HEAD_BYTES, words, sizeof words);
        assert_int_equal(swim_envelope_seal(&ring, swim_keyring_active(&ring), &swim_crypto_sodium,
                                            &envelope, bytes[i], sizeof words),
                         sizeof words + SWIM_SEALED_EXTRA);
    }
    uint32_t n_equal = 0;
    for (size_t i = SWIM_HEAD_BYTES; i < sizeof words + SWIM_SEALED_EXTRA; i++) {
        n_equal += bytes[0][i] == bytes[1][i];
    }
    assert_in_range(n_equal, 0, 20);                          /* 2.4 of 616 by chance */
    for (size_t i = SWIM_HEAD_BYTES; i < sizeof words; i++) { /* neither words nor zeros */
        assert_memory_not_equal(bytes[0] + i, words, 6);
        assert_memory_not_equal(bytes[0] + i, words + 500, 6);
    }
}

/* S2 */
static void parts_of_two_make_no_third(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    uint8_t one[128];
    uint8_t other[128];
    uint8_t mixed[128];

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        size_t n = seal_text(tables[t], one);
        struct swim_envelope envelope = {.class = SWIM_CLASS_DATAGRAM, .counter = 9};
        memcpy(other + SWIM_HEAD_BYTES, text, sizeof text);
        assert_int_equal(swim_envelope_seal(&ring, swim_keyring_active(&ring), tables[t], &envelope,
                                            other, sizeof text),
                         n);
        assert_true(is_accepted(&ring, tables[t], other, n));
        for (size_t cut = 9; cut < n; cut++) { /* before that the heads are the same */
            memcpy(mixed, one, cut);
            memcpy(mixed + cut, other + cut, n - cut);
            assert_false(is_accepted(&ring, tables[t], mixed, n));
        }
    }
}

static size_t seal_for(const uint8_t *life, uint8_t *bytes)
{
    struct swim_keyring ring = swim_test_keyring();
    struct swim_envelope envelope = {.counter = 1, .bound = true};

    memcpy(envelope.to_nonce, life, SWIM_NONCE_BYTES);
    memcpy(bytes + SWIM_HEAD_BYTES, text, sizeof text);
    return swim_envelope_seal(&ring, swim_keyring_active(&ring), &swim_crypto_sodium, &envelope,
                              bytes, sizeof text);
}

static void what_is_bound_to_a_life_opens_in_no_other(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    struct swim_envelope envelope;
    uint8_t bytes[128];
    size_t n = seal_for(receiver, bytes);

    (void)state;
    assert_true(swim_envelope_read(bytes, n, &envelope));
    assert_true(envelope.bound);
    assert_true(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
    bytes[2] = 0; /* nor is the flag only a flag */
    assert_false(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
    n = seal_for((const uint8_t *)"its life before!", bytes);
    assert_false(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
}

static void every_flipped_bit_is_refused(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    uint8_t bytes[128];

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        size_t n = seal_text(tables[t], bytes);
        for (size_t bit = 0; bit < n * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(is_accepted(&ring, tables[t], bytes, n));
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t cut = 0; cut < n; cut++) {
            assert_false(is_accepted(&ring, tables[t], bytes, cut));
        }
    }
}

static void another_cluster_with_the_same_key_is_refused(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    uint8_t bytes[128];

    (void)state;
    ring.cluster_id[15] ^= 1;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        size_t n = seal_text(tables[t], bytes);
        assert_false(is_accepted(&ring, tables[t], bytes, n));
    }
}

static void a_key_is_found_by_its_id_and_one_is_active(void **state)
{
    struct swim_keyring ring = swim_test_keyring();
    uint8_t bytes[128];
    size_t n = seal_text(&swim_crypto_sodium, bytes);

    (void)state;
    assert_ptr_equal(swim_keyring_find(&ring, ring.keys[0].id), &ring.keys[0]);
    assert_ptr_equal(swim_keyring_find(&ring, ring.keys[1].id), &ring.keys[1]);
    assert_null(swim_keyring_find(&ring, ring.keys[1].id + 1));
    assert_ptr_equal(swim_keyring_active(&ring), &ring.keys[1]);
    ring.keys[1].state = SWIM_KEY_RETIRING; /* what is not active opens still */
    assert_null(swim_keyring_active(&ring));
    assert_true(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
    uint32_t old = ring.keys[1].id;
    ring.n = 1;
    assert_null(swim_keyring_find(&ring, old));
    assert_false(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
    ring.n = 2; /* another key that claims the id */
    ring.keys[1].key[0] ^= 1;
    assert_false(is_accepted(&ring, &swim_crypto_sodium, bytes, n));
}

static void heads_that_cannot_be_ours_cost_nothing(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {{0, 0xd6}, {1, 0}, {1, 2}, {2, 2}, {3, 2}};
    static uint8_t bytes[SWIM_STREAM_MESSAGE_MAX + SWIM_SEALED_EXTRA + 1];
    struct swim_envelope envelope = {.key_id = 77};
    size_t n = seal_text(&swim_crypto_null, bytes);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        uint8_t was = bytes[changes[i].at];
        bytes[changes[i].at] = changes[i].byte;
        assert_false(swim_envelope_read(bytes, n, &envelope));
        bytes[changes[i].at] = was;
    }
    assert_false(swim_envelope_read(bytes, SWIM_SEALED_EXTRA - 1, &envelope));
    assert_false(swim_envelope_read(bytes, SWIM_DATAGRAM_MAX + 1, &envelope));
    assert_int_equal(envelope.key_id, 77);
    assert_true(swim_envelope_read(bytes, SWIM_DATAGRAM_MAX, &envelope));
    bytes[3] = SWIM_CLASS_STREAM;
    assert_true(swim_envelope_read(bytes, sizeof bytes - 1, &envelope));
    assert_false(swim_envelope_read(bytes, sizeof bytes, &envelope));
    memset(bytes + 24, 0, 8); /* counters begin at 1 */
    assert_false(swim_envelope_read(bytes, n, &envelope));
}

/* ---- the replay window ---- */

static void each_counter_is_taken_once(void **state)
{
    struct swim_replay replay = {0};

    (void)state;
    assert_false(swim_replay_is_new(&replay, 0));
    for (uint64_t c = 1; c < 5000; c++) {
        assert_true(swim_replay_is_new(&replay, c));
        assert_true(swim_replay_is_new(&replay, c)); /* looking takes nothing */
        swim_replay_take(&replay, c);
        assert_false(swim_replay_is_new(&replay, c));
    }
}

static void what_is_behind_the_window_is_refused(void **state)
{
    struct swim_replay replay = {0};
    const uint64_t high = 1ull << 40;

    (void)state;
    swim_replay_take(&replay, high);
    assert_true(swim_replay_is_new(&replay, high - SWIM_REPLAY_WINDOW + 1));
    assert_false(swim_replay_is_new(&replay, high - SWIM_REPLAY_WINDOW));
    swim_replay_take(&replay, high - SWIM_REPLAY_WINDOW); /* changes nothing */
    assert_false(swim_replay_is_new(&replay, high));
    swim_replay_take(&replay, UINT64_MAX);
    assert_false(swim_replay_is_new(&replay, UINT64_MAX));
    assert_true(swim_replay_is_new(&replay, UINT64_MAX - 1));
    assert_false(swim_replay_is_new(&replay, high + 1));
}

/* The model: every counter of the run in a table, and the window as a subtraction. */
#define MODEL_MAX 200000

static uint64_t next_counter(struct swim_random *random, uint64_t highest)
{
    uint64_t step;

    switch (swim_random_below(random, 8)) {
    case 0: /* far behind */
        step = swim_random_below(random, 3000);
        return highest > step ? highest - step : 1;
    case 1: /* a jump, at times over the whole ring */
        return highest + swim_random_below(random, 40);
    case 2:
        return swim_random_below(random, 100) == 0 ? highest + swim_random_below(random, 2500)
                                                   : highest + 1;
    case 3: /* at the edge of the window */
        step = SWIM_REPLAY_WINDOW - 3 + swim_random_below(random, 6);
        return highest > step ? highest - step : 1;
    default:
        step = swim_random_below(random, 200);
        return highest > step ? highest - step : highest + 1;
    }
}

static void any_order_gives_what_a_table_gives(void **state)
{
    static const uint8_t seed[32] = {6};
    static bool taken[MODEL_MAX];
    struct swim_replay replay = {0};
    struct swim_random random;
    uint64_t highest = 0;
    unsigned n_new = 0;
    unsigned n_steps = 0;

    (void)state;
    swim_random_init(&random, seed);
    while (highest < MODEL_MAX - 3000) {
        uint64_t c = next_counter(&random, highest);
        bool old = c <= highest && highest - c >= SWIM_REPLAY_WINDOW;
        bool is_new = c > 0 && !taken[c] && !old;
        assert_int_equal(swim_replay_is_new(&replay, c), is_new);
        n_steps++;
        if (is_new && swim_random_below(&random, 5) > 0) { /* else: its tag was bad */
            swim_replay_take(&replay, c);
            taken[c] = true;
            highest = c > highest ? c : highest;
            n_new++;
        }
    }
    assert_true(n_new > 10000 && n_steps > n_new + n_new / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_diagram),
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(what_is_bound_to_a_life_opens_in_no_other),
        cmocka_unit_test(without_the_key_nothing_can_be_read),
        cmocka_unit_test(parts_of_two_make_no_third),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(another_cluster_with_the_same_key_is_refused),
        cmocka_unit_test(a_key_is_found_by_its_id_and_one_is_active),
        cmocka_unit_test(heads_that_cannot_be_ours_cost_nothing),
        cmocka_unit_test(each_counter_is_taken_once),
        cmocka_unit_test(what_is_behind_the_window_is_refused),
        cmocka_unit_test(any_order_gives_what_a_table_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
