/* SPDX-License-Identifier: Apache-2.0
 *
 * Desired state and swarm time in whole swarms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/bytes.h"
#include "shared/swarm/swim_kv.h"
#include "tests/sim/sim.h"

#define NODES  16
#define MINUTE 60000
#define FAR    (INT64_C(1) << 61) /* a tombstone's time that does not come */

static void put(struct swim_sim *sim, uint32_t node, uint32_t key, uint64_t version,
                const char *value)
{
    struct swim_kv kv = {.owner = swim_sim_sid(sim, node), .version = version};
    uint8_t death[8];

    put_le32(kv.key, key);
    kv.value = (const uint8_t *)value;
    kv.n_value = value == NULL ? sizeof death : (uint16_t)strlen(value);
    if (value == NULL) { /* deleted */
        put_le64(death, FAR);
        kv.value = death;
        kv.flags = SWIM_KV_DELETED;
    }
    assert_int_equal(swim_kv_put(swim_sim_core(sim, node), swim_sim_time_of(sim, node), &kv),
                     SWIM_KV_TAKEN);
    swim_sim_drain(sim, node);
}

static bool holds(struct swim_sim *sim, uint32_t node, uint32_t key, uint64_t version)
{
    struct swim_kv kv;
    uint8_t bytes[SWIM_KV_KEY_BYTES] = {0};

    put_le32(bytes, key);
    return swim_kv_get(swim_sim_core(sim, node), bytes, &kv) && kv.version == version;
}

/* Everybody that runs has the state of node 0. */
static bool all_have_one_state(struct swim_sim *sim, uint32_t unused)
{
    uint64_t hash = swim_kv_hash(swim_sim_core(sim, 0));

    (void)unused;
    for (uint32_t i = 1; i < swim_sim_n_nodes(sim); i++) {
        if (swim_sim_is_running(sim, i) && swim_kv_hash(swim_sim_core(sim, i)) != hash) {
            return false;
        }
    }
    return true;
}

static struct swim_sim *start_all(uint64_t seed)
{
    struct swim_sim *sim = swim_sim_new(&(struct swim_sim_opts){.seed = seed, .n_nodes = NODES});

    swim_sim_start_all(sim);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    return sim;
}

static void a_record_reaches_all_by_gossip(void **state)
{
    uint32_t n_soon = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct swim_sim *sim = start_all(seed);
        assert_true(swim_sim_run_for(sim, 20000)); /* nothing else is being told */
        put(sim, 3, 1, 1, "capture eth0");
        /* Gossip leaves somebody out now and then: the hash in the pings finds it. */
        n_soon += swim_sim_run_until(sim, all_have_one_state, 0, 500);
        assert_true(swim_sim_run_until(sim, all_have_one_state, 0, 5000));
        for (uint32_t i = 0; i < NODES; i++) {
            struct swim_kv kv;
            assert_true(holds(sim, i, 1, 1));
            assert_true(swim_kv_next_change(swim_sim_core(sim, i), &kv));
            assert_memory_equal(kv.value, "capture eth0", kv.n_value);
            assert_false(swim_kv_next_change(swim_sim_core(sim, i), &kv));
        }
        swim_sim_free(sim);
    }
    assert_in_range(n_soon, 8, 10);
}

static void halves_become_one_state_after_healing(void **state)
{
    struct swim_sim *sim = start_all(7);

    (void)state;
    put(sim, 0, 1, 1, "both");
    put(sim, 0, 2, 1, "both");
    assert_true(swim_sim_run_until(sim, all_have_one_state, 0, 5000));
    swim_sim_partition(sim, swim_sim_halves);
    assert_true(swim_sim_run_for(sim, 30000));
    put(sim, 0, 1, 2, NULL);
    put(sim, NODES - 1, 2, 2, "one side");
    for (uint32_t i = 10; i < 60; i++) {
        put(sim, i % NODES, i, 1, "new");
    }
    assert_true(swim_sim_run_for(sim, 30000));
    assert_false(all_have_one_state(sim, 0));
    swim_sim_heal(sim);
    assert_true(swim_sim_run_until(sim, all_have_one_state, 0, 15000));
    for (uint32_t i = 0; i < NODES; i++) {
        assert_true(holds(sim, i, 1, 2) && holds(sim, i, 2, 2) && holds(sim, i, 59, 1));
    }
    swim_sim_free(sim);
}

static void who_comes_late_gets_all_of_it(void **state)
{
    struct swim_sim *sim = start_all(9);
    static char value[1001];

    (void)state;
    memset(value, 'x', sizeof value - 1);
    swim_sim_kill(sim, 5);
    for (uint32_t i = 0; i < 300; i++) {
        put(sim, 1, i, 1, i % 3 == 0 ? value : "short");
        assert_true(swim_sim_run_for(sim, 20));
    }
    assert_true(swim_sim_run_until(sim, all_have_one_state, 0, MINUTE));
    swim_sim_restart_afresh(sim, 5);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, MINUTE));
    assert_true(swim_sim_run_until(sim, all_have_one_state, 0, MINUTE));
    assert_int_equal(swim_kv_count(swim_sim_core(sim, 5)), 300);
    swim_sim_free(sim);
}

/* Nothing is said of it any more when all have it. */
static void state_costs_nothing_at_rest(void **state)
{
    struct swim_sim *sim = start_all(11);

    (void)state;
    assert_true(swim_sim_run_for(sim, MINUTE));
    uint64_t before = swim_sim_totals(sim)->datagram_bytes;
    assert_true(swim_sim_run_for(sim, MINUTE));
    uint64_t empty = swim_sim_totals(sim)->datagram_bytes - before;
    for (uint32_t i = 0; i < 100; i++) {
        put(sim, i % NODES, i, 1, "some value of some bytes");
    }
    assert_true(swim_sim_run_for(sim, MINUTE));
    before = swim_sim_totals(sim)->datagram_bytes;
    assert_true(swim_sim_run_for(sim, MINUTE));
    uint64_t full = swim_sim_totals(sim)->datagram_bytes - before;
    print_message("at rest: %.1f B/s a node, with 100 records %.1f\n", (double)empty / 60 / NODES,
                  (double)full / 60 / NODES);
    assert_true(full < empty + empty / 20);
    swim_sim_free(sim);
}

static int64_t swarm_time(struct swim_sim *sim, uint32_t node, uint64_t *bound)
{
    struct swim_now now = swim_sim_time_of(sim, node);

    return now.wall_ns + swim_time_correction(swim_sim_core(sim, node), now, bound);
}

/* Clocks off by up to 1 s and stepped by an hour: one swarm time, within what is claimed. */
static void swarm_times_are_within_their_bounds(void **state)
{
    struct swim_sim *sim = start_all(13);

    (void)state;
    assert_true(swim_sim_run_for(sim, 20000));
    for (uint32_t round = 0; round < 20; round++) {
        swim_sim_step_clock(sim, round % NODES, round % 2 == 0 ? 3600000 : -3600000);
        assert_true(swim_sim_run_for(sim, 3000));
        for (uint32_t i = 1; i < NODES; i++) {
            uint64_t bounds[2];
            int64_t zero = swarm_time(sim, 0, &bounds[0]);
            int64_t mine = swarm_time(sim, i, &bounds[1]);
            assert_in_range(llabs(zero - mine), 0, bounds[0] + bounds[1]);
            assert_in_range(bounds[1], 0, 50 * SWIM_MS);
        }
    }
    swim_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reaches_all_by_gossip),
        cmocka_unit_test(halves_become_one_state_after_healing),
        cmocka_unit_test(who_comes_late_gets_all_of_it),
        cmocka_unit_test(state_costs_nothing_at_rest),
        cmocka_unit_test(swarm_times_are_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
