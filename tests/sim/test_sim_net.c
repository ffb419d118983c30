/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the simulator that need no core: events, packets, the network, statistics.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_events.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_packets.h"
#include "tests/sim/sim_stats.h"

#define N 10

/* ---- events ---- */

static void events_come_in_the_order_of_their_times(void **state)
{
    struct sim_random random = sim_random_stream(1, 't', 0);
    struct sim_event all[1000] = {0};
    struct sim_events events = {0};
    uint64_t last_ns = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        sim_events_put(&events, &all[i], sim_random_below(&random, 500));
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i += 2) { /* moved, both ways */
        sim_events_put(&events, &all[i], sim_random_below(&random, 500));
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i += 5) {
        sim_events_remove(&events, &all[i]);
    }
    for (size_t i = 0; i < 800; i++) {
        struct sim_event *event = sim_events_pop(&events);

        assert_non_null(event);
        assert_true(event->due_ns >= last_ns);
        assert_int_not_equal((event - all) % 5, 0);
        last_ns = event->due_ns;
    }
    assert_null(sim_events_pop(&events));
    sim_events_deinit(&events);
}

static void what_arrives_goes_before_timers_of_the_same_time(void **state)
{
    struct sim_event wake = {.kind = SIM_WAKE};
    struct sim_event first = {.kind = SIM_DATAGRAM};
    struct sim_event second = {.kind = SIM_DATAGRAM};
    struct sim_events events = {0};

    (void)state;
    sim_events_put(&events, &wake, 7);
    sim_events_put(&events, &first, 7);
    sim_events_put(&events, &second, 7);
    assert_ptr_equal(sim_events_pop(&events), &first);
    assert_ptr_equal(sim_events_pop(&events), &second);
    assert_ptr_equal(sim_events_pop(&events), &wake);
    sim_events_deinit(&events);
}

/* ---- packets ---- */

static void packets_keep_their_bytes_and_are_used_again(void **state)
{
    static const size_t sizes[] = {0, 1, 128, 129, 576, 1400, 49152};
    struct sim_packets packets = {0};
    uint8_t bytes[49152];

    (void)state;
    memset(bytes, 0xa5, sizeof bytes);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct sim_packet *packet = sim_packet_new(&packets, bytes, sizes[i]);

            assert_int_equal(packet->n, sizes[i]);
            assert_memory_equal(packet->bytes, bytes, sizes[i]);
            assert_false(packet->inert);
            packet->inert = true;
            sim_packet_free(&packets, packet);
        }
    }
    assert_int_equal(packets.n_live, 0);
    sim_packets_deinit(&packets);
}

static void a_queue_is_first_in_first_out(void **state)
{
    struct sim_packets packets = {0};
    struct sim_queue queue = {0};

    (void)state;
    for (uint8_t i = 0; i < 3; i++) {
        sim_queue_put(&queue, sim_packet_new(&packets, &i, 1));
    }
    assert_int_equal(queue.n_bytes, 3 * (1 + SIM_PACKET_OVERHEAD));
    for (uint8_t i = 0; i < 2; i++) {
        struct sim_packet *packet = sim_queue_take(&queue);

        assert_int_equal(packet->bytes[0], i);
        sim_packet_free(&packets, packet);
    }
    sim_queue_clear(&queue, &packets);
    assert_int_equal(queue.n_bytes, 0);
    assert_null(sim_queue_take(&queue));
    assert_int_equal(packets.n_live, 0);
    sim_packets_deinit(&packets);
}

/* ---- the network ---- */

static double share_that_arrives(struct sim_net *net, uint32_t from, uint32_t to)
{
    uint32_t n_arrived = 0;

    for (unsigned i = 0; i < 20000; i++) {
        n_arrived += sim_net_fate(net, from, to).n_copies > 0;
    }
    return n_arrived / 20000.;
}

static void the_loss_is_as_told(void **state)
{
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 3);
    assert_true(share_that_arrives(&net, 1, 2) == 1);
    net.loss_ppm = 50000;
    assert_float_equal(share_that_arrives(&net, 1, 2), 0.95, 0.01);
    net.nodes[2].loss_in_ppm = 800000;
    assert_float_equal(share_that_arrives(&net, 1, 2), 0.95 * 0.2, 0.01);
    assert_float_equal(share_that_arrives(&net, 2, 1), 0.95, 0.01);
    net.nodes[1].loss_out_ppm = SIM_PPM;
    assert_true(share_that_arrives(&net, 1, 3) == 0);
    assert_float_equal(share_that_arrives(&net, 3, 1), 0.95, 0.01);
    sim_net_deinit(&net);
}

static void the_latency_is_within_its_bounds(void **state)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 4);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t ns = sim_net_fate(&net, 0, 1).delay_ns[0];

        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
    }
    assert_in_range(least, 200000, 210000);
    assert_in_range(most, 990000, 1000000);
    net.nodes[1].slow_us = 5000;
    assert_in_range(sim_net_delay_ns(&net, 0, 1), 5200000, 6000000);
    assert_in_range(sim_net_delay_ns(&net, 1, 0), 5200000, 6000000);
    sim_net_deinit(&net);
}

static void duplicates_reordering_and_damage_are_as_told(void **state)
{
    uint32_t n_late = 0;
    uint32_t n_damaged = 0;
    uint32_t n_twice = 0;
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 5);
    net.duplicate_ppm = 100000;
    net.reorder_ppm = 100000;
    net.damage_ppm = 100000;
    for (unsigned i = 0; i < 20000; i++) {
        struct sim_fate fate = sim_net_fate(&net, 0, 1);

        n_twice += fate.n_copies == 2;
        n_damaged += fate.damaged[0];
        n_late += fate.delay_ns[0] > 1000000;
    }
    assert_in_range(n_twice, 1800, 2200);
    assert_in_range(n_damaged, 1800, 2200);
    assert_in_range(n_late, 1600, 2100); /* nearly all of those that are held back */
    sim_net_deinit(&net);
}

static void sets_cut_and_a_bridge_reaches_both(void **state)
{
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 6);
    for (uint32_t i = 0; i < N; i++) {
        net.nodes[i].sets = i == 0 ? 3 : i < N / 2 ? 1 : 2;
    }
    assert_false(sim_net_is_cut(&net, 1, 2));
    assert_true(sim_net_is_cut(&net, 1, 8));
    assert_true(sim_net_is_cut(&net, 8, 1));
    assert_false(sim_net_is_cut(&net, 0, 8));
    assert_false(sim_net_is_cut(&net, 1, 0));
    assert_true(share_that_arrives(&net, 1, 8) == 0);
    sim_net_heal(&net);
    assert_true(share_that_arrives(&net, 1, 8) == 1);
    sim_net_deinit(&net);
}

static void in_a_ring_each_reaches_another_majority(void **state)
{
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 7);
    net.ring_reach = N / 4 + 1;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t n_reached = 0;

        for (uint32_t j = 0; j < N; j++) {
            n_reached += !sim_net_is_cut(&net, i, j);
            assert_int_equal(sim_net_is_cut(&net, i, j), sim_net_is_cut(&net, j, i));
        }
        assert_in_range(n_reached, N / 2 + 1, N - 1);
    }
    sim_net_deinit(&net);
}

static void one_direction_of_a_link_is_cut_alone(void **state)
{
    struct sim_net net;

    (void)state;
    sim_net_init(&net, N, 8);
    sim_net_cut_link(&net, 3, 4, true);
    assert_true(sim_net_is_cut(&net, 3, 4));
    assert_false(sim_net_is_cut(&net, 4, 3));
    assert_false(sim_net_is_cut(&net, 3, 5));
    sim_net_cut_link(&net, 3, 4, false);
    assert_false(sim_net_is_cut(&net, 3, 4));
    sim_net_deinit(&net);
}

/* ---- statistics ---- */

static void percentiles_are_values_that_were_measured(void **state)
{
    struct sim_stats stats = {0};

    (void)state;
    assert_true(isnan(sim_stats_median(&stats)));
    for (int i = 3; i > 0; i--) {
        sim_stats_add(&stats, i);
    }
    assert_true(sim_stats_median(&stats) == 2);
    sim_stats_deinit(&stats);
    for (int i = 100; i > 0; i--) {
        sim_stats_add(&stats, i);
    }
    assert_true(sim_stats_median(&stats) == 50);
    assert_true(sim_stats_percentile(&stats, 99) == 99);
    assert_true(sim_stats_percentile(&stats, 100) == 100);
    assert_true(sim_stats_percentile(&stats, 0) == 1);
    assert_true(sim_stats_sum(&stats) == 5050);
    sim_stats_deinit(&stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_the_order_of_their_times),
        cmocka_unit_test(what_arrives_goes_before_timers_of_the_same_time),
        cmocka_unit_test(packets_keep_their_bytes_and_are_used_again),
        cmocka_unit_test(a_queue_is_first_in_first_out),
        cmocka_unit_test(the_loss_is_as_told),
        cmocka_unit_test(the_latency_is_within_its_bounds),
        cmocka_unit_test(duplicates_reordering_and_damage_are_as_told),
        cmocka_unit_test(sets_cut_and_a_bridge_reaches_both),
        cmocka_unit_test(in_a_ring_each_reaches_another_majority),
        cmocka_unit_test(one_direction_of_a_link_is_cut_alone),
        cmocka_unit_test(percentiles_are_values_that_were_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
