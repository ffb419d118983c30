/* SPDX-License-Identifier: Apache-2.0
 *
 * A catalogue that says other things than the segments: what verify makes of it. The segments are
 * whole in all of these; test_store_damage has the others.
 */
#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/scan.h"
#include "shared/store/store_handle.h"
#include "shared/store/verify.h"

/* A macro, since clang takes two literals in an array for a forgotten comma. */
#define FRAME_AGAIN                                                                                \
    ("INSERT INTO frame SELECT id+77, offset, stored, raw, packets, first_number, packet_bytes, "  \
     "min_time, max_time, bloom FROM frame LIMIT 1")

#define PACKETS 30000

static struct verify_report report;

static void run_sql(const struct place *p, const char *sql)
{
    struct store *store = open_store(p, STORE_WRITE);
    struct err err = {0};
    int r = catalogue_run(&store->catalogue, &err, sql, "");

    if (r != 0) {
        print_error("%s: %s\n", sql, err.text);
    }
    assert_int_equal(r, 0);
    store_close(store);
}

static int verify(const struct place *p)
{
    struct store *store = open_store(p, STORE_WRITE);
    struct err err = {0};
    int r = store_verify(store, NULL, NULL, &report, &err);

    store_close(store);
    return r;
}

static void make(struct place *p, const char *key)
{
    char id[STORE_ID_TEXT];

    place_init(p, key);
    write_session(p, "one", 0, PACKETS, id);
    write_session(p, "two", 0, 1000, id);
}

/* Every packet of the first session, in order, with its number; and by way of the index. */
static void check_all_there(const struct place *p)
{
    struct store *store = open_store(p, STORE_READ);
    struct store_session *s = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};
    uint64_t n = 0;

    assert_int_equal(store_session_find(store, "one", &s, &err), 0);
    assert_int_equal(s->packets, PACKETS);
    struct scan_spec spec = {.sessions = s, .n = 1, .to_ns = UINT64_MAX};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    while (scan_next(scan, &packet, &err) > 0) {
        assert_int_equal(packet.view.time_ns, time_of((uint32_t)n++));
        assert_int_equal(packet.number, n);
    }
    assert_int_equal(n, PACKETS);
    assert_int_equal(scan_damage(scan)->frames, 0);
    scan_free(scan);
    spec.filter = "udp src port 12345";
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    assert_int_equal(scan_count(scan, &n, &err), 0);
    assert_int_equal(n, 1);
    scan_free(scan);
    store_sessions_free(s, 1);
    store_close(store);
}

static void a_whole_store_is_clean(void **state)
{
    struct place p;

    (void)state;
    make(&p, NULL);
    assert_int_equal(verify(&p), 0);
    assert_int_equal(report.packets, PACKETS + 1000);
    assert_int_equal(report.sessions, 2);
    assert_int_equal(report.repaired_frames + report.repaired_segments, 0);
    assert_int_equal(report.damaged_frames + report.missing_segments, 0);
    place_deinit(&p);
}

static void rows_of_frames_follow_the_segment(void **state)
{
    static const char *const wrong[] = {
        "UPDATE frame SET offset=offset+1 WHERE rowid=(SELECT max(rowid) FROM frame)",
        "UPDATE frame SET offset=99999999 WHERE rowid=(SELECT min(rowid) FROM frame)",
        "UPDATE frame SET stored=stored+8 WHERE rowid=(SELECT min(rowid) FROM frame)",
        "UPDATE frame SET raw=raw-4",
        "UPDATE frame SET packets=packets+1 WHERE rowid=(SELECT min(rowid) FROM frame)",
        "UPDATE frame SET packets=2147483647 WHERE rowid=(SELECT min(rowid) FROM frame)",
        "UPDATE frame SET first_number=first_number+7",
        "UPDATE frame SET packet_bytes=0",
        "UPDATE frame SET min_time=min_time+1",
        "UPDATE frame SET max_time=0",
        "UPDATE frame SET bloom=zeroblob(length(bloom))",
        "DELETE FROM frame",
        "DELETE FROM frame WHERE rowid=(SELECT min(rowid) FROM frame)",
        "UPDATE frame SET id=id+1000 WHERE rowid=(SELECT max(rowid) FROM frame)",
        FRAME_AGAIN,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct place p;
        make(&p, NULL);
        run_sql(&p, wrong[i]);
        assert_int_equal(verify(&p), 0);
        if (report.repaired_frames == 0 || report.damaged_frames > 0) {
            print_error("%s\n", wrong[i]);
        }
        assert_true(report.repaired_frames > 0);
        assert_int_equal(report.damaged_frames, 0);
        assert_int_equal(report.packets, PACKETS + 1000);
        check_all_there(&p);
        assert_int_equal(verify(&p), 0);
        assert_int_equal(report.repaired_frames, 0);
        place_deinit(&p);
    }
}

static void sums_of_segments_follow_their_frames(void **state)
{
    static const char *const wrong[] = {
        "UPDATE segment SET packets=packets+1", "UPDATE segment SET packet_bytes=1",
        "UPDATE segment SET min_time=0",        "UPDATE segment SET max_time=0",
        "UPDATE segment SET bytes=bytes*2",     "UPDATE segment SET closed=0",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct place p;
        make(&p, NULL);
        run_sql(&p, wrong[i]);
        assert_int_equal(verify(&p), 0);
        assert_int_equal(report.damaged_frames, 0);
        check_all_there(&p);
        place_deinit(&p);
    }
}

/* The caller (cli/cmd_verify) makes the catalogue anew then. */
static void a_catalogue_that_is_wrong_about_more_is_called_damaged(void **state)
{
    static const char *const wrong[] = {
        "UPDATE segment SET file='x' || file WHERE row=1",
        "UPDATE segment SET id=zeroblob(16) WHERE row=1",
        "UPDATE segment SET sequence=9 WHERE row=1",
        "UPDATE segment SET first_number=2 WHERE row=1",
        "UPDATE segment SET session=77 WHERE row=1",
        "UPDATE session SET row=77 WHERE row=1",
        "UPDATE session SET id=upper(id) || 'x' WHERE row=1",
        "UPDATE session SET name='One' WHERE row=1",
        "UPDATE session SET started=started+1 WHERE row=1",
        "UPDATE session SET ended=ended+1 WHERE row=1",
        "UPDATE session SET tags='{}' WHERE row=1",
        "UPDATE session SET state=2 WHERE row=1",
        "UPDATE session SET store=5 WHERE row=1",
        "UPDATE interface SET link_type=2 WHERE session=1",
        "DELETE FROM interface WHERE session=1",
        "UPDATE segment SET session=2 WHERE row=1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct place p;
        struct store *store = NULL;
        struct err err = {0};
        make(&p, NULL);
        run_sql(&p, wrong[i]);
        int r = verify(&p);
        if (r != ERR_DAMAGED) {
            print_error("%s\n", wrong[i]);
        }
        assert_int_equal(r, ERR_DAMAGED);
        struct store_options options = {.path = p.db, .mode = STORE_WRITE};
        assert_int_equal(store_salvage(&options, &store, &err), 0);
        store_close(store);
        assert_int_equal(verify(&p), 0);
        assert_int_equal(report.repaired_frames + report.damaged_frames, 0);
        check_all_there(&p);
        place_deinit(&p);
    }
}

static void a_segment_that_the_catalogue_forgot_is_entered(void **state)
{
    struct place p;

    (void)state;
    make(&p, NULL);
    run_sql(&p, "DELETE FROM segment WHERE row=1");
    assert_int_equal(verify(&p), 0);
    assert_int_equal(report.repaired_segments, 1);
    check_all_there(&p);
    place_deinit(&p);
}

#if PR_SQLCIPHER
static void a_sealed_store_is_mended_too(void **state)
{
    struct place p;

    (void)state;
    make(&p, RAW_KEY);
    run_sql(&p, "DELETE FROM frame");
    assert_int_equal(verify(&p), 0);
    assert_true(report.repaired_frames > 0);
    check_all_there(&p);
    place_deinit(&p);
}
#endif

static void nothing_of_a_lost_session_is_left_unsaid(void **state)
{
    struct place p;
    char command[160];

    (void)state;
    make(&p, NULL);
    snprintf(command, sizeof command, "rm '%s.d'/*-000001.seg", p.db);
    assert_int_equal(system(command), 0);
    assert_int_equal(verify(&p), 0);
    assert_int_equal(report.missing_segments, 2);
    assert_int_equal(report.damaged_packets, PACKETS + 1000);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_store_is_clean),
        cmocka_unit_test(rows_of_frames_follow_the_segment),
        cmocka_unit_test(sums_of_segments_follow_their_frames),
        cmocka_unit_test(a_catalogue_that_is_wrong_about_more_is_called_damaged),
        cmocka_unit_test(a_segment_that_the_catalogue_forgot_is_entered),
#if PR_SQLCIPHER
        cmocka_unit_test(a_sealed_store_is_mended_too),
#endif
        cmocka_unit_test(nothing_of_a_lost_session_is_left_unsaid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
