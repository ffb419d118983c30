/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: where a store may be made, and by whom it may be read.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/store_handle.h"
#include "shared/store/verify.h"

#define ROUNDS 10
#define NOBODY 65534

struct maker {
    const struct place *place;
    pthread_barrier_t *start;
    int result;
    struct err err;
};

static void *make(void *arg)
{
    struct maker *m = arg;
    struct store *store = NULL;
    struct store_options o = {.path = m->place->db, .mode = STORE_CREATE, .key = m->place->key};

    pthread_barrier_wait(m->start);
    m->result = store_open(&o, &store, &m->err);
    store_close(store);
    return NULL;
}

static void two_that_make_the_same_store_make_one(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct place p;
        pthread_barrier_t start;
        pthread_t threads[2];
        struct maker makers[2];
#if PR_SQLCIPHER
        place_init(&p, RAW_KEY);
#else
        place_init(&p, NULL);
#endif
        pthread_barrier_init(&start, NULL, 2);
        for (int t = 0; t < 2; t++) {
            makers[t] = (struct maker){&p, &start, -1, {0}};
            assert_int_equal(pthread_create(&threads[t], NULL, make, &makers[t]), 0);
        }
        for (int t = 0; t < 2; t++) {
            pthread_join(threads[t], NULL);
            if (makers[t].result != 0 && makers[t].result != ERR_IN_USE) {
                fail_msg("%s", makers[t].err.text);
            }
        }
        assert_true(makers[0].result == 0 || makers[1].result == 0);
        store_close(open_store(&p, STORE_READ));
        pthread_barrier_destroy(&start);
        place_deinit(&p);
    }
}

static int try_open(const struct place *p, enum store_mode mode, struct err *err)
{
    struct store *store = NULL;
    struct store_options o = {.path = p->db, .mode = mode};
    int r = store_open(&o, &store, err);

    store_close(store);
    return r;
}

static void a_directory_of_something_else_stays_as_it_is(void **state)
{
    struct place p;
    char dir[128];
    char path[160];
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    snprintf(dir, sizeof dir, "%s.d", p.db);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(try_open(&p, STORE_READ, &err), ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/lock", dir);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/logrotate.conf", dir);
    close(open(path, O_WRONLY | O_CREAT, 0644));
    assert_int_equal(try_open(&p, STORE_CREATE, &err), ERR_NOT_A_STORE);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/node", dir); /* a node's state, which is there first */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_open(&p, STORE_CREATE, &err), 0);
    place_deinit(&p);
}

static void let_all_read(const struct place *p)
{
    char command[300];

    snprintf(command, sizeof command, "chmod -R a+rX '%s'", p->dir);
    assert_int_equal(system(command), 0);
}

/* Who may only read sees what is in the catalogue's log, or is told that it cannot. */
static void a_log_is_never_overlooked(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *list = NULL;
    struct store *reader = NULL;
    struct err err = {0};
    size_t n = 0;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    place_init(&p, NULL);
    write_session(&p, "one", 0, 10, id);
    let_all_read(&p);
    assert_int_equal(seteuid(NOBODY), 0);
    assert_int_equal(try_open(&p, STORE_READ, &err), 0);
    assert_int_equal(try_open(&p, STORE_WRITE, &err), ERR_PERMISSION);
    assert_int_equal(seteuid(0), 0);

    struct store *writer = open_store(&p, STORE_WRITE);
    struct store_session second = {.id = "01890000-0000-7000-8000-000000000001"};
    assert_int_equal(catalogue_put_session(&writer->catalogue, &second, &err), 0);
    let_all_read(&p);
    struct store_options o = {.path = p.db, .mode = STORE_READ};
    assert_int_equal(seteuid(NOBODY), 0);
    int r = store_open(&o, &reader, &err);
    if (r == 0) {
        assert_int_equal(store_sessions(reader, &list, &n, &err), 0);
        assert_int_equal(n, 2);
        store_sessions_free(list, n);
    } else {
        assert_int_equal(r, ERR_PERMISSION);
    }
    store_close(reader);
    assert_int_equal(seteuid(0), 0);
    store_close(writer);
    place_deinit(&p);
}

/* The file is a database, but its tables are not ours any more: verify can make it anew. */
static void a_catalogue_without_its_tables_is_damaged(void **state)
{
    static const char *const ways[] = {"DROP TABLE frame", "DROP TABLE session",
                                       "PRAGMA user_version=0", "PRAGMA user_version=-1"};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct place p;
        char id[STORE_ID_TEXT];
        struct verify_report report;
        struct store *store = NULL;

        place_init(&p, NULL);
        write_session(&p, "one", 0, 100, id);
        store = open_store(&p, STORE_WRITE);
        assert_int_equal(catalogue_run(&store->catalogue, &err, ways[i], ""), 0);
        store_close(store);
        store = NULL;
        struct store_options o = {.path = p.db, .mode = STORE_WRITE};
        int r = store_open(&o, &store, &err);
        if (r == 0) {
            r = store_verify(store, NULL, NULL, &report, &err);
            store_close(store);
        }
        assert_int_equal(r, ERR_DAMAGED);
        assert_int_equal(store_salvage(&o, &store, &err), 0);
        assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
        assert_int_equal(report.packets, 100);
        store_close(store);
        place_deinit(&p);
    }
}

/* Who was killed while it made the catalogue has left an empty file with a journal, or a database
 * without tables: a reader that comes next makes it, as a node does that starts again. */
static void a_catalogue_that_was_never_finished_is_made_by_who_comes_next(void **state)
{
    static const char *const never[] = {
        "DROP TABLE session", "DROP TABLE interface",  "DROP TABLE segment",     "DROP TABLE frame",
        "DROP TABLE doomed",  "PRAGMA user_version=0", "PRAGMA application_id=0"};
    char journal[160];
    struct err err = {0};

    (void)state;
    for (int empty = 0; empty < 2; empty++) {
        struct place p;
        place_init(&p, NULL);
        struct store *store = open_store(&p, STORE_CREATE);
        for (size_t i = 0; i < ARRAY_LEN(never) && !empty; i++) {
            assert_int_equal(catalogue_run(&store->catalogue, &err, never[i], ""), 0);
        }
        store_close(store);
        if (empty) {
            snprintf(journal, sizeof journal, "%s-journal", p.db);
            assert_int_equal(truncate(p.db, 0), 0);
            int fd = open(journal, O_WRONLY | O_CREAT, 0600);
            assert_int_equal(ftruncate(fd, 512), 0);
            close(fd);
        }
        assert_int_equal(try_open(&p, STORE_READ, &err), 0);
        assert_int_equal(try_open(&p, STORE_WRITE, &err), 0);
        assert_int_equal(err.code, 0);
        place_deinit(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_that_make_the_same_store_make_one),
        cmocka_unit_test(a_directory_of_something_else_stays_as_it_is),
        cmocka_unit_test(a_catalogue_without_its_tables_is_damaged),
        cmocka_unit_test(a_catalogue_that_was_never_finished_is_made_by_who_comes_next),
        cmocka_unit_test(a_log_is_never_overlooked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
