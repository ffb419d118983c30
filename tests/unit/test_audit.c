/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/store/audit.h"
#include "shared/store/store_handle.h"

struct place {
    char folder[64];
    char path[96];
};

static int set_up(void **state)
{
    struct place *place = x_alloc(sizeof *place);

    snprintf(place->folder, sizeof place->folder, "/tmp/pr-audit-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/p.db", place->folder);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0); /* NOLINT: a name of ours */
    mem_free(place);
    return 0;
}

static struct store *open_store(const struct place *place, enum store_mode mode)
{
    struct store *store = NULL;
    struct err err = {0};

    if (store_open(&(struct store_options){.path = place->path, .mode = mode}, &store, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return store;
}

static struct store_audit_entry entry(unsigned number)
{
    struct store_audit_entry e = {.time_ns = UINT64_MAX - 1 - number};

    snprintf(e.who, sizeof e.who, "key pr_abcdefgh");
    snprintf(e.peer, sizeof e.peer, "10.0.0.1:40000");
    snprintf(e.method, sizeof e.method, "capture.stop");
    snprintf(e.target, sizeof e.target, "'; DROP TABLE audit; -- %u", number);
    snprintf(e.outcome, sizeof e.outcome, "ok");
    return e;
}

static void add(struct store *store, unsigned from, unsigned n)
{
    struct store_audit_entry *entries = x_alloc(n * sizeof *entries);
    struct err err = {0};

    for (unsigned i = 0; i < n; i++) {
        entries[i] = entry(from + i);
    }
    if (store_audit_add(store, entries, n, &err) < 0) {
        fail_msg("%s", err.text);
    }
    mem_free(entries);
}

static size_t count(struct store *store, size_t limit, unsigned *first)
{
    struct store_audit_entry *entries = NULL;
    struct err err = {0};
    size_t n = 0;

    assert_int_equal(store_audit_list(store, limit, &entries, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        unsigned number = (unsigned)(UINT64_MAX - 1 - entries[i].time_ns);
        struct store_audit_entry wanted = entry(number);
        assert_memory_equal(&entries[i], &wanted, sizeof wanted);
        *first = i == 0 ? number : *first;
        assert_int_equal(number, *first + i); /* oldest first, none left out */
    }
    mem_free(entries);
    return n;
}

/* In the table itself. */
static int64_t rows(struct store *store)
{
    sqlite3_stmt *stmt = NULL;

    assert_int_equal(
        catalogue_query(&store->catalogue, &stmt, NULL, "SELECT count(*) FROM audit", ""), 0);
    assert_int_equal(catalogue_step(&store->catalogue, stmt, NULL), 1);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void a_store_in_which_nothing_was_changed_has_none(void **state)
{
    struct store *store = open_store(*state, STORE_CREATE);
    unsigned first = 0;

    assert_int_equal(count(store, 10, &first), 0);
    store_close(store);
}

static void entries_come_back_the_newest_last(void **state)
{
    struct store *store = open_store(*state, STORE_CREATE);
    unsigned first = 0;

    add(store, 0, 7);
    add(store, 7, 1);
    store_close(store);
    store = open_store(*state, STORE_READ);
    assert_int_equal(count(store, 100, &first), 8);
    assert_int_equal(first, 0);
    assert_int_equal(count(store, 3, &first), 3);
    assert_int_equal(first, 5);
    assert_int_equal(count(store, 0, &first), 0);
    store_close(store);
}

static void who_looked_before_the_first_entry_sees_it(void **state)
{
    struct store *store = open_store(*state, STORE_CREATE);
    struct store *reader = open_store(*state, STORE_READ);
    unsigned first = 0;

    assert_int_equal(count(reader, 10, &first), 0);
    add(store, 0, 1);
    assert_int_equal(count(reader, 10, &first), 1);
    store_close(reader);
    store_close(store);
}

static void only_the_newest_are_kept(void **state)
{
    struct store *store = open_store(*state, STORE_CREATE);
    unsigned first = 0;

    add(store, 0, STORE_AUDIT_KEPT);
    assert_int_equal(count(store, 1000000, &first), STORE_AUDIT_KEPT);
    add(store, STORE_AUDIT_KEPT, 5);
    assert_int_equal(count(store, 1000000, &first), STORE_AUDIT_KEPT);
    assert_int_equal(first, 5);
    assert_int_equal(rows(store), STORE_AUDIT_KEPT);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_in_which_nothing_was_changed_has_none),
        TEST(entries_come_back_the_newest_last),
        TEST(who_looked_before_the_first_entry_sees_it),
        TEST(only_the_newest_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
