/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator itself: that runs repeat, that faults are faults, and that the checks of the
 * properties see what breaks them (sim_check.c is fed with events that no core may give).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/swarm/swim_internal.h"
#include "tests/sim/sim_check_inside.h"
#include "tests/sim/sim_internal.h"
#include "tests/sim/sim_random_run.h"

static struct swim_sim *agreed(uint64_t seed, uint32_t n_nodes)
{
    struct swim_sim *sim =
        swim_sim_new(&(struct swim_sim_opts){.seed = seed, .n_nodes = n_nodes, .quiet = true});

    swim_sim_start_all(sim);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    assert_true(swim_sim_run_for(sim, 2000));
    return sim;
}

/* ---- runs ---- */

static uint64_t digest_of(uint64_t seed)
{
    struct swim_sim_opts opts = {.seed = seed, .n_nodes = 12};
    struct sim_random_result result;

    sim_random_run(&(struct sim_random_run){.opts = &opts, .seconds = 20}, &result);
    assert_true(result.passed);
    return result.totals.digest;
}

static void equal_seeds_are_equal_runs(void **state)
{
    (void)state;
    assert_int_equal(digest_of(5), digest_of(5));
    assert_int_not_equal(digest_of(5), digest_of(6));
}

static void clocks_are_off_and_drift_and_never_go_back(void **state)
{
    struct swim_sim *sim = swim_sim_new(&(struct swim_sim_opts){.seed = 1, .n_nodes = 8});
    uint64_t last[8] = {0};

    (void)state;
    for (unsigned t = 0; t < 1000; t++) {
        sim->now_ns += 1 + t * t * 1000;
        for (uint32_t i = 0; i < 8; i++) {
            struct swim_now now = sim_node_now(sim, i);

            assert_true(now.mono_ns >= last[i]);
            last[i] = now.mono_ns;
            for (uint64_t ahead = 1; ahead < 100000000000; ahead *= 7) {
                uint64_t when = sim_node_when(&sim->nodes[i], now.mono_ns + ahead);
                uint64_t before_ns = sim->now_ns;

                sim->now_ns = when;
                assert_true(sim_node_now(sim, i).mono_ns >= now.mono_ns + ahead);
                assert_true(sim_node_now(sim, i).mono_ns <= now.mono_ns + ahead + 2);
                sim->now_ns = before_ns;
            }
        }
    }
    swim_sim_free(sim);
}

/* ---- faults ---- */

static void a_partition_cuts_datagrams_and_streams(void **state)
{
    struct swim_sim *sim = agreed(1, 8);

    (void)state;
    swim_sim_partition(sim, swim_sim_halves);
    assert_true(swim_sim_run_for(sim, 100)); /* what was under way has arrived */
    for (uint32_t i = 0; i < 8; i++) {
        swim_sim_watch(sim, i);
    }
    assert_true(swim_sim_run_until(sim, swim_sim_sides_agree, 0, 60000));
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(swim_n_live(swim_sim_core(sim, i)), 4);
        assert_int_equal(swim_sim_seen(sim, i)->n_down, 4);
    }
    assert_true(sim->net.n_cut > 0);
    assert_false(swim_sim_all_agree(sim, 0));
    swim_sim_heal(sim);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    swim_sim_free(sim);
}

static void a_stopped_node_keeps_its_timers_and_its_datagrams(void **state)
{
    struct swim_sim *sim = agreed(2, 4);
    struct sim_node *node = &sim->nodes[1];
    uint64_t n_sent = node->n_sent;
    uint64_t n_waiting;

    (void)state;
    swim_sim_stall(sim, 1);
    assert_true(swim_sim_run_for(sim, 1500));
    assert_int_equal(node->n_sent, n_sent);
    n_waiting = node->rx.n_bytes;
    assert_true(n_waiting > 0);
    assert_true(swim_deadline(node->swim) <= sim_node_now(sim, 1).mono_ns);
    swim_sim_resume(sim, 1);
    assert_true(swim_sim_run_for(sim, 1));
    assert_int_equal(node->rx.n_bytes, 0);
    assert_true(node->n_sent > n_sent);
    assert_true(swim_deadline(node->swim) > sim_node_now(sim, 1).mono_ns);
    swim_sim_free(sim);
}

static void a_socket_buffer_is_full_some_time(void **state)
{
    struct swim_sim *sim = agreed(3, 4);

    (void)state;
    swim_sim_stall(sim, 1);
    for (unsigned i = 0; i < 10; i++) {
        swim_sim_garbage(sim, 1, 1000);
        assert_true(swim_sim_run_for(sim, 10));
    }
    assert_true(sim->nodes[1].rx.n_bytes <= SIM_SOCKET_BUFFER);
    assert_true(swim_sim_totals(sim)->kernel_drops > 0);
    swim_sim_resume(sim, 1);
    assert_true(swim_sim_run_for(sim, 1));
    assert_int_equal(swim_get_counters(swim_sim_core(sim, 1))->kernel_drops,
                     swim_sim_totals(sim)->kernel_drops);
    swim_sim_free(sim);
}

static void a_blackout_holds_datagrams_and_timers_go_on(void **state)
{
    struct swim_sim *sim = agreed(4, 4);
    struct sim_node *node = &sim->nodes[1];
    uint64_t n_sent = node->n_sent;

    (void)state;
    swim_sim_blackout(sim, 1, true);
    assert_true(swim_sim_run_for(sim, 2500));
    assert_true(node->n_sent > n_sent);
    assert_true(node->tx.n_bytes > 0);
    assert_true(node->rx.n_bytes > 0);
    swim_sim_blackout(sim, 1, false);
    assert_true(swim_sim_run_for(sim, 1));
    assert_int_equal(node->tx.n_bytes, 0);
    assert_int_equal(node->rx.n_bytes, 0);
    swim_sim_free(sim);
}

static void a_duty_cycle_sleeps_its_share(void **state)
{
    struct swim_sim *sim = agreed(5, 4);
    unsigned n_asleep = 0;

    (void)state;
    swim_sim_duty_cycle(sim, 2, 300, 700);
    assert_true(swim_sim_run_for(sim, 2000));
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(swim_sim_run_for(sim, 10));
        n_asleep += sim->nodes[2].stalled;
    }
    assert_in_range(n_asleep, 690, 710);
    swim_sim_duty_cycle(sim, 2, 0, 0);
    assert_true(swim_sim_run_for(sim, 1));
    assert_false(sim->nodes[2].stalled);
    swim_sim_free(sim);
}

static void a_killed_process_forgets_and_its_directory_does_not(void **state)
{
    struct swim_sim *sim = agreed(6, 4);
    uint64_t boot = swim_own_incarnation(swim_sim_core(sim, 2)).boot;
    uint64_t sid = swim_sim_sid(sim, 2);

    (void)state;
    swim_sim_step_clock(sim, 2, -3600000);
    swim_sim_restart(sim, 2);
    assert_int_equal(swim_own_incarnation(swim_sim_core(sim, 2)).boot, boot + 1);
    assert_int_equal(swim_sim_sid(sim, 2), sid);
    swim_sim_restart_afresh(sim, 2);
    assert_int_not_equal(swim_sim_sid(sim, 2), sid);
    swim_sim_clone(sim, 3, 2);
    assert_int_equal(swim_sim_sid(sim, 3), swim_sim_sid(sim, 2));
    swim_sim_free(sim);
}

static bool never(struct swim_sim *sim, uint32_t node)
{
    (void)sim;
    (void)node;
    return false;
}

static void a_deadline_is_a_deadline(void **state)
{
    struct swim_sim *sim = agreed(7, 3);
    uint64_t began_ns = swim_sim_now_ns(sim);

    (void)state;
    assert_false(swim_sim_run_until(sim, never, 0, 1234));
    assert_int_equal(swim_sim_now_ns(sim) - began_ns, 1234 * SWIM_MS);
    swim_sim_free(sim);
}

static void pairs_are_counted_as_they_are(void **state)
{
    struct swim_sim *sim = agreed(8, 6);

    (void)state;
    assert_int_equal(sim->check.n_pairs_up, 30);
    assert_true(swim_sim_share_known(sim) == 1);
    swim_sim_kill(sim, 5);
    assert_int_equal(sim->check.n_pairs_up, 25);
    assert_int_equal(sim->check.n_up_of_gone, 5);
    assert_true(swim_sim_share_known(sim) == 1);
    assert_true(swim_sim_run_until(sim, swim_sim_all_know_gone, 5, 20000));
    assert_int_equal(sim->check.n_pairs_up, 20);
    assert_int_equal(sim->check.n_up_of_gone, 0);
    swim_sim_start(sim, 5);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 20000));
    assert_int_equal(sim->check.n_pairs_up, 30);
    swim_sim_free(sim);
}

/* ---- the checks ---- */

static void say(struct swim_sim *sim, enum swim_event_kind event, uint32_t about,
                struct swim_incarnation incarnation)
{
    struct swim_action action = {.kind = SWIM_EVENT,
                                 .event = event,
                                 .sid = swim_sim_sid(sim, about),
                                 .incarnation = incarnation};

    sim_check_event(sim, 0, &action);
}

static void assert_fails(struct swim_sim *sim, const char *property)
{
    assert_non_null(swim_sim_failure(sim));
    assert_memory_equal(swim_sim_failure(sim), property, strlen(property));
    assert_int_equal(swim_sim_failure(sim)[strlen(property)], ':');
    assert_false(swim_sim_run_for(sim, 1));
    swim_sim_free(sim);
}

static struct swim_incarnation own(struct swim_sim *sim, uint32_t node)
{
    return swim_own_incarnation(swim_sim_core(sim, node));
}

static void up_and_down_that_do_not_alternate_are_seen(void **state)
{
    struct swim_sim *sim = agreed(1, 3);

    (void)state;
    say(sim, SWIM_EVENT_UP, 1, own(sim, 1));
    assert_fails(sim, "I13");
    sim = agreed(1, 3);
    say(sim, SWIM_EVENT_DOWN, 1, own(sim, 1));
    assert_null(swim_sim_failure(sim));
    say(sim, SWIM_EVENT_DOWN, 1, own(sim, 1));
    assert_fails(sim, "I13");
    sim = agreed(1, 3);
    say(sim, SWIM_EVENT_LEFT, 1, own(sim, 1));
    say(sim, SWIM_EVENT_UP, 1, own(sim, 1));
    assert_fails(sim, "I13");
}

static void a_resurrection_is_seen(void **state)
{
    struct swim_sim *sim = agreed(2, 3);

    (void)state;
    say(sim, SWIM_EVENT_DOWN, 1, own(sim, 1));
    say(sim, SWIM_EVENT_UP, 1, own(sim, 1));
    assert_fails(sim, "I4");
}

static void an_incarnation_that_nobody_made_is_seen(void **state)
{
    struct swim_sim *sim = agreed(3, 3);
    struct swim_incarnation made_up = own(sim, 1);

    (void)state;
    made_up.seq++;
    say(sim, SWIM_EVENT_UPDATE, 1, made_up);
    assert_fails(sim, "I1");
    sim = agreed(3, 3);
    sim->nodes[2].sid ^= 1;
    say(sim, SWIM_EVENT_UP, 2, own(sim, 1));
    assert_fails(sim, "I1");
}

static void an_incarnation_that_goes_back_is_seen(void **state)
{
    struct swim_sim *sim = agreed(4, 3);
    struct swim_incarnation old = own(sim, 1);

    (void)state;
    assert_true(swim_set_meta(swim_sim_core(sim, 1), swim_sim_time_of(sim, 1), "new", 3));
    swim_sim_drain(sim, 1);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 5000));
    say(sim, SWIM_EVENT_SUSPECT, 1, old);
    assert_fails(sim, "I3");
}

static void send_bytes(struct swim_sim *sim, struct swim_addr addr, const uint8_t *bytes, size_t n)
{
    struct swim_action action = {.kind = SWIM_SEND, .addr = addr, .bytes = bytes, .n = n};

    sim_check_send(sim, 0, &action);
}

static void a_datagram_that_may_not_be_is_seen(void **state)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX + 1] = {SWIM_MAGIC, SWIM_VERSION};
    struct swim_sim *sim = agreed(5, 3);

    (void)state;
    memcpy(bytes + 8, sim->nodes[0].nonce, SWIM_NONCE_BYTES);
    bytes[24] = 1;
    sim->nodes[0].n_sent |= 1; /* not one whose inside is looked at */
    send_bytes(sim, swim_sim_addr(sim, 1), bytes, 100);
    assert_null(swim_sim_failure(sim));
    send_bytes(sim, swim_sim_addr(sim, 1), bytes, 100);
    assert_fails(sim, "I10");
    sim = agreed(5, 3);
    send_bytes(sim, swim_sim_addr(sim, 1), bytes, SWIM_MTU + 1);
    assert_fails(sim, "I6");
    sim = agreed(5, 3);
    send_bytes(sim, sim_node_addr(0xffffff), bytes, 100);
    assert_fails(sim, "I12");
    sim = agreed(5, 3);
    sim->nodes[0].has_persisted = false;
    send_bytes(sim, swim_sim_addr(sim, 1), bytes, 100);
    assert_fails(sim, "persist");
}

static void a_boot_that_goes_back_is_seen(void **state)
{
    struct swim_sim *sim = agreed(6, 3);

    (void)state;
    sim->nodes[1].own.seq++;
    sim_check_step(sim, 1);
    assert_fails(sim, "I2");
}

static void a_datagram_that_proves_nothing_and_changes_something_is_seen(void **state)
{
    struct swim_sim *sim = agreed(7, 3);
    struct sim_still before = sim_check_before(sim, 0);

    (void)state;
    sim_check_still(sim, 0, &before);
    assert_null(swim_sim_failure(sim));
    before.view_hash ^= 1;
    before.is_record_news = true; /* of a nonce that was left behind: signed records count */
    sim_check_still(sim, 0, &before);
    assert_null(swim_sim_failure(sim));
    before.is_record_news = false;
    sim_check_still(sim, 0, &before);
    assert_fails(sim, "I11");
    sim = agreed(7, 3);
    before = sim_check_before(sim, 0);
    before.is_record_news = true;
    before.n_sent--; /* but nothing is answered */
    sim_check_still(sim, 0, &before);
    assert_fails(sim, "I11");
}

static void a_false_death_is_counted_and_fails_when_asked(void **state)
{
    struct swim_sim *sim = agreed(8, 3);

    (void)state;
    say(sim, SWIM_EVENT_DOWN, 1, own(sim, 1));
    assert_null(swim_sim_failure(sim));
    assert_int_equal(swim_sim_totals(sim)->n_down_false, 1);
    assert_int_equal(swim_sim_totals(sim)->n_down_false_at_healthy, 1);
    swim_sim_set_sick(sim, 2, true);
    say(sim, SWIM_EVENT_DOWN, 2, own(sim, 2));
    assert_int_equal(swim_sim_totals(sim)->n_down_false, 1);
    swim_sim_free(sim);
    sim = agreed(8, 3);
    sim->opts.accurate = true;
    say(sim, SWIM_EVENT_DOWN, 1, own(sim, 1));
    assert_fails(sim, "L3");
}

static size_t seal_frame(struct swim_sim *sim, const struct swim_frame *frame, uint8_t *bytes)
{
    const struct swim_keyring *ring = swim_sim_keyring(sim, 0);
    struct swim_envelope envelope = {.key_id = ring->keys[0].id, .counter = 1};
    struct pack pack = pack_into(bytes + SWIM_HEAD_BYTES, 400);

    swim_frame_write(&pack, frame);
    return swim_envelope_seal(ring, &ring->keys[0], sim->opts.crypto, &envelope, bytes,
                              pack_length(&pack));
}

static void what_a_datagram_says_of_another_is_read(void **state)
{
    struct swim_sim *sim = agreed(9, 3);
    struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                               .sid = swim_sim_sid(sim, 1),
                               .from = swim_sim_sid(sim, 0),
                               .incarnation = own(sim, 1)};
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    size_t n = seal_frame(sim, &frame, bytes);

    (void)state;
    sim_check_wire(sim, 0, 0, bytes, n);
    assert_null(swim_sim_failure(sim));
    frame.incarnation.seq++;
    n = seal_frame(sim, &frame, bytes);
    sim_check_wire(sim, 0, 0, bytes, n);
    assert_fails(sim, "I1");
    sim = agreed(9, 3);
    bytes[n - 1] ^= 1;
    sim_check_wire(sim, 0, 0, bytes, n);
    assert_fails(sim, "wire");
}

static void an_update_that_is_told_too_often_is_seen(void **state)
{
    struct swim_sim *sim = agreed(9, 3);
    const struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                                     .sid = swim_sim_sid(sim, 1),
                                     .from = swim_sim_sid(sim, 0),
                                     .incarnation = own(sim, 1)};
    uint32_t most = sim->opts.rules->transmissions(3);

    (void)state;
    for (uint32_t i = 0; i < most; i++) {
        sim_check_told(sim, 0, SWIM_VIEW, &frame);
        sim_check_told(sim, 0, SWIM_SYNC, &frame); /* an answer is no gossip */
        sim_check_told(sim, 1, SWIM_VIEW, &frame); /* nor is another's */
    }
    assert_null(swim_sim_failure(sim));
    sim_check_told(sim, 0, SWIM_PING, &frame);
    assert_fails(sim, "I7");
}

static void a_suspicion_asked_about_again_is_told_as_often_again(void **state)
{
    struct swim_sim *sim = agreed(9, 3);
    struct swim *swim = swim_sim_core(sim, 0);
    struct swim_member *member = swim_find(swim, swim_sim_sid(sim, 1));
    const struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                                     .sid = member->sid,
                                     .from = swim->self->sid,
                                     .incarnation = own(sim, 1)};
    uint32_t most = sim->opts.rules->transmissions(3);

    (void)state;
    swim_suspicion_begin(swim, member, swim->self->sid, 0);
    for (uint32_t i = 0; i < most; i++) {
        sim_check_told(sim, 0, SWIM_VIEW, &frame);
    }
    member->suspicion->asked = true;
    for (uint32_t i = 0; i < most; i++) {
        sim_check_told(sim, 0, SWIM_VIEW, &frame);
    }
    assert_null(swim_sim_failure(sim));
    sim_check_told(sim, 0, SWIM_VIEW, &frame);
    assert_fails(sim, "I7");
}

static void a_queue_beyond_its_bound_is_seen(void **state)
{
    struct swim_sim *sim = agreed(9, 3);
    struct swim *swim = swim_sim_core(sim, 0);
    uint32_t n_rumors = swim->rumors.n;

    (void)state;
    sim_check_queues(sim, 0);
    assert_null(swim_sim_failure(sim));
    swim->rumors.n = swim->table.n + 1;
    sim_check_queues(sim, 0);
    swim->rumors.n = n_rumors;
    assert_fails(sim, "I7");
}

static void a_timer_that_may_not_be_is_seen(void **state)
{
    struct swim_sim *sim = agreed(9, 3);
    struct swim *swim = swim_sim_core(sim, 0);
    uint64_t token = swim->timers.heap[0]->token;

    (void)state;
    swim->timers.heap[0]->token = swim->timers.heap[1]->token;
    sim_check_queues(sim, 0);
    swim->timers.heap[0]->token = token;
    assert_fails(sim, "I9");

    sim = agreed(9, 3);
    swim = swim_sim_core(sim, 0);
    swim->relays[5].timer.kind = TIMER_RELAY; /* nobody asked */
    swim_timer_arm(&swim->timers, &swim->relays[5].timer, UINT64_MAX - 1);
    sim_check_queues(sim, 0);
    assert_fails(sim, "I9");
}

static struct swim_sim *in_time(uint64_t seed)
{
    struct swim_sim *sim = agreed(seed, 2);

    assert_true(swim_sim_run_for(sim, 10000)); /* one swarm time */
    return sim;
}

static void look_at_clocks(struct swim_sim *sim)
{
    for (unsigned i = 0; i < 4 * SIM_CLOCK_EVERY; i++) {
        sim_check_step(sim, 0);
    }
}

static void a_wrong_bound_of_a_clock_is_seen(void **state)
{
    struct swim_sim *sim = in_time(10);

    (void)state;
    look_at_clocks(sim);
    assert_null(swim_sim_failure(sim));
    sim->nodes[1].clock.mono_ns += 50 * SWIM_MS; /* it was suspended, and nobody told it */
    look_at_clocks(sim);
    assert_fails(sim, "C1");
    sim = in_time(10);
    sim->nodes[1].swim->clock.view.x_ns += 50 * (int64_t)SWIM_MS;
    look_at_clocks(sim);
    assert_fails(sim, "C2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_are_equal_runs),
        cmocka_unit_test(clocks_are_off_and_drift_and_never_go_back),
        cmocka_unit_test(a_partition_cuts_datagrams_and_streams),
        cmocka_unit_test(a_stopped_node_keeps_its_timers_and_its_datagrams),
        cmocka_unit_test(a_socket_buffer_is_full_some_time),
        cmocka_unit_test(a_blackout_holds_datagrams_and_timers_go_on),
        cmocka_unit_test(a_duty_cycle_sleeps_its_share),
        cmocka_unit_test(a_killed_process_forgets_and_its_directory_does_not),
        cmocka_unit_test(a_deadline_is_a_deadline),
        cmocka_unit_test(pairs_are_counted_as_they_are),
        cmocka_unit_test(up_and_down_that_do_not_alternate_are_seen),
        cmocka_unit_test(a_resurrection_is_seen),
        cmocka_unit_test(an_incarnation_that_nobody_made_is_seen),
        cmocka_unit_test(an_incarnation_that_goes_back_is_seen),
        cmocka_unit_test(a_datagram_that_may_not_be_is_seen),
        cmocka_unit_test(a_boot_that_goes_back_is_seen),
        cmocka_unit_test(a_datagram_that_proves_nothing_and_changes_something_is_seen),
        cmocka_unit_test(what_a_datagram_says_of_another_is_read),
        cmocka_unit_test(a_wrong_bound_of_a_clock_is_seen),
        cmocka_unit_test(an_update_that_is_told_too_often_is_seen),
        cmocka_unit_test(a_suspicion_asked_about_again_is_told_as_often_again),
        cmocka_unit_test(a_queue_beyond_its_bound_is_seen),
        cmocka_unit_test(a_timer_that_may_not_be_is_seen),
        cmocka_unit_test(a_false_death_is_counted_and_fails_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
