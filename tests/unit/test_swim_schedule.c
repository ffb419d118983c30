/* SPDX-License-Identifier: Apache-2.0
 *
 * Who probes whom: with equal views each member is probed once an interval at its own phase, and
 * all pairs meet within n − 1 epochs. The views are made by hand: a core each, whose table has the
 * same names and which takes another one for itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "tests/support/swim_peers.h"

#define INTERVAL_NS ((int64_t)1000 * 1000000)
#define N_MOST      200

/* One core sees n members; it plays each of them in turn. */
static void make_view(struct swim_test_net *net, uint32_t n)
{
    swim_test_net_init(net, &swim_crypto_null, &swim_rules_lan);
    for (uint32_t i = 1; i < n; i++) {
        struct swim_test_peer peer = swim_test_peer(net->crypto, (uint8_t)i);
        swim_test_say_alive(net, &peer);
    }
    assert_int_equal(swim_n_live(net->swim), n);
}

/* The next probe of the member at rank r after `epoch` began: whom, and when in the epoch. */
static uint64_t probe_of(struct swim_test_net *net, uint32_t r, int64_t epoch, int64_t *phase_ns)
{
    struct swim *swim = net->swim;
    struct swim_member *self = swim->self;
    int64_t begin_ns = epoch * INTERVAL_NS;

    swim->self = swim->table.members[r];
    swim->now.mono_ns = net->now.mono_ns;
    int64_t behind_ns = begin_ns - swim_clock_swarm_ns(&swim->clock, swim->now.mono_ns);
    swim->now.mono_ns += (uint64_t)behind_ns;
    swim->probed_epoch = epoch - 1;
    swim_probe_schedule(swim);
    *phase_ns = (int64_t)(swim->own_timers[TIMER_PROBE].due_ns - swim->now.mono_ns);
    swim->self = self;
    return swim->scheduled;
}

static void check(uint32_t n)
{
    static uint8_t met[N_MOST][N_MOST];
    static int64_t phases[N_MOST];
    struct swim_test_net net;

    make_view(&net, n);
    memset(met, 0, sizeof met);
    int64_t first = swim_clock_swarm_ns(&net.swim->clock, net.now.mono_ns) / INTERVAL_NS + 5;
    first += (int64_t)n - 1 - first % ((int64_t)n - 1); /* where a cycle begins */
    for (int64_t epoch = first; epoch < first + n - 1; epoch++) {
        uint8_t probed[N_MOST] = {0};
        for (uint32_t r = 0; r < n; r++) {
            int64_t phase_ns;
            uint64_t sid = probe_of(&net, r, epoch, &phase_ns);
            uint32_t target = swim_members_place(&net.swim->table, sid);
            assert_true(target < n && target != r);
            assert_int_equal(probed[target]++, 0);
            assert_int_equal(met[r][target]++, 0);
            assert_true(phase_ns >= 0 && phase_ns < INTERVAL_NS);
            assert_true(epoch == first || phases[target] == phase_ns);
            phases[target] = phase_ns;
        }
    }
    swim_free(net.swim);
}

static void each_is_probed_once_an_interval_and_all_pairs_meet(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 40; n++) {
        check(n);
    }
    check(97);
    check(128);
    check(N_MOST);
}

/* Phases are spread: a swarm does not speak all at once. */
static void phases_are_spread_over_the_interval(void **state)
{
    struct swim_test_net net;
    uint32_t quarters[4] = {0};

    (void)state;
    make_view(&net, N_MOST);
    int64_t epoch = swim_clock_swarm_ns(&net.swim->clock, net.now.mono_ns) / INTERVAL_NS + 5;
    for (uint32_t r = 0; r < N_MOST; r++) {
        int64_t phase_ns;
        (void)probe_of(&net, r, epoch, &phase_ns);
        quarters[phase_ns * 4 / INTERVAL_NS]++;
    }
    for (int i = 0; i < 4; i++) {
        assert_in_range(quarters[i], N_MOST / 8, N_MOST / 2);
    }
    swim_free(net.swim);
}

static void round_robin_probes_each_once_a_round(void **state)
{
    struct swim_test_net net;

    (void)state;
    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_memberlist);
    for (uint32_t i = 1; i < 30; i++) {
        struct swim_test_peer peer = swim_test_peer(net.crypto, (uint8_t)i);
        swim_test_say_alive(&net, &peer);
    }
    for (int round = 0; round < 3; round++) {
        uint8_t probed[30] = {0};
        for (uint32_t i = 1; i < 30; i++) {
            const struct swim_member *member = swim_probe_choose(net.swim);
            assert_non_null(member);
            assert_int_equal(probed[swim_members_place(&net.swim->table, member->sid)]++, 0);
        }
    }
    swim_free(net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_probed_once_an_interval_and_all_pairs_meet),
        cmocka_unit_test(phases_are_spread_over_the_interval),
        cmocka_unit_test(round_robin_probes_each_once_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
