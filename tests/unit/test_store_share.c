/* SPDX-License-Identifier: Apache-2.0
 *
 * Several sessions written at once by one process: each with a share of the one handle that holds
 * the writer's lock.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/rekey.h"
#include "shared/store/retention.h"
#include "shared/store/scan.h"

#define WRITERS 4
#define PACKETS 20000u
#define QUOTA   (16u * 1024 * 1024)

static struct store *share_of(struct store *store, enum store_mode mode)
{
    struct store *share = NULL;
    struct err err = {0};
    int r = store_share(store, mode, &share, &err);

    if (r != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(r, 0);
    return share;
}

struct writing {
    struct store *parent;
    uint32_t first;
    uint64_t quota;
    char id[STORE_ID_TEXT];
    pthread_t thread;
};

static void *write_one(void *arg)
{
    struct writing *w = arg;
    struct store *share = share_of(w->parent, STORE_WRITE);
    struct consumer *c = begin(share, "one", w->quota, w->id);

    for (uint32_t n = 0; n < PACKETS; n += 500) {
        put_block(c, w->first + n, w->first + n + 500);
    }
    finish(c, PACKETS);
    store_close(share);
    return NULL;
}

/* The packets of a session are the numbers from first on, all of them and in order. */
static void assert_holds(struct store *store, const char *id, uint32_t first, uint32_t n)
{
    struct store_session *session = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};

    assert_int_equal(store_session_find(store, id, &session, &err), 0);
    assert_int_equal(session->state, STORE_COMPLETE);
    const struct scan_spec spec = {.sessions = session, .n = 1, .to_ns = UINT64_MAX};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(scan_next(scan, &packet, &err), 1);
        assert_int_equal(packet.view.time_ns, time_of(first + i));
    }
    assert_int_equal(scan_next(scan, &packet, &err), 0);
    scan_free(scan);
    store_sessions_free(session, 1);
}

static void write_at_once(const char *key)
{
    struct place p;
    struct writing w[WRITERS];

    place_init(&p, key);
    struct store *store = open_store(&p, STORE_CREATE);
    for (uint32_t i = 0; i < WRITERS; i++) {
        w[i] = (struct writing){.parent = store, .first = i * PACKETS};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_one, &w[i]), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
    }
    struct store *reader = share_of(store, STORE_READ);
    struct store *resting = open_store(&p, STORE_READ);
    store_rest(resting);
    store_close(reader);
    reader = share_of(resting, STORE_READ);
    store_close(resting);
    for (uint32_t i = 0; i < WRITERS; i++) {
        assert_holds(reader, w[i].id, i * PACKETS, PACKETS);
    }
    store_close(store);
    store_close(reader);
    place_deinit(&p);
}

static void sessions_written_at_once_are_each_whole(void **state)
{
    (void)state;
    write_at_once(NULL);
}

static void and_when_they_are_sealed(void **state)
{
    (void)state;
#if PR_SQLCIPHER
    write_at_once(RAW_KEY);
#else
    skip();
#endif
}

static bool has_reserve(const struct place *p)
{
    char path[160];
    struct stat st;

    snprintf(path, sizeof path, "%s.d/reserve", p->db);
    return stat(path, &st) == 0;
}

static enum store_state state_of(const struct place *p, const char *id)
{
    struct store *reader = open_store(p, STORE_READ);
    struct store_session *session = NULL;
    struct err err = {0};

    assert_int_equal(store_session_find(reader, id, &session, &err), 0);
    enum store_state s = session->state;
    store_sessions_free(session, 1);
    store_close(reader);
    return s;
}

static void a_session_that_runs_is_left_alone_by_one_that_ends(void **state)
{
    struct place p;
    char a[STORE_ID_TEXT];
    char b[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct store *share_a = share_of(store, STORE_WRITE);
    struct store *share_b = share_of(store, STORE_WRITE);
    struct consumer *ca = begin(share_a, "a", 0, a);
    struct consumer *cb = begin(share_b, "b", 0, b);
    put_block(ca, 0, 100);
    put_block(cb, 100, 200);
    finish(cb, 100);
    store_close(share_b);
    assert_true(has_reserve(&p));
    assert_int_equal(state_of(&p, a), STORE_RUNNING);
    assert_int_equal(state_of(&p, b), STORE_COMPLETE);
    struct store *share_c = share_of(store, STORE_WRITE);
    assert_int_equal(state_of(&p, a), STORE_RUNNING);
    store_close(share_c);
    put_block(ca, 200, 300);
    finish(ca, 200);
    assert_false(has_reserve(&p));
    store_close(share_a);
    store_close(store);
    assert_int_equal(state_of(&p, a), STORE_COMPLETE);
    place_deinit(&p);
}

/* Locks of this process on the catalogue, by proc(5): "1: POSIX ADVISORY READ PID MAJ:MIN:INODE …"
 */
static unsigned locks_on(const char *path)
{
    struct stat st;
    char line[256];
    char inode[32];
    char pid[32];
    unsigned n = 0;
    FILE *f = fopen("/proc/locks", "r");

    assert_non_null(f);
    assert_int_equal(stat(path, &st), 0);
    snprintf(inode, sizeof inode, ":%llu ", (unsigned long long)st.st_ino);
    snprintf(pid, sizeof pid, " %d ", (int)getpid());
    while (fgets(line, sizeof line, f) != NULL) {
        n += strstr(line, "POSIX") != NULL && strstr(line, inode) != NULL &&
             strstr(line, pid) != NULL;
    }
    fclose(f);
    return n;
}

/* Without it another program that reads takes itself for the last one and removes the log that we
 * write to. */
static void the_lock_on_the_catalogue_outlives_further_handles(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct store *first = share_of(store, STORE_WRITE);
    struct consumer *c = begin(first, "a", 0, id);
    assert_true(locks_on(p.db) > 0);
    store_close(share_of(store, STORE_WRITE));
    store_close(open_store(&p, STORE_READ));
    assert_true(locks_on(p.db) > 0);
    put_block(c, 0, 10);
    finish(c, 10);
    assert_true(locks_on(p.db) > 0);
    store_close(first);
    store_close(store);
    place_deinit(&p);
}

static void after_a_crash_all_that_ran_are_recovered(void **state)
{
    struct place p;
    char id[2][STORE_ID_TEXT];
    struct consumer *c[2];
    struct store *share[2];

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    for (uint32_t i = 0; i < 2; i++) {
        share[i] = share_of(store, STORE_WRITE);
        c[i] = begin(share[i], "x", 0, id[i]);
        put_block(c[i], i * 10000, i * 10000 + 5000);
        struct err err = {0};
        assert_int_equal(c[i]->ops->tick(c[i], clock_monotonic_ns() + 10000000000u, &err), 0);
        struct store_writer_stats stats = {0};
        while (stats.packets < 5000) { /* the frame is made on another thread */
            c[i]->ops->tick(c[i], clock_monotonic_ns(), &err);
            store_writer_stats(c[i], &stats);
        }
    }
    for (uint32_t i = 0; i < 2; i++) { /* without finish, as a killed process would */
        store_writer_free(c[i]);
        store_close(share[i]);
    }
    store_close(store);
    store_close(open_store(&p, STORE_WRITE));
    assert_int_equal(state_of(&p, id[0]), STORE_RECOVERED);
    assert_int_equal(state_of(&p, id[1]), STORE_RECOVERED);
    place_deinit(&p);
}

/* Blocks of packets that do not shrink. */
static void put_noise(struct consumer *c, uint32_t n_blocks)
{
    static uint8_t noise[60000];
    uint32_t x = 12345;

    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (uint8_t)(x >> 24);
    }
    for (uint32_t i = 0; i < n_blocks; i++) {
        struct block *block = block_new(BLOCK_BYTES_DEFAULT);
        struct consumer_load load = {.limit = 8, .may_wait = false};
        struct packet_view p = {
            .time_ns = time_of(i), .data = noise, .caplen = sizeof noise, .len = sizeof noise};
        struct err err = {0};
        while (block_append(block, &p)) {
        }
        assert_int_equal(c->ops->block(c, block, &load, &err), 0);
        block_unref(block);
    }
}

static void a_quota_takes_the_oldest_but_never_the_running_session_itself(void **state)
{
    struct place p;
    char quiet[STORE_ID_TEXT];
    char busy[STORE_ID_TEXT];
    struct err err = {0};
    struct store_session *session = NULL;

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct store *share_a = share_of(store, STORE_WRITE);
    struct store *share_b = share_of(store, STORE_WRITE);
    struct consumer *ca = begin(share_a, "quiet", QUOTA, quiet);
    put_noise(ca, 10); /* closed segments, the oldest of the store */
    struct consumer *cb = begin(share_b, "busy", QUOTA, busy);
    put_noise(cb, 200);
    assert_true(store_disk_bytes(store) <= QUOTA);
    put_noise(ca, 2);
    finish(cb, 1);
    finish(ca, 1);
    struct store *reader = share_of(store, STORE_READ);
    assert_int_equal(store_session_find(reader, quiet, &session, &err), 0);
    assert_true(session->packets > 0); /* what came after its older ones had gone */
    assert_int_equal(session->state, STORE_COMPLETE);
    assert_int_equal(session->n_ifaces, 1);
    store_sessions_free(session, 1);
    store_close(reader);
    store_close(share_a);
    store_close(share_b);
    store_close(store);
    place_deinit(&p);
}

static void under_a_quota_many_writers_delete_without_a_trace(void **state)
{
    struct place p;
    struct writing w[WRITERS];
    struct err err = {0};
    struct store_session *list = NULL;
    size_t n = 0;
    uint64_t named = 0;

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    for (uint32_t i = 0; i < WRITERS; i++) {
        w[i] = (struct writing){.parent = store, .first = i * PACKETS, .quota = STORE_QUOTA_MIN};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_one, &w[i]), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
    }
    struct store *share = share_of(store, STORE_WRITE);
    struct consumer *c = begin(share, "last", STORE_QUOTA_MIN, w[0].id);
    put_noise(c, 40);
    finish(c, 1);
    /* Every file is in the catalogue: nobody forgot what another had doomed. */
    assert_int_equal(store_sessions(share, &list, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        named += list[i].stored_bytes;
    }
    store_sessions_free(list, n);
    assert_true(store_disk_bytes(store) < named + 3u * 1024 * 1024);
    assert_true(store_disk_bytes(store) <= STORE_QUOTA_MIN);
    store_close(share);
    store_close(store);
    place_deinit(&p);
}

static void a_share_of_a_store_that_got_another_key_is_refused(void **state)
{
#if PR_SQLCIPHER
    struct place p;
    struct store *share = NULL;
    struct store_key *fresh = NULL;
    uint64_t segments = 0;
    struct err err = {0};
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&p, RAW_KEY);
    write_session(&p, "s", 0, 10, id);
    struct store *reader = open_store(&p, STORE_READ);
    store_rest(reader);
    struct store *writer = open_store(&p, STORE_WRITE);
    assert_int_equal(
        store_key_from_text("prd_AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", &fresh, &err), 0);
    assert_int_equal(store_rekey(writer, fresh, &segments, &err), 0);
    store_close(writer);
    assert_int_equal(store_share(reader, STORE_READ, &share, &err), ERR_KEY);
    store_close(reader);
    store_key_free(fresh);
    place_deinit(&p);
#else
    (void)state;
    skip();
#endif
}

static void write_excluding(const struct place *p, char *id)
{
    struct store *store = open_store(p, STORE_CREATE);
    struct store_session_spec spec = {.started_ns = clock_wall_ns(),
                                      .filter = "udp",
                                      .excluded = "host 10.0.0.1 and tcp port 8080"};
    struct iface f = ethernet("eth0");
    struct consumer *c = NULL;
    struct err err = {0};

    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    put_block(c, 0, 10);
    finish(c, 10);
    store_close(store);
}

static void assert_excluded(const struct place *p, const char *id, const char *expected)
{
    struct store *store = open_store(p, STORE_READ);
    struct store_session *session = NULL;
    struct err err = {0};

    assert_int_equal(store_session_find(store, id, &session, &err), 0);
    assert_string_equal(session->excluded, expected);
    store_sessions_free(session, 1);
    store_close(store);
}

static void run_sql(const struct place *p, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void what_was_excluded_is_kept_also_when_the_catalogue_is_lost(void **state)
{
    static const char expression[] = "host 10.0.0.1 and tcp port 8080";
    struct place p;
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    write_excluding(&p, id);
    assert_excluded(&p, id, expression);
    unlink(p.db);
    assert_excluded(&p, id, expression);
    place_deinit(&p);
}

static void why_a_capture_failed_is_kept(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *session = NULL;
    size_t n = 0;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "other", 0, 10, id);
    write_session(&p, "one", 0, 10, id);
    run_sql(&p, "ALTER TABLE session DROP COLUMN error"); /* of a version from before */
    struct store *store = open_store(&p, STORE_WRITE);
    assert_int_equal(store_session_failed(store, id, "eth0 is gone", NULL), 0);
    store_close(store);
    store = open_store(&p, STORE_READ);
    assert_int_equal(store_sessions(store, &session, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(session[0].error, "");
    store_close(store);
    store_sessions_free(session, n);
    store = open_store(&p, STORE_CREATE);
    assert_int_equal(store_session_failed(store, id, "eth0 is gone", NULL), 0);
    assert_int_equal(store_sessions(store, &session, &n, NULL), 0);
    assert_string_equal(session[0].error, "");
    assert_string_equal(session[1].error, "eth0 is gone");
    store_sessions_free(session, n);
    store_close(store);
    place_deinit(&p);
}

static void a_store_from_before_is_read_and_written_on(void **state)
{
    struct place p;
    char old[STORE_ID_TEXT];
    char fresh[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "old", 0, 10, old);
    run_sql(&p, "ALTER TABLE session DROP COLUMN excluded");
    assert_excluded(&p, old, "");
    write_excluding(&p, fresh);
    assert_excluded(&p, old, "");
    assert_excluded(&p, fresh, "host 10.0.0.1 and tcp port 8080");
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_written_at_once_are_each_whole),
        cmocka_unit_test(and_when_they_are_sealed),
        cmocka_unit_test(a_session_that_runs_is_left_alone_by_one_that_ends),
        cmocka_unit_test(the_lock_on_the_catalogue_outlives_further_handles),
        cmocka_unit_test(after_a_crash_all_that_ran_are_recovered),
        cmocka_unit_test(a_quota_takes_the_oldest_but_never_the_running_session_itself),
        cmocka_unit_test(under_a_quota_many_writers_delete_without_a_trace),
        cmocka_unit_test(a_share_of_a_store_that_got_another_key_is_refused),
        cmocka_unit_test(what_was_excluded_is_kept_also_when_the_catalogue_is_lost),
        cmocka_unit_test(why_a_capture_failed_is_kept),
        cmocka_unit_test(a_store_from_before_is_read_and_written_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
