/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "shared/capture/block_pool_posix.h"
#include "shared/capture/lane_posix.h"
#include "tests/support/fake_consumer.h"

#define DEADLINE_NS 5000000000ull
#define MIB         (1024u * 1024u)

static struct iface ifaces[4];

static struct lane *start(struct fake_consumer *fake, uint32_t queue_bytes)
{
    const struct lane_opts opts = {
        .consumer = &fake->consumer, .queue_bytes = queue_bytes, .ifaces = ifaces, .n_ifaces = 1};
    struct lane *lane = NULL;
    struct err err = {0};

    assert_int_equal(lane_start(&opts, &lane, &err), 0);
    return lane;
}

static struct block *block_of(uint32_t cap, uint64_t time_ns, unsigned n)
{
    struct block *block = block_new(cap);
    const struct packet_view packet = {
        .time_ns = time_ns, .caplen = 3, .len = 3, .data = (const uint8_t *)"abc"};

    while (n-- > 0) {
        assert_true(block_append(block, &packet));
    }
    return block;
}

static bool offer(struct lane *lane, struct block *block, uint32_t n_ifaces)
{
    bool taken = lane_offer(lane, block, n_ifaces);

    block_unref(block);
    return taken;
}

static int end_and_join(struct lane *lane, bool drop_queue, struct err *err)
{
    const struct lane_end end = {.drop_queue = drop_queue, .total = {.captured = 9}};

    lane_end(lane, &end);
    assert_true(lane_wait_for_end(lane, 5000));
    return lane_join(lane, err);
}

static bool until(atomic_int *value, int at_least)
{
    uint64_t deadline = clock_monotonic_ns() + DEADLINE_NS;

    while (atomic_load(value) < at_least) {
        if (clock_monotonic_ns() > deadline) {
            return false;
        }
        usleep(500);
    }
    return true;
}

static void blocks_come_in_order_between_begin_and_finish(void **state)
{
    struct fake_consumer fake;

    (void)state;
    fake_consumer_init(&fake);
    struct lane *lane = start(&fake, 8 * MIB);
    for (uint64_t i = 1; i <= 20; i++) {
        struct block *block = block_of(MIB, i, 2);
        while (!lane_offer(lane, block, 1)) {
            lane_wait_for_room(lane, 100);
        }
        block_unref(block);
    }
    assert_int_equal(end_and_join(lane, false, NULL), 0);
    assert_true(fake.in_order);
    assert_int_equal(fake.packets, 40);
    assert_string_equal(fake.calls, "bf");
    assert_int_equal(fake.total.captured, 9);
    assert_int_equal(fake.total.store, 0);
}

static void new_interfaces_are_told_before_their_packets(void **state)
{
    struct fake_consumer fake;

    (void)state;
    fake_consumer_init(&fake);
    struct lane *lane = start(&fake, 8 * MIB);
    assert_true(offer(lane, block_of(MIB, 1, 1), 1));
    assert_true(offer(lane, block_of(MIB, 2, 1), 3));
    assert_true(offer(lane, block_of(MIB, 3, 1), 3));
    assert_int_equal(end_and_join(lane, false, NULL), 0);
    assert_string_equal(fake.calls, "bif");
    assert_int_equal(fake.n_ifaces, 3);
}

static void the_queue_is_bounded_in_bytes_of_memory(void **state)
{
    struct fake_consumer fake;

    (void)state;
    fake_consumer_init(&fake);
    pthread_mutex_lock(&fake.gate);
    struct lane *lane = start(&fake, 3 * MIB);
    assert_true(offer(lane, block_of(MIB, 1, 1), 1)); /* the consumer holds this one */
    assert_true(offer(lane, block_of(MIB, 2, 1), 1));
    assert_true(lane_has_room(lane));
    assert_true(offer(lane, block_of(MIB, 3, 1), 1));
    assert_false(lane_has_room(lane));
    assert_false(lane_is_relaxed(lane));
    assert_int_equal(lane_queue(lane).bytes, 3 * MIB);
    assert_int_equal(lane_queue(lane).limit, 3 * MIB);
    assert_false(offer(lane, block_of(MIB, 4, 5), 1));
    assert_int_equal(lane_queue(lane).bytes, 3 * MIB);
    lane_lose(lane, 5);
    assert_int_equal(lane_lost(lane), 5);
    pthread_mutex_unlock(&fake.gate);
    assert_true(until(&fake.blocks, 3));
    assert_int_equal(end_and_join(lane, false, NULL), 0);
    assert_int_equal(fake.packets, 3);
    assert_int_equal(fake.total.store, 5);
}

static void a_block_larger_than_the_queue_goes_alone(void **state)
{
    struct fake_consumer fake;

    (void)state;
    fake_consumer_init(&fake);
    struct lane *lane = start(&fake, 2 * MIB);
    assert_true(offer(lane, block_of(16 * MIB, 1, 1), 1));
    assert_int_equal(end_and_join(lane, false, NULL), 0);
    assert_int_equal(fake.packets, 1);
}

static void ticks_come_while_nothing_else_does(void **state)
{
    struct fake_consumer fake;
    const struct ledger ledger = {.captured = 1};

    (void)state;
    fake_consumer_init(&fake);
    struct lane *lane = start(&fake, MIB);
    lane_tell_counters(lane, &ledger, 1, 1);
    assert_true(until(&fake.ticks, 3));
    assert_int_equal(atomic_load(&fake.counters), 1);
    assert_int_equal(end_and_join(lane, false, NULL), 0);
}

static void the_first_error_stays_and_later_blocks_count_as_lost(void **state)
{
    struct fake_consumer fake;
    struct err err = {0};

    (void)state;
    fake_consumer_init(&fake);
    fake.fail_at_block = 2;
    struct lane *lane = start(&fake, 8 * MIB);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_true(offer(lane, block_of(MIB, i, 10), 1));
    }
    assert_true(until(&fake.blocks, 2));
    uint64_t deadline = clock_monotonic_ns() + DEADLINE_NS;
    while (!lane_has_failed(lane) && clock_monotonic_ns() < deadline) {
        usleep(500);
    }
    assert_true(offer(lane, block_of(MIB, 6, 10), 1));
    assert_int_equal(end_and_join(lane, false, &err), ERR_FULL);
    assert_string_equal(err.text, "block failed");
    assert_int_equal(fake.packets, 10);
    assert_string_equal(fake.calls, "bf");
    assert_int_equal(fake.total.store, 40);
}

static void a_begin_that_fails_is_the_error_of_the_start(void **state)
{
    struct fake_consumer fake;
    struct lane *lane = NULL;
    struct err err = {0};

    (void)state;
    fake_consumer_init(&fake);
    fake.fail_begin = ERR_PERMISSION;
    const struct lane_opts opts = {
        .consumer = &fake.consumer, .queue_bytes = MIB, .ifaces = ifaces, .n_ifaces = 1};
    assert_int_equal(lane_start(&opts, &lane, &err), ERR_PERMISSION);
    assert_string_equal(err.text, "begin failed");
    assert_string_equal(fake.calls, "b");
}

static void an_abort_gives_up_the_queue_and_counts_it(void **state)
{
    struct fake_consumer fake;
    const struct lane_end gentle = {0};

    (void)state;
    fake_consumer_init(&fake);
    pthread_mutex_lock(&fake.gate);
    struct lane *lane = start(&fake, 8 * MIB);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_true(offer(lane, block_of(MIB, i, 10), 1));
    }
    lane_end(lane, &gentle);
    assert_false(lane_wait_for_end(lane, 20));
    const struct lane_end now = {.drop_queue = true};
    lane_end(lane, &now);
    pthread_mutex_unlock(&fake.gate);
    assert_true(lane_wait_for_end(lane, 5000));
    assert_int_equal(lane_join(lane, NULL), 0);
    assert_true(fake.packets <= 10);
    assert_int_equal(fake.total.store, 40 - fake.packets);
    assert_string_equal(fake.calls, "bf");
}

static void the_pool_gives_the_last_block_again_and_makes_large_ones(void **state)
{
    struct block_pool *pool = block_pool_new(MIB, 1);
    struct block *a = block_pool_get(pool, 100);
    struct block *b = block_pool_get(pool, 100);
    struct block *large = block_pool_get(pool, 3 * MIB);

    (void)state;
    assert_int_equal(a->cap, MIB);
    assert_int_equal(large->cap, 3 * MIB);
    a->n_packets = 5;
    block_unref(a);
    block_unref(b); /* one is kept, this one is freed */
    block_unref(large);
    struct block *again = block_pool_get(pool, 100);
    assert_ptr_equal(again, a);
    assert_int_equal(again->n_packets, 0);
    block_unref(again);
    mem_fail_after(1);
    assert_null(block_pool_get(pool, 2 * MIB));
    mem_fail_after(0);
    block_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order_between_begin_and_finish),
        cmocka_unit_test(new_interfaces_are_told_before_their_packets),
        cmocka_unit_test(the_queue_is_bounded_in_bytes_of_memory),
        cmocka_unit_test(a_block_larger_than_the_queue_goes_alone),
        cmocka_unit_test(ticks_come_while_nothing_else_does),
        cmocka_unit_test(the_first_error_stays_and_later_blocks_count_as_lost),
        cmocka_unit_test(a_begin_that_fails_is_the_error_of_the_start),
        cmocka_unit_test(an_abort_gives_up_the_queue_and_counts_it),
        cmocka_unit_test(the_pool_gives_the_last_block_again_and_makes_large_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
