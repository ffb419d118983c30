/* SPDX-License-Identifier: Apache-2.0
 *
 * A member that lies (swarm.md S6), with real signatures and ciphers. It has the key of the cluster
 * and reads every datagram, so it can say anything in anybody's name but sign it. It may make a
 * live node suspect again and again; it may not get it declared dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/swarm/swim_frame.h"
#include "tests/sim/sim_internal.h"

#define NODES  12
#define VICTIM 3
#define LIAR   7
#define STEPS  400 /* of 50 ms */

struct liar {
    uint8_t nonce[SWIM_NONCE_BYTES];
    uint64_t counter;
};

static struct swim_sim *agreed(uint64_t seed)
{
    struct swim_sim *sim = swim_sim_new(&(struct swim_sim_opts){
        .seed = seed, .n_nodes = NODES, .crypto = &swim_crypto_sodium, .accurate = true});

    swim_sim_start_all(sim);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    assert_true(swim_sim_run_for(sim, 3000));
    swim_sim_watch(sim, VICTIM);
    return sim;
}

/* From the liar's address, under whatever nonce and counter it likes. */
static void say(struct swim_sim *sim, uint32_t to, const uint8_t nonce[SWIM_NONCE_BYTES],
                uint64_t counter, const struct swim_frame *frames, uint32_t n)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    const struct swim_keyring *ring = swim_sim_keyring(sim, to);
    const struct swim_key *key = swim_keyring_active(ring);
    struct swim_envelope envelope = {.key_id = key->id, .counter = counter, .bound = true};
    struct swim_addr from = swim_sim_addr(sim, LIAR);
    struct pack pack = pack_into(bytes + SWIM_HEAD_BYTES, SWIM_MTU - SWIM_SEALED_EXTRA);

    for (uint32_t i = 0; i < n; i++) {
        swim_frame_write(&pack, &frames[i]);
    }
    assert_false(pack.failed);
    memcpy(envelope.boot_nonce, nonce, SWIM_NONCE_BYTES);
    memcpy(envelope.to_nonce, sim->nodes[to].nonce, SWIM_NONCE_BYTES);
    size_t length =
        swim_envelope_seal(ring, key, &swim_crypto_sodium, &envelope, bytes, pack_length(&pack));
    swim_on_datagram(swim_sim_core(sim, to), swim_sim_time_of(sim, to), &from, bytes, length, 0);
    swim_sim_drain(sim, to);
}

static struct swim_incarnation held(struct swim_sim *sim, uint32_t at, uint32_t member)
{
    struct swim_view view;

    assert_true(swim_member_get(swim_sim_core(sim, at), swim_sim_sid(sim, member), &view));
    return view.incarnation;
}

/* Suspicions by members that are, by members that are not, and deaths; all healthy. */
static void accuse(struct swim_sim *sim, uint32_t at, struct liar *liar)
{
    struct swim_frame frames[9];
    struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                               .sid = swim_sim_sid(sim, VICTIM),
                               .incarnation = held(sim, at, VICTIM)};

    for (uint32_t i = 0; i < 8; i++) {
        frame.from = i < 4 ? swim_sim_sid(sim, 8 + i) : 0xabcdef00 + i;
        frames[i] = frame;
    }
    frame.type = SWIM_DEAD_FRAME;
    frame.lh = 3;
    frames[8] = frame;
    say(sim, at, liar->nonce, ++liar->counter, frames, 9);
}

static bool is_honest(uint32_t i)
{
    return i != VICTIM && i != LIAR;
}

static void made_up_accusations_do_not_evict(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct swim_sim *sim = agreed(seed);
        struct liar liar = {.nonce = "a life of nobody"};
        for (uint32_t step = 0; step < STEPS; step++) {
            for (uint32_t i = 0; i < NODES; i++) {
                if (is_honest(i)) {
                    accuse(sim, i, &liar);
                }
            }
            assert_true(swim_sim_run_for(sim, 50));
        }
        assert_true(swim_sim_seen(sim, VICTIM)->n_suspect > 0);
        assert_int_equal(swim_sim_seen(sim, VICTIM)->n_down, 0);
        assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 15000));
        swim_sim_free(sim);
    }
}

/* The victim's own nonce with a counter far ahead: what the victim says then looks like a replay.
 */
static void spoil_windows(struct swim_sim *sim, uint64_t counter)
{
    const struct swim_frame nothing = {.type = SWIM_LEAVEACK};
    uint8_t nonce[SWIM_NONCE_BYTES];

    memcpy(nonce, sim->nodes[VICTIM].nonce, sizeof nonce); /* of its last datagram, in the clear */
    for (uint32_t i = 0; i < NODES; i++) {
        if (is_honest(i)) {
            say(sim, i, nonce, counter, &nothing, 1);
        }
    }
}

static bool is_degraded(struct swim_sim *sim, uint32_t at)
{
    struct swim_view view;

    for (at = 0; at < NODES; at++) {
        if (is_honest(at) &&
            swim_member_get(swim_sim_core(sim, at), swim_sim_sid(sim, VICTIM), &view) &&
            view.degraded) {
            return true;
        }
    }
    return false;
}

static bool is_well_everywhere(struct swim_sim *sim, uint32_t unused)
{
    (void)unused;
    return !swim_is_isolated(swim_sim_core(sim, VICTIM)) && !is_degraded(sim, 0);
}

static void a_spoiled_window_does_not_evict(void **state)
{
    struct swim_sim *sim = agreed(1);

    (void)state;
    spoil_windows(sim, UINT64_MAX / 2);
    assert_true(swim_sim_run_until(sim, is_degraded, 0,
                                   3000)); /* only streams reach it; each finds out that more does
                                              when it is its turn to probe */
    assert_true(swim_sim_run_until(sim, is_well_everywhere, 0, 40000));
    assert_int_equal(swim_sim_seen(sim, VICTIM)->n_down, 0);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    swim_sim_free(sim);
}

static void windows_spoiled_again_and_again_with_accusations_do_not_evict(void **state)
{
    struct swim_sim *sim = agreed(2);
    struct liar liar = {.nonce = "a life of nobody"};

    (void)state;
    for (uint32_t step = 0; step < STEPS; step++) {
        spoil_windows(sim, UINT64_MAX / 2 + step);
        for (uint32_t i = 0; i < NODES; i++) {
            if (is_honest(i)) {
                accuse(sim, i, &liar);
            }
        }
        assert_true(swim_sim_run_for(sim, 50));
    }
    assert_int_equal(swim_sim_seen(sim, VICTIM)->n_down, 0);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 15000));
    swim_sim_free(sim);
}

/* Records of the victim: newer than its own, of the far future, a farewell; all signed by the liar,
 * whose key is not the victim's. */
static void records_of_others_are_not_forged(void **state)
{
    struct swim_sim *sim = agreed(4);
    struct swim_record record = {.n_addrs = 1, .addrs = {swim_sim_addr(sim, LIAR)}};
    uint8_t bytes[SWIM_RECORD_MAX];
    struct liar liar = {.nonce = "a life of nobody"};
    struct swim *observer = swim_sim_core(sim, 0);
    struct swim_incarnation before = held(sim, 0, VICTIM);

    (void)state;
    memcpy(record.public_key, sim->nodes[VICTIM].public_key, sizeof record.public_key);
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t n_bad = swim_get_counters(observer)->bad_records;
        record.incarnation = before;
        record.incarnation.seq += i < 3;
        record.incarnation.boot += i < 3 ? 0 : 1ull << (8 * (i - 2));
        record.left = i % 2 == 1;
        struct swim_frame frame = {.type = i % 2 == 1 ? SWIM_LEFT_FRAME : SWIM_ALIVE_FRAME,
                                   .bin = bytes};
        frame.n_bin = swim_record_write(&record, &swim_crypto_sodium, sim->nodes[LIAR].secret_key,
                                        swim_sim_keyring(sim, 0)->cluster_id, bytes);
        say(sim, 0, liar.nonce, ++liar.counter, &frame, 1);
        assert_int_equal(swim_get_counters(observer)->bad_records, n_bad + 1);
        assert_int_equal(swim_incarnation_compare(held(sim, 0, VICTIM), before), 0);
    }
    assert_true(swim_sim_run_for(sim, 3000));
    assert_true(swim_sim_all_agree(sim, 0));
    swim_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_accusations_do_not_evict),
        cmocka_unit_test(a_spoiled_window_does_not_evict),
        cmocka_unit_test(windows_spoiled_again_and_again_with_accusations_do_not_evict),
        cmocka_unit_test(records_of_others_are_not_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
