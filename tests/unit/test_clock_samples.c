/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of a session's clock: the list that stays bounded without losing what it says, its texts,
 * and that a store has them after a finish, a crash and the loss of its catalogue.
 */
#include "tests/support/store_place.h"

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/store/clock_samples.h"
#include "shared/store/session_json.h"
#include "shared/store/session_text.h"
#include "shared/store/verify.h"

#define AN_ID  "01890000-0000-7000-8000-000000000001"
#define MINUTE (60 * UINT64_C(1000000000))
#define PPM    60000 /* ns in a minute */

static struct clock_sample sample(uint32_t minute, int64_t offset_ns)
{
    return (struct clock_sample){.time_ns = time_of(0) + minute * MINUTE,
                                 .offset_ns = offset_ns,
                                 .bound_ns = 25000,
                                 .root = UINT64_MAX - 4};
}

/* As whoever merges takes it. */
static int64_t offset_at(const struct clock_samples *s, uint64_t time_ns)
{
    for (uint32_t i = 1; i < s->n; i++) {
        const struct clock_sample *a = &s->list[i - 1];
        const struct clock_sample *b = &s->list[i];
        if (time_ns < b->time_ns) {
            return b->is_step ? a->offset_ns
                              : a->offset_ns + (int64_t)((double)(b->offset_ns - a->offset_ns) *
                                                         (double)(time_ns - a->time_ns) /
                                                         (double)(b->time_ns - a->time_ns));
        }
    }
    return s->list[s->n - 1].offset_ns;
}

static void a_long_list_says_what_it_said(void **state)
{
    struct clock_samples s = {0};

    (void)state;
    for (uint32_t i = 0; i < 2000; i++) { /* 10 ppm fast, then 30 ppm slow; set once */
        int64_t offset =
            i < 1000 ? 10 * PPM * (int64_t)i : 10 * PPM * 1000 - 30 * PPM * ((int64_t)i - 1000);
        struct clock_sample one = sample(i, offset + (i >= 1500 ? 1700000000 : 0));
        one.is_step = i == 1500;
        clock_samples_add(&s, &one);
    }
    assert_int_equal(s.n, CLOCK_SAMPLES_MAX);
    assert_int_equal(s.list[0].time_ns, sample(0, 0).time_ns);
    assert_int_equal(s.list[s.n - 1].time_ns, sample(1999, 0).time_ns);
    for (uint32_t i = 0; i < 1999; i++) {
        int64_t truth =
            i < 1000 ? 10 * PPM * (int64_t)i : 10 * PPM * 1000 - 30 * PPM * ((int64_t)i - 1000);
        truth += i >= 1500 ? 1700000000 : 0;
        int64_t error = offset_at(&s, sample(i, 0).time_ns) - truth;
        /* The minute before the step is where the line may have gone. */
        if (i < 1400 || i >= 1500) {
            assert_in_range(error + 10000000, 10000000 - 25 * PPM, 10000000 + 25 * PPM);
        }
        assert_true(error < 1000000000 && error > -1000000000);
    }
    clock_samples_deinit(&s);
}

static void what_is_there_is_not_joined_again(void **state)
{
    struct clock_samples a = {0};
    struct clock_samples b = {0};

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        struct clock_sample one = sample(i, i);
        clock_samples_add(i < 3 ? &a : &b, &one);
        if (i == 2) {
            clock_samples_add(&b, &one);
        }
    }
    clock_samples_join(&a, &b);
    assert_int_equal(a.n, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(a.list[i].offset_ns, i);
    }
    clock_samples_deinit(&a);
    clock_samples_deinit(&b);
}

static void a_description_has_them_whole_or_what_is_new(void **state)
{
    struct store_session s = {.id = AN_ID};
    struct clock_sample one = sample(0, -400000000);

    (void)state;
    one.peer = UINT64_MAX - 1;
    one.peer_ns = INT64_MIN + 1;
    one.peer_bound_ns = UINT64_MAX;
    one.is_step = true;
    clock_samples_add(&s.clock, &one);
    for (int more = 0; more <= 1; more++) {
        struct store_session back;
        s.clock_is_more = more == 1;
        char *text = session_text_write(&s);
        assert_int_equal(session_text_read(text, strlen(text), &back), 0);
        assert_int_equal(back.clock_is_more, more == 1);
        assert_int_equal(back.clock.n, 1);
        assert_memory_equal(&back.clock.list[0], &one, sizeof one);
        store_session_deinit(&back);
        mem_free(text);
    }
    store_session_deinit(&s);
}

static void a_hostile_list_is_bounded(void **state)
{
    struct clock_samples s = {0};
    char *text = x_alloc(200000);
    size_t n = 1;

    (void)state;
    text[0] = '[';
    for (int i = 0; i < 5000; i++) {
        n += (size_t)snprintf(text + n, 100, "[%d,-9223372036854775808,%d,9,1],", i % 7, -i);
    }
    snprintf(text + n, 100, "7,[],[1],{},null,[\"x\",2,3,4,5,6,7,8,9]]");
    clock_samples_read(text, &s);
    assert_int_equal(s.n, CLOCK_SAMPLES_MAX);
    clock_samples_deinit(&s);
    clock_samples_read("[[", &s);
    clock_samples_read("", &s);
    assert_int_equal(s.n, 0);
    clock_samples_deinit(&s);
    mem_free(text);
}

static void json_has_them_readable(void **state)
{
    struct store_session s = {.id = AN_ID};
    struct clock_sample one = sample(0, -400000000);

    (void)state;
    json_t *none = session_json(&s, false);
    assert_int_equal(json_array_size(json_object_get(none, "clock")), 0);
    assert_true(json_is_array(json_object_get(none, "clock")));
    json_decref(none);
    clock_samples_add(&s.clock, &one);
    one.time_ns++;
    one.peer = 0x1234;
    one.peer_ns = 7;
    clock_samples_add(&s.clock, &one);
    json_t *some = session_json(&s, false);
    const json_t *first = json_array_get(json_object_get(some, "clock"), 0);
    const json_t *second = json_array_get(json_object_get(some, "clock"), 1);
    assert_string_equal(json_string_value(json_object_get(first, "time")),
                        "2023-11-14T22:13:20.000000000Z");
    assert_int_equal(json_integer_value(json_object_get(first, "offset_ns")), -400000000);
    assert_int_equal(json_integer_value(json_object_get(first, "bound_ns")), 25000);
    assert_string_equal(json_string_value(json_object_get(first, "root")), "fffffffffffffffb");
    assert_true(json_is_false(json_object_get(first, "step")));
    assert_true(json_is_null(json_object_get(first, "reference")));
    const json_t *reference = json_object_get(second, "reference");
    assert_string_equal(json_string_value(json_object_get(reference, "id")), "0000000000001234");
    assert_int_equal(json_integer_value(json_object_get(reference, "offset_ns")), 7);
    json_decref(some);
    store_session_deinit(&s);
}

/* ---- in a store ---- */

struct ticking {
    uint32_t n; /* samples so far: one a look, from look_from on */
    bool silent;
};

static uint32_t look(void *arg, bool is_last, struct clock_sample out[STORE_CLOCK_MOST])
{
    struct ticking *t = arg;

    if (t->silent && !is_last) {
        return 0;
    }
    out[0] = sample(t->n, 1000 + t->n);
    t->n++;
    return 1;
}

static struct consumer *begin_ticking(struct store *store, struct ticking *t, char *id)
{
    const struct store_session_spec spec = {
        .started_ns = clock_wall_ns(), .clock = look, .clock_arg = t};
    struct consumer *c = NULL;
    struct err err = {0};
    struct iface f = ethernet("eth0");

    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    return c;
}

static void tick(struct consumer *c)
{
    struct err err = {0};

    assert_int_equal(c->ops->tick(c, clock_monotonic_ns(), &err), 0);
}

/* Samples 0 to n − 1 are there, in order. */
static void check_samples(struct store *store, const char *id, uint32_t n)
{
    struct store_session *s = NULL;
    struct err err = {0};

    assert_int_equal(store_session_find(store, id, &s, &err), 0);
    assert_int_equal(s->clock.n, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(s->clock.list[i].offset_ns, 1000 + i);
    }
    store_sessions_free(s, 1);
}

static void write_ticking(const struct place *p, char *id)
{
    struct ticking t = {0};
    struct store *store = open_store(p, STORE_CREATE);
    struct consumer *c = begin_ticking(store, &t, id);

    put_block(c, 0, 1000);
    tick(c);
    put_block(c, 1000, 2000);
    tick(c);
    tick(c);
    finish(c, 2000);
    assert_int_equal(t.n, 5);
    check_samples(store, id, 5);
    store_close(store);
}

static void a_session_keeps_its_samples_when_the_catalogue_is_lost(void **state)
{
#if PR_SQLCIPHER
    static const char *const keys[] = {NULL, RAW_KEY};
#else
    static const char *const keys[] = {NULL};
#endif

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        struct place p;
        char id[STORE_ID_TEXT];
        struct verify_report report;
        struct err err = {0};
        place_init(&p, keys[k]);
        write_ticking(&p, id);
        struct store *store = open_store(&p, STORE_WRITE);
        check_samples(store, id, 5);
        assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
        assert_int_equal(report.damaged_frames + report.repaired_frames, 0);
        assert_int_equal(report.packets, 2000);
        store_close(store);
        assert_int_equal(unlink(p.db), 0);
        store = open_store(&p, STORE_READ);
        check_samples(store, id, 5);
        store_close(store);
        place_deinit(&p);
    }
}

static void a_crash_keeps_what_was_measured_until_then(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct ticking t = {0};
    struct verify_report report;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin_ticking(store, &t, id);
    struct store_writer_stats stats = {0};
    put_block(c, 0, 1000);
    tick(c);
    uint64_t until = clock_monotonic_ns() + 10000000000u;
    t.silent = true;
    while (stats.durable < 1000 && clock_monotonic_ns() < until) {
        assert_int_equal(c->ops->tick(c, clock_monotonic_ns() + 10000000000u, &err), 0);
        store_writer_stats(c, &stats);
    }
    assert_int_equal(stats.durable, 1000);
    t.silent = false;
    tick(c); /* in the segment, and not in the catalogue any more */
    store_writer_free(c);
    store_close(store);
    store = open_store(&p, STORE_WRITE);
    check_samples(store, id, 3);
    assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
    assert_int_equal(report.damaged_frames + report.repaired_frames, 0);
    store_close(store);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_list_says_what_it_said),
        cmocka_unit_test(what_is_there_is_not_joined_again),
        cmocka_unit_test(a_description_has_them_whole_or_what_is_new),
        cmocka_unit_test(a_hostile_list_is_bounded),
        cmocka_unit_test(json_has_them_readable),
        cmocka_unit_test(a_session_keeps_its_samples_when_the_catalogue_is_lost),
        cmocka_unit_test(a_crash_keeps_what_was_measured_until_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
