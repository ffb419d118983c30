/* SPDX-License-Identifier: Apache-2.0
 *
 * PR_SEED=N runs the properties with another seed.
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
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv_store.h"
#include "tests/support/splitmix.h"

#define DATAGRAM 1024
#define LATER    INT64_C(1000000)

static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
    return (uint32_t)(splitmix_u64(&random_state) % n);
}

/* A record with its value beside it. */
struct made {
    struct swim_kv kv;
    uint8_t value[SWIM_KV_VALUE_MAX];
};

static const struct swim_kv *live(struct made *made, uint32_t key, uint64_t version,
                                  const char *text)
{
    *made = (struct made){.kv = {.owner = 7, .version = version}};
    put_le32(made->kv.key + 12, __builtin_bswap32(key));
    made->kv.n_value = (uint16_t)strlen(text);
    memcpy(made->value, text, strlen(text));
    made->kv.value = made->value;
    return &made->kv;
}

static const struct swim_kv *tombstone(struct made *made, uint32_t key, uint64_t version,
                                       int64_t death_ns)
{
    (void)live(made, key, version, "");
    made->kv.flags = SWIM_KV_DELETED;
    made->kv.n_value = SWIM_KV_DEATH;
    put_le64(made->value, (uint64_t)death_ns);
    return &made->kv;
}

static bool holds(const struct swim_kv_store *store, const struct swim_kv *kv)
{
    const struct swim_kv *held = swim_kv_store_get(store, kv->key);

    return held != NULL && swim_kv_precedence(held, kv) == 0;
}

static bool is_same(const struct swim_kv_store *a, const struct swim_kv_store *b)
{
    if (a->n != b->n || swim_kv_store_hash(a) != swim_kv_store_hash(b) ||
        memcmp(a->sums, b->sums, sizeof a->sums) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        const struct swim_kv *x = &a->entries[i]->kv, *y = &b->entries[i]->kv;
        if (memcmp(x->key, y->key, sizeof x->key) != 0 || swim_kv_precedence(x, y) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- merging ---- */

static void the_higher_version_stays(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made old, new;

    (void)state;
    assert_int_equal(swim_kv_store_take(store, live(&new, 1, 5, "new"), 0), SWIM_KV_TAKEN);
    assert_int_equal(swim_kv_store_take(store, live(&old, 1, 4, "zzzzzz"), 0), SWIM_KV_OLD);
    assert_int_equal(swim_kv_store_take(store, &new.kv, 0), SWIM_KV_OLD);
    assert_true(holds(store, &new.kv));
    assert_int_equal(store->n, 1);
    swim_kv_store_free(store);
}

/* A record of few keys, versions and values, so that they collide in every way. */
static void any_record(struct made *made)
{
    static const char *const texts[] = {"", "a", "b", "aa"};

    if (draw(4) == 0) {
        (void)tombstone(made, draw(6), draw(3), LATER + draw(2));
    } else {
        (void)live(made, draw(6), draw(3), texts[draw(4)]);
    }
    made->kv.owner = draw(2);
}

static void any_order_of_any_duplicates_ends_the_same(void **state)
{
    enum { N = 24 };
    struct made made[N];
    const char *given = getenv("PR_SEED");

    (void)state;
    random_state = given == NULL ? 1 : strtoull(given, NULL, 10);
    for (uint32_t run = 0; run < 2000; run++) {
        struct swim_kv_store *once = swim_kv_store_new(), *again = swim_kv_store_new();
        struct swim_kv_store *halves[2] = {swim_kv_store_new(), swim_kv_store_new()};
        for (uint32_t i = 0; i < N; i++) {
            any_record(&made[i]);
            (void)swim_kv_store_take(once, &made[i].kv, 0);
            (void)swim_kv_store_take(halves[draw(2)], &made[i].kv, 0);
        }
        /* Backwards, with repetitions. */
        for (uint32_t i = N; i-- > 0;) {
            (void)swim_kv_store_take(again, &made[draw(N)].kv, 0);
            (void)swim_kv_store_take(again, &made[i].kv, 0);
            (void)swim_kv_store_take(again, &made[i].kv, 0);
        }
        assert_true(is_same(once, again));
        /* (a b) c = a (b c): merged as two tables. */
        for (uint32_t i = 0; i < halves[0]->n; i++) {
            (void)swim_kv_store_take(halves[1], &halves[0]->entries[i]->kv, 0);
        }
        assert_true(is_same(once, halves[1]));
        swim_kv_store_free(once);
        swim_kv_store_free(again);
        swim_kv_store_free(halves[0]);
        swim_kv_store_free(halves[1]);
    }
}

/* ---- tombstones ---- */

static void a_tombstone_keeps_out_what_is_older_until_its_time(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made old, grave;

    (void)state;
    (void)live(&old, 1, 4, "text");
    assert_int_equal(swim_kv_store_take(store, &old.kv, 0), SWIM_KV_TAKEN);
    assert_int_equal(swim_kv_store_take(store, tombstone(&grave, 1, 5, LATER), 0), SWIM_KV_TAKEN);
    for (int64_t at = 0; at < LATER; at += LATER / 10) {
        assert_int_equal(swim_kv_store_take(store, &old.kv, at), SWIM_KV_OLD);
    }
    assert_int_equal(swim_kv_store_take(store, &old.kv, LATER - 1), SWIM_KV_OLD);
    assert_int_equal(swim_kv_store_take(store, &old.kv, LATER), SWIM_KV_TAKEN);
    /* Nobody brings it back when it is over: there is nothing here that it deletes … */
    swim_kv_store_free(store);
    store = swim_kv_store_new();
    assert_int_equal(swim_kv_store_take(store, &grave.kv, LATER), SWIM_KV_OLD);
    /* … but where there is, it still does. */
    (void)swim_kv_store_take(store, &old.kv, LATER);
    assert_int_equal(swim_kv_store_take(store, &grave.kv, LATER), SWIM_KV_TAKEN);
    swim_kv_store_expire(store, LATER);
    assert_int_equal(store->n, 0);
    assert_int_equal(store->next_death_ns, INT64_MAX);
    swim_kv_store_free(store);
}

static void the_equal_version_of_a_tombstone_wins(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made grave, text;

    (void)state;
    (void)swim_kv_store_take(store, tombstone(&grave, 1, 5, LATER), 0);
    assert_int_equal(swim_kv_store_take(store, live(&text, 1, 5, "zzzzzzzzzz"), 0), SWIM_KV_OLD);
    swim_kv_store_free(store);
}

static void forgetting_a_tombstone_changes_no_hash(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;
    uint64_t hash;

    (void)state;
    (void)swim_kv_store_take(store, live(&made, 2, 1, "stays"), 0);
    hash = swim_kv_store_hash(store);
    (void)swim_kv_store_take(store, live(&made, 1, 1, "goes"), 0);
    assert_int_not_equal(swim_kv_store_hash(store), hash);
    (void)swim_kv_store_take(store, tombstone(&made, 1, 2, LATER), 0);
    assert_int_equal(swim_kv_store_hash(store), hash);
    swim_kv_store_expire(store, LATER);
    assert_int_equal(swim_kv_store_hash(store), hash);
    assert_int_equal(store->n, 1);
    swim_kv_store_free(store);
}

static void each_tombstone_has_its_own_time(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        (void)swim_kv_store_take(store, tombstone(&made, i, 1, LATER + (i * 7) % 10), 0);
    }
    for (uint32_t gone = 0; gone < 10; gone++) {
        assert_int_equal(store->n, 10 - gone);
        assert_int_equal(store->next_death_ns, LATER + gone);
        swim_kv_store_expire(store, LATER + gone);
    }
    assert_int_equal(store->n, 0);
    swim_kv_store_free(store);
}

/* ---- bounds ---- */

static void a_full_table_refuses_and_counts(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;
    size_t before = store->heap_bytes;

    (void)state;
    for (uint32_t i = 0; i < SWIM_KV_MAX; i++) {
        assert_int_equal(swim_kv_store_take(store, tombstone(&made, i, 1, LATER), 0),
                         SWIM_KV_TAKEN);
    }
    assert_int_equal(swim_kv_store_take(store, live(&made, SWIM_KV_MAX, 1, "x"), 0), SWIM_KV_FULL);
    assert_int_equal(store->n_refused, 1);
    /* What is there may still change, and what is over makes room. */
    assert_int_equal(swim_kv_store_take(store, live(&made, 5, 2, "x"), 0), SWIM_KV_TAKEN);
    assert_int_equal(swim_kv_store_take(store, live(&made, SWIM_KV_MAX, 1, "x"), LATER),
                     SWIM_KV_TAKEN);
    assert_int_equal(store->n, 2);
    assert_int_equal(store->n_queued, 2);
    assert_int_equal(store->n_changed, 2);
    assert_int_equal(store->heap_bytes, before + 2 * (sizeof(struct swim_kv_entry) + 1));
    swim_kv_store_free(store);
}

static void impossible_records_are_refused(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;

    (void)state;
    (void)live(&made, 1, 1, "x");
    made.kv.n_value = SWIM_KV_VALUE_MAX + 1;
    assert_int_equal(swim_kv_store_take(store, &made.kv, 0), SWIM_KV_TOO_LONG);
    (void)live(&made, 1, 1, "1234567");
    made.kv.flags = SWIM_KV_DELETED;
    assert_int_equal(swim_kv_store_take(store, &made.kv, 0), SWIM_KV_BAD);
    made.kv = (struct swim_kv){.version = 1}; /* no value at all */
    assert_int_equal(swim_kv_store_take(store, &made.kv, 0), SWIM_KV_TAKEN);
    mem_fail_after(1);
    assert_int_equal(swim_kv_store_take(store, live(&made, 1, 1, "x"), 0), SWIM_KV_FULL);
    mem_fail_after(0);
    assert_int_equal(store->n, 1);
    swim_kv_store_free(store);
}

/* ---- what changed, what is told ---- */

static void each_change_is_shown_once(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;
    struct swim_kv kv;
    uint32_t seen = 0;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        (void)swim_kv_store_take(store, live(&made, i, 1, "x"), 0);
        (void)swim_kv_store_take(store, live(&made, i, 2, "y"), 0);
    }
    /* One that changes all the time hides no other. */
    for (uint32_t i = 0; i < 20 && swim_kv_store_next_change(store, &kv); i++) {
        seen |= 1u << kv.key[15];
        assert_int_equal(kv.value[0], 'y');
        (void)swim_kv_store_take(store, live(&made, 0, 3 + i, "y"), 0);
    }
    assert_int_equal(seen, (1u << 10) - 1);
    while (swim_kv_store_next_change(store, &kv)) {
        assert_int_equal(kv.key[15], 0);
    }
    assert_false(swim_kv_store_next_change(store, &kv));
    swim_kv_store_free(store);
}

static uint32_t tell(struct swim_kv_store *store, size_t room, uint32_t most)
{
    uint32_t n = 0;

    swim_kv_store_begin_message(store);
    while (swim_kv_store_rumor(store, room, most) != NULL) {
        n++;
        assert_in_range(n, 1, SWIM_KV_MAX);
    }
    return n;
}

static void a_record_is_told_so_many_times_once_a_message(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;

    (void)state;
    (void)swim_kv_store_take(store, live(&made, 1, 1, "one"), 0);
    (void)swim_kv_store_take(store, live(&made, 2, 1, "two"), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(tell(store, 100, 5), 2);
    }
    (void)swim_kv_store_take(store, live(&made, 1, 2, "new"), 0);
    assert_int_equal(tell(store, 100, 5), 2);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(tell(store, 100, 5), 1); /* the new one goes on */
    }
    assert_int_equal(tell(store, 100, 5), 0);
    assert_int_equal(store->n_queued, 0);
    swim_kv_store_free(store);
}

static void the_least_told_goes_first_and_what_fits(void **state)
{
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;

    (void)state;
    (void)swim_kv_store_take(store, live(&made, 1, 1, "a long one"), 0);
    assert_int_equal(tell(store, 100, 5), 1);
    (void)swim_kv_store_take(store, live(&made, 2, 1, "b"), 0);
    swim_kv_store_begin_message(store);
    assert_int_equal(swim_kv_store_rumor(store, 100, 5)->value[0], 'b');
    assert_null(swim_kv_store_rumor(store, 9, 5));
    assert_int_equal(swim_kv_store_rumor(store, 10, 5)->value[0], 'a');
    assert_null(swim_kv_store_rumor(store, 100, 5));
    swim_kv_store_free(store);
}

/* ---- anti-entropy ---- */

static void bring(struct swim_kv_store *to, const struct swim_kv_store *from,
                  const struct swim_kv_keys *keys)
{
    for (uint32_t i = 0; i < keys->n; i++) {
        const struct swim_kv *kv = swim_kv_store_get(from, keys->keys[i]);
        assert_non_null(kv);
        (void)swim_kv_store_take(to, kv, 0);
    }
}

/* What WANTED makes of the keys, in as many messages as it takes. */
static void ask(struct swim_kv_store *asker, const struct swim_kv_store *asked,
                const struct swim_kv_keys *want)
{
    static struct swim_kv_keys brought, none;
    uint8_t bytes[DATAGRAM];

    for (uint32_t at = 0; at < want->n;) {
        uint32_t n = want->n - at;
        size_t length = swim_kv_store_write_wanted(asker, want->keys + at, &n, bytes, sizeof bytes);
        assert_true(n > 0);
        assert_true(swim_kv_store_compare(asked, bytes, length, &brought, &none));
        bring(asker, asked, &brought);
        at += n;
    }
}

/* One exchange as the core does it, `a` having seen that they differ; records that travelled. */
static uint32_t exchange(struct swim_kv_store *a, struct swim_kv_store *b)
{
    static struct swim_kv_keys brought, wanted;
    uint8_t bytes[DATAGRAM];
    uint32_t travelled = 0;
    uint64_t differing = swim_kv_store_differing(b, bytes, swim_kv_store_write_sums(a, bytes));

    for (uint32_t at = 0; differing != 0 && at < b->n + (b->n == 0);) {
        size_t length = swim_kv_store_write_list(b, differing, &at, bytes, sizeof bytes);
        assert_in_range(length, SWIM_KV_LIST_HEAD, DATAGRAM);
        assert_true(swim_kv_store_compare(a, bytes, length, &brought, &wanted));
        travelled += brought.n + wanted.n;
        ask(a, b, &wanted);
        bring(b, a, &brought);
        if (b->n == brought.n) {
            break; /* it was empty */
        }
    }
    return travelled;
}

static void two_tables_become_one(void **state)
{
    (void)state;
    random_state = 5;
    for (uint32_t run = 0; run < 60; run++) {
        struct swim_kv_store *a = swim_kv_store_new(), *b = swim_kv_store_new();
        uint32_t n = draw(400), apart = 0;
        struct made made;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t where = draw(20);
            (void)live(&made, draw(100000), draw(3), "x");
            apart += where < 2;
            (void)(where != 0 ? swim_kv_store_take(a, &made.kv, 0) : SWIM_KV_OLD);
            (void)(where != 1 ? swim_kv_store_take(b, &made.kv, 0) : SWIM_KV_OLD);
        }
        for (uint32_t i = 0; i < 10 && a->n > 0; i++) { /* deleted here, and changed there */
            const struct swim_kv *kv = &a->entries[draw(a->n)]->kv;
            uint32_t key = __builtin_bswap32(get_le32(kv->key + 12));
            (void)swim_kv_store_take(a, tombstone(&made, key, 4 + draw(2), LATER), 0);
            (void)swim_kv_store_take(b, live(&made, key, 4 + draw(2), "y"), 0);
            apart += 2;
        }
        /* A list may bring what the next piece of it is about: twice at the most. */
        uint32_t travelled = exchange(a, b) + exchange(a, b);
        assert_int_equal(swim_kv_store_hash(a), swim_kv_store_hash(b));
        assert_in_range(travelled, 0, 2 * apart);
        swim_kv_store_free(a);
        swim_kv_store_free(b);
    }
}

static void everything_goes_to_an_empty_table_and_from_it(void **state)
{
    struct swim_kv_store *full = swim_kv_store_new(), *empty = swim_kv_store_new();
    struct swim_kv_store *other = swim_kv_store_new();
    struct made made;

    (void)state;
    for (uint32_t i = 0; i < SWIM_KV_MAX; i++) {
        (void)swim_kv_store_take(full, live(&made, i * 77, 1, "x"), 0);
    }
    assert_int_equal(exchange(empty, full), SWIM_KV_MAX);
    assert_true(is_same(full, empty));
    assert_int_equal(exchange(full, other), SWIM_KV_MAX);
    assert_true(is_same(full, other));
    assert_int_equal(exchange(full, other), 0);
    swim_kv_store_free(full);
    swim_kv_store_free(empty);
    swim_kv_store_free(other);
}

static void tombstones_of_nothing_do_not_travel(void **state)
{
    static struct swim_kv_keys brought, wanted;
    struct swim_kv_store *graves = swim_kv_store_new(), *empty = swim_kv_store_new();
    struct made made;
    uint8_t bytes[DATAGRAM];
    uint32_t at = 0;

    (void)state;
    (void)swim_kv_store_take(graves, tombstone(&made, 1, 5, LATER), 0);
    size_t n = swim_kv_store_write_list(graves, UINT64_MAX, &at, bytes, sizeof bytes);
    assert_true(swim_kv_store_compare(empty, bytes, n, &brought, &wanted));
    assert_int_equal(brought.n + wanted.n, 0);
    at = 0;
    n = swim_kv_store_write_list(empty, UINT64_MAX, &at, bytes, sizeof bytes);
    assert_true(swim_kv_store_compare(graves, bytes, n, &brought, &wanted));
    assert_int_equal(brought.n + wanted.n, 0);
    swim_kv_store_free(graves);
    swim_kv_store_free(empty);
}

static void damaged_lists_are_refused(void **state)
{
    static struct swim_kv_keys brought, wanted;
    struct swim_kv_store *store = swim_kv_store_new();
    struct made made;
    uint8_t bytes[DATAGRAM], broken[DATAGRAM];
    uint32_t at = 0;

    (void)state;
    for (uint32_t i = 1; i < 9; i++) {
        (void)swim_kv_store_take(store, live(&made, i, 1, "x"), 0);
    }
    size_t n = swim_kv_store_write_list(store, UINT64_MAX, &at, bytes, sizeof bytes);
    assert_true(swim_kv_store_compare(store, bytes, n, &brought, &wanted));
    assert_int_equal(brought.n + wanted.n, 0);
    for (size_t length = 0; length < n; length++) {
        bool is_whole =
            length >= SWIM_KV_LIST_HEAD && (length - SWIM_KV_LIST_HEAD) % SWIM_KV_ENTRY == 0;
        assert_int_equal(swim_kv_store_compare(store, bytes, length, &brought, &wanted), is_whole);
    }
    memcpy(broken, bytes, n);
    memcpy(broken + SWIM_KV_LIST_HEAD, bytes + SWIM_KV_LIST_HEAD + SWIM_KV_ENTRY, SWIM_KV_ENTRY);
    assert_false(swim_kv_store_compare(store, broken, n, &brought, &wanted)); /* twice the same */
    memcpy(broken, bytes, n);
    broken[1] = 0; /* ends at key 0 */
    assert_false(swim_kv_store_compare(store, broken, n, &brought, &wanted));
    random_state = 9;
    for (uint32_t i = 0; i < 20000; i++) {
        memcpy(broken, bytes, n);
        broken[draw((uint32_t)n)] = (uint8_t)draw(256);
        broken[draw(3)] = (uint8_t)draw(4);
        (void)swim_kv_store_compare(store, broken, draw((uint32_t)n + 1), &brought, &wanted);
        assert_true(brought.n <= SWIM_KV_MAX && wanted.n <= SWIM_KV_MAX);
    }
    assert_int_equal(swim_kv_store_differing(store, bytes, n), 0);
    swim_kv_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_higher_version_stays),
        cmocka_unit_test(any_order_of_any_duplicates_ends_the_same),
        cmocka_unit_test(a_tombstone_keeps_out_what_is_older_until_its_time),
        cmocka_unit_test(the_equal_version_of_a_tombstone_wins),
        cmocka_unit_test(forgetting_a_tombstone_changes_no_hash),
        cmocka_unit_test(each_tombstone_has_its_own_time),
        cmocka_unit_test(a_full_table_refuses_and_counts),
        cmocka_unit_test(impossible_records_are_refused),
        cmocka_unit_test(each_change_is_shown_once),
        cmocka_unit_test(a_record_is_told_so_many_times_once_a_message),
        cmocka_unit_test(the_least_told_goes_first_and_what_fits),
        cmocka_unit_test(two_tables_become_one),
        cmocka_unit_test(everything_goes_to_an_empty_table_and_from_it),
        cmocka_unit_test(tombstones_of_nothing_do_not_travel),
        cmocka_unit_test(damaged_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
