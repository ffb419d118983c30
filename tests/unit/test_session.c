/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "shared/capture/session_posix.h"
#include "tests/support/fake_consumer.h"

#define PACKET_BYTES 1000u

/* A source that makes packets. Live ones have a pipe that is always readable for a descriptor;
 * their "kernel" drops when nobody reads for a while, as a ring of `ring` packets would. */
struct fake_source {
    struct source source;
    struct iface iface;
    bool live;
    uint64_t to_give;  /* packets until it ends (files) or has nothing more (live) */
    uint64_t per_read; /* batch */
    int fail_at_end;   /* a file: ends with this error */
    int fds[2];
    uint64_t given;
    uint64_t stamp_from;  /* of the first packet, each is 1 ns later; 0 = 1 */
    uint64_t late;        /* live: packets in the ring that come out after halt only */
    uint64_t drops_after; /* live: stats() says one more drop every so many calls; 0 = never */
    uint64_t stats_calls;
    atomic_bool halted;
};

static struct fake_source *source_of(struct source *source)
{
    return container_of(source, struct fake_source, source);
}

static int fake_read(struct source *source, struct source_sink *sink, struct err *err)
{
    static const uint8_t bytes[PACKET_BYTES];
    struct fake_source *fake = source_of(source);

    if (atomic_load(&fake->halted)) {
        fake->to_give += fake->late;
        fake->late = 0;
    }
    for (uint64_t i = 0; i < fake->per_read && fake->given < fake->to_give; i++) {
        fake->given++;
        const struct packet_view packet = {.time_ns = fake->stamp_from + fake->given,
                                           .caplen = PACKET_BYTES,
                                           .len = PACKET_BYTES,
                                           .data = bytes};
        if (!sink->packet(sink, &packet)) {
            return SOURCE_STOPPED;
        }
    }
    if (fake->given < fake->to_give) {
        return SOURCE_MORE;
    }
    if (fake->live) {
        return SOURCE_IDLE;
    }
    return fake->fail_at_end == 0 ? SOURCE_END : err_set(err, fake->fail_at_end, "cut at byte 99");
}

static int fake_fd(struct source *source)
{
    return source_of(source)->live ? source_of(source)->fds[0] : -1;
}

static void fake_stats(struct source *source, struct source_stats *out)
{
    struct fake_source *fake = source_of(source);
    uint64_t drops = fake->drops_after == 0 ? 0 : ++fake->stats_calls / fake->drops_after;

    *out = (struct source_stats){fake->given + drops, drops, SOURCE_UNKNOWN};
}

static void fake_halt(struct source *source)
{
    atomic_store(&source_of(source)->halted, true);
}

static const struct source_ops fake_source_ops = {
    .read = fake_read, .fd = fake_fd, .stats = fake_stats, .halt = fake_halt};

static void fake_source_init(struct fake_source *fake, bool live, uint64_t packets)
{
    memset(fake, 0, sizeof *fake);
    fake->source = (struct source){&fake_source_ops, &fake->iface, 1};
    fake->iface.link_type = LINK_ETHERNET;
    fake->live = live;
    fake->to_give = packets;
    fake->per_read = 500;
    assert_int_equal(pipe(fake->fds), 0);
}

static void fake_source_deinit(struct fake_source *fake)
{
    close(fake->fds[0]);
    close(fake->fds[1]);
}

struct fixture {
    struct fake_source sources[2];
    struct source *pointers[2];
    struct fake_consumer fakes[2];
    struct session_consumer consumers[2];
    struct session_spec spec;
    struct session *session;
};

static void set_up(struct fixture *f, bool live, uint32_t n_sources, uint64_t packets)
{
    *f = (struct fixture){0};
    for (uint32_t i = 0; i < 2; i++) {
        fake_source_init(&f->sources[i], live, packets);
        f->pointers[i] = &f->sources[i].source;
        fake_consumer_init(&f->fakes[i]);
        f->consumers[i].consumer = &f->fakes[i].consumer;
    }
    f->spec = (struct session_spec){.sources = f->pointers,
                                    .n_sources = n_sources,
                                    .consumers = f->consumers,
                                    .n_consumers = 1};
}

static void begin(struct fixture *f)
{
    struct err err = {0};

    assert_int_equal(session_start(&f->spec, &f->session, &err), 0);
}

static const struct session_result *end(struct fixture *f)
{
    assert_true(session_wait(f->session, 10000));
    return session_result(f->session);
}

static void tear_down(struct fixture *f)
{
    session_free(f->session);
    fake_source_deinit(&f->sources[0]);
    fake_source_deinit(&f->sources[1]);
}

static void a_file_reaches_every_consumer_whole(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, false, 1, 20000); /* 20 MB: many blocks */
    f.spec.n_consumers = 2;
    f.consumers[1].queue_bytes = 2u * 1024 * 1024;
    f.fakes[1].slow_us = 2000;
    begin(&f);
    const struct session_result *result = end(&f);
    assert_int_equal(result->code, 0);
    assert_int_equal(result->end, SESSION_END_INPUT);
    assert_int_equal(result->counters.total.captured, 20000);
    assert_int_equal(result->counters.total.received, 20000);
    assert_int_equal(result->counters.total.bytes, 20000ull * PACKET_BYTES);
    assert_true(result->counters.total.kernel == LEDGER_UNKNOWN);
    assert_int_equal(result->counters.total.store, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f.fakes[i].packets, 20000);
        assert_true(f.fakes[i].in_order);
        assert_string_equal(f.fakes[i].calls, "bf");
    }
    tear_down(&f);
}

static void a_damaged_file_gives_all_before_the_damage_and_the_error(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, false, 1, 700);
    f.sources[0].fail_at_end = ERR_DAMAGED;
    begin(&f);
    const struct session_result *result = end(&f);
    assert_int_equal(result->code, ERR_DAMAGED);
    assert_string_equal(result->err.text, "cut at byte 99");
    assert_int_equal(f.fakes[0].packets, 700);
    assert_string_equal(f.fakes[0].calls, "bf");
    tear_down(&f);
}

static void live_packets_arrive_within_the_age_of_a_block(void **state)
{
    struct fixture f;
    struct session_counters counters;
    uint64_t deadline = clock_monotonic_ns() + 5000000000ull;

    (void)state;
    set_up(&f, true, 1, 3);
    begin(&f);
    while (atomic_load(&f.fakes[0].blocks) == 0 && clock_monotonic_ns() < deadline) {
        usleep(1000);
    }
    assert_int_equal(atomic_load(&f.fakes[0].blocks), 1);
    session_snapshot(f.session, &counters);
    assert_int_equal(counters.total.captured, 3);
    assert_int_equal(counters.total.received, 3);
    assert_true(counters.total.interface == LEDGER_UNKNOWN);
    assert_int_equal(counters.n_stages, 1);
    assert_string_equal(counters.stages[0].stage, "fake");
    session_request_stop(f.session);
    assert_int_equal(end(&f)->end, SESSION_END_STOPPED);
    assert_int_equal(f.fakes[0].packets, 3);
    tear_down(&f);
}

/* With an age of an hour only sealing at once can let the packets through before the stop. */
static void a_watched_capture_seals_when_nothing_more_is_there(void **state)
{
    struct fixture f;
    uint64_t deadline = clock_monotonic_ns() + 5000000000ull;

    (void)state;
    set_up(&f, true, 1, 3);
    f.spec.seal_ms = SESSION_SEAL_AT_ONCE;
    begin(&f);
    while (atomic_load(&f.fakes[0].blocks) == 0 && clock_monotonic_ns() < deadline) {
        usleep(1000);
    }
    assert_int_equal(atomic_load(&f.fakes[0].blocks), 1);
    session_request_stop(f.session);
    assert_int_equal(end(&f)->end, SESSION_END_STOPPED);
    tear_down(&f);
    set_up(&f, true, 1, 3);
    f.spec.seal_ms = 3600000;
    begin(&f);
    struct session_counters counters;
    do {
        session_snapshot(f.session, &counters);
    } while (counters.total.captured < 3);
    usleep(30000);
    assert_int_equal(atomic_load(&f.fakes[0].blocks), 0);
    session_request_stop(f.session);
    assert_int_equal(end(&f)->end, SESSION_END_STOPPED);
    assert_int_equal(f.fakes[0].packets, 3);
    tear_down(&f);
}

static void a_stop_still_takes_what_the_kernel_held(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 2, 10);
    f.sources[0].late = 5;
    f.sources[1].late = 7;
    begin(&f);
    session_request_stop(f.session);
    const struct session_result *result = end(&f);
    assert_int_equal(result->counters.total.captured, 32);
    assert_int_equal(result->counters.total.received, 32);
    assert_int_equal(result->ledgers[1].captured, 17);
    assert_int_equal(result->n_ifaces, 2);
    tear_down(&f);
}

static void after_a_count_what_the_kernel_held_is_counted_as_limit(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 1000);
    f.sources[0].late = 5;
    f.spec.max_packets = 600;
    begin(&f);
    const struct session_result *result = end(&f);
    assert_int_equal(result->end, SESSION_END_LIMIT);
    assert_int_equal(result->counters.total.captured, 600);
    assert_int_equal(result->counters.total.limit, 405);
    assert_int_equal(result->counters.total.received, 1005);
    assert_int_equal(f.fakes[0].packets, 600);
    tear_down(&f);
}

static void the_duration_ends_a_live_capture(void **state)
{
    struct fixture f;
    uint64_t before = clock_monotonic_ns();

    (void)state;
    set_up(&f, true, 1, 5);
    f.spec.duration_ns = 150000000;
    begin(&f);
    assert_int_equal(end(&f)->end, SESSION_END_LIMIT);
    assert_true(clock_monotonic_ns() - before >= 150000000);
    assert_int_equal(f.fakes[0].packets, 5);
    tear_down(&f);
}

static void the_span_cuts_by_stamp_and_what_was_before_counts_nowhere(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 1000);
    f.spec.from_ns = clock_wall_ns() + 100000000;
    f.spec.until_ns = f.spec.from_ns + 500;
    f.spec.max_packets = 600;
    f.sources[0].stamp_from = f.spec.from_ns - 301; /* 300 before, 500 in it, 200 behind */
    uint64_t began = clock_monotonic_ns();
    begin(&f);
    const struct session_result *result = end(&f);
    assert_int_equal(result->end, SESSION_END_LIMIT);
    assert_true(clock_monotonic_ns() - began >= 100000000);
    assert_int_equal(result->counters.total.captured, 500);
    assert_int_equal(result->counters.total.limit, 200);
    assert_int_equal(result->counters.total.received, 700);
    assert_int_equal(result->started_ns, f.spec.from_ns);
    tear_down(&f);
}

static void drops_before_the_span_are_no_loss(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 10);
    f.sources[0].drops_after = 1; /* one at each look */
    f.spec.from_ns = clock_wall_ns() + 120000000;
    f.spec.until_ns = f.spec.from_ns + 50000000;
    f.sources[0].stamp_from = f.spec.from_ns;
    begin(&f);
    const struct session_result *result = end(&f);
    assert_true(f.sources[0].stats_calls > 5);
    /* What the looks between the span's begin and its end came to, at most. */
    assert_true(result->counters.total.kernel >= 1 && result->counters.total.kernel < 5);
    assert_int_equal(result->counters.total.received,
                     result->counters.total.captured + result->counters.total.kernel);
    tear_down(&f);
}

static void a_slow_consumer_waits_for_the_kernel_and_then_loses_by_count(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 40000); /* 40 MB against a queue of 2 */
    f.spec.n_consumers = 2;
    f.consumers[0].queue_bytes = 2u * 1024 * 1024;
    f.sources[0].drops_after = 2;
    pthread_mutex_lock(&f.fakes[0].gate);
    begin(&f);
    while (atomic_load(&f.fakes[1].blocks) < 30) {
        usleep(1000);
    }
    pthread_mutex_unlock(&f.fakes[0].gate);
    session_request_stop(f.session);
    const struct session_result *result = end(&f);
    assert_int_equal(result->code, 0);
    assert_int_equal(result->counters.total.captured, 40000);
    assert_true(result->counters.stages[0].packets > 20000);
    assert_int_equal(f.fakes[0].packets + result->counters.stages[0].packets, 40000);
    assert_int_equal(f.fakes[0].total.store, result->counters.stages[0].packets);
    assert_int_equal(f.fakes[1].packets, 40000); /* the other one is not touched by it */
    assert_int_equal(result->counters.stages[1].packets, 0);
    assert_int_equal(f.fakes[1].total.store, 0);
    tear_down(&f);
}

static void a_consumer_that_fails_ends_the_session_with_its_words(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 100000);
    f.spec.n_consumers = 2;
    f.fakes[0].fail_at_block = 3;
    begin(&f);
    const struct session_result *result = end(&f);
    assert_int_equal(result->end, SESSION_END_FAILED);
    assert_int_equal(result->code, ERR_FULL);
    assert_string_equal(result->err.text, "block failed");
    assert_string_equal(f.fakes[1].calls, "bf");
    assert_int_equal(f.fakes[1].packets, result->counters.total.captured);
    tear_down(&f);
}

static void a_start_that_fails_leaves_nothing_running(void **state)
{
    struct fixture f;
    struct err err = {0};

    (void)state;
    set_up(&f, true, 1, 1);
    f.spec.n_consumers = 2;
    f.fakes[1].fail_begin = ERR_PERMISSION;
    assert_int_equal(session_start(&f.spec, &f.session, &err), ERR_PERMISSION);
    assert_string_equal(f.fakes[0].calls, "bf");
    assert_string_equal(err.text, "begin failed");
    tear_down(&f);
}

static void an_abort_ends_while_a_consumer_is_behind(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, true, 1, 20000);
    f.consumers[0].queue_bytes = 4u * 1024 * 1024;
    pthread_mutex_lock(&f.fakes[0].gate);
    begin(&f);
    usleep(20000);
    session_request_stop(f.session);
    assert_false(session_wait(f.session, 100));
    session_request_abort(f.session);
    usleep(250000); /* it is looked at every 100 ms while a consumer is waited for */
    pthread_mutex_unlock(&f.fakes[0].gate);
    const struct session_result *result = end(&f);
    assert_int_equal(result->end, SESSION_END_ABORTED);
    assert_true(result->counters.total.store > 0);
    assert_int_equal(f.fakes[0].packets + result->counters.total.store,
                     result->counters.total.captured);
    assert_string_equal(f.fakes[0].calls, "bf");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_reaches_every_consumer_whole),
        cmocka_unit_test(a_damaged_file_gives_all_before_the_damage_and_the_error),
        cmocka_unit_test(live_packets_arrive_within_the_age_of_a_block),
        cmocka_unit_test(a_watched_capture_seals_when_nothing_more_is_there),
        cmocka_unit_test(a_stop_still_takes_what_the_kernel_held),
        cmocka_unit_test(after_a_count_what_the_kernel_held_is_counted_as_limit),
        cmocka_unit_test(the_duration_ends_a_live_capture),
        cmocka_unit_test(the_span_cuts_by_stamp_and_what_was_before_counts_nowhere),
        cmocka_unit_test(drops_before_the_span_are_no_loss),
        cmocka_unit_test(a_slow_consumer_waits_for_the_kernel_and_then_loses_by_count),
        cmocka_unit_test(a_consumer_that_fails_ends_the_session_with_its_words),
        cmocka_unit_test(a_start_that_fails_leaves_nothing_running),
        cmocka_unit_test(an_abort_ends_while_a_consumer_is_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
