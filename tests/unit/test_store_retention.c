/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves a store: its rows, its files, and nobody else's.
 */
#include <sys/stat.h>
#include <time.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/commit.h"
#include "shared/store/retention.h"
#include "shared/store/store_handle.h"
#include "shared/store/verify.h"

static void run_sql(struct store *store, const char *sql)
{
    struct err err = {0};

    assert_int_equal(catalogue_run(&store->catalogue, &err, sql, ""), 0);
}

static int64_t ask(struct store *store, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    struct err err = {0};

    assert_int_equal(catalogue_query(&store->catalogue, &stmt, &err, sql, ""), 0);
    assert_int_equal(catalogue_step(&store->catalogue, stmt, &err), 1);
    int64_t v = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return v;
}

static bool has_segment(const struct place *p, const char *id)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof path, "%s.d/%s-000001.seg", p->db, id);
    return stat(path, &st) == 0;
}

static void delete_named(struct store *store, const char *name)
{
    struct store_session *s = NULL;
    struct err err = {0};

    assert_int_equal(store_session_find(store, name, &s, &err), 0);
    assert_int_equal(store_delete_session(store, s, &err), 0);
    store_sessions_free(s, 1);
}

static void a_deletion_that_a_crash_cut_short_is_finished(void **state)
{
    struct place p;
    char one[STORE_ID_TEXT];
    char two[STORE_ID_TEXT];
    struct verify_report report;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "one", 0, 1000, one);
    write_session(&p, "two", 0, 1000, two);
    struct store *store = open_store(&p, STORE_WRITE);
    run_sql(store, "INSERT INTO doomed SELECT file FROM segment WHERE session=1");
    run_sql(store, "DELETE FROM frame WHERE id < 2 << 32");
    run_sql(store, "DELETE FROM segment WHERE session=1");
    run_sql(store, "DELETE FROM session WHERE row=1");
    store_close(store);
    assert_true(has_segment(&p, one));
    store = open_store(&p, STORE_READ);
    store_close(store);
    assert_false(has_segment(&p, one));
    assert_true(has_segment(&p, two));
    store = open_store(&p, STORE_WRITE);
    assert_int_equal(ask(store, "SELECT count(*) FROM doomed"), 0);
    assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
    assert_int_equal(report.repaired_segments + report.damaged_frames + report.missing_segments, 0);
    assert_int_equal(report.sessions, 1);
    store_close(store);
    place_deinit(&p);
}

static void a_deleted_session_does_not_come_back(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *list = NULL;
    struct err err = {0};
    size_t n = 1;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "only", 0, 1000, id);
    struct store *store = open_store(&p, STORE_WRITE);
    run_sql(store, "INSERT INTO doomed SELECT file FROM segment");
    run_sql(store, "DELETE FROM segment");
    run_sql(store, "DELETE FROM session");
    store_close(store);
    store = open_store(&p, STORE_READ);
    assert_int_equal(store_sessions(store, &list, &n, &err), 0);
    assert_int_equal(n, 0);
    assert_false(has_segment(&p, id));
    store_sessions_free(list, n);
    store_close(store);
    place_deinit(&p);
}

static void no_file_outside_the_store_is_deleted(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    char victim[128];
    struct stat st;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "one", 0, 10, id);
    snprintf(victim, sizeof victim, "%s/victim.seg", p.dir);
    FILE *f = fopen(victim, "w");
    assert_non_null(f);
    fclose(f);
    struct store *store = open_store(&p, STORE_WRITE);
    run_sql(store, "UPDATE segment SET file='../victim.seg'");
    delete_named(store, "one");
    run_sql(store, "INSERT INTO doomed VALUES('../victim.seg')");
    store_close(store);
    store = open_store(&p, STORE_WRITE);
    assert_int_equal(ask(store, "SELECT count(*) FROM doomed"), 0);
    store_close(store);
    assert_int_equal(stat(victim, &st), 0);
    place_deinit(&p);
}

static void the_catalogue_gives_its_pages_back(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "one", 0, 1000, id);
    struct store *store = open_store(&p, STORE_WRITE);
    for (uint32_t i = 100; i < 200; i++) {
        struct catalogue_frame f = {
            .number = i, .bloom = (const uint8_t[9000]){1}, .bloom_n = 9000};
        assert_int_equal(catalogue_put_frame(&store->catalogue, 1, &f, &err), 0);
    }
    assert_true(ask(store, "PRAGMA page_count") > 200);
    delete_named(store, "one");
    assert_true(ask(store, "PRAGMA page_count") < 40);
    assert_int_equal(ask(store, "PRAGMA freelist_count"), 0);
    store_close(store);
    place_deinit(&p);
}

static void a_wish_for_room_comes_after_what_was_told(void **state)
{
    struct place p;
    struct store_session session = {.id = "01890000-0000-7000-8000-000000000001"};
    struct commit *c = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    assert_int_equal(commit_new(store, &session, 0, &c, &err), 0);
    for (uint32_t i = 1; i <= 20; i++) {
        struct open_segment *s = x_alloc(sizeof *s);
        assert_int_equal(segment_file_create(store, session.id, i, 1, NULL, &s->file, &err), 0);
        commit_open_segment(c, s);
        commit_state(c, i % 2 == 0 ? STORE_RUNNING : STORE_DISK_FULL);
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL); /* it is at work on the opening */
        commit_close_segment(c, s);
        assert_int_equal(commit_make_room(c, 1, &err), 0);
        assert_int_equal(ask(store, "SELECT count(*) FROM segment"), 0);
    }
    session.state = STORE_COMPLETE;
    assert_int_equal(commit_finish(c, &session, &err), 0);
    commit_free(c);
    store_close(store);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deletion_that_a_crash_cut_short_is_finished),
        cmocka_unit_test(a_deleted_session_does_not_come_back),
        cmocka_unit_test(no_file_outside_the_store_is_deleted),
        cmocka_unit_test(the_catalogue_gives_its_pages_back),
        cmocka_unit_test(a_wish_for_room_comes_after_what_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
