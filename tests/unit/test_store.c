/* SPDX-License-Identifier: Apache-2.0
 *
 * A store from the outside: what the writer took, a scan gives back. Real files in a directory of
 * its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/scan.h"
#include "tests/support/store_place.h"

static uint64_t count(struct store *store, const char *filter, bool time_order,
                      uint64_t *candidates)
{
    struct store_session *list = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};
    size_t n = 0;
    uint64_t found = 0;
    uint64_t all;
    uint64_t last = 0;
    int r;

    assert_int_equal(store_sessions(store, &list, &n, &err), 0);
    struct scan_spec spec = {
        .sessions = list, .n = n, .to_ns = UINT64_MAX, .filter = filter, .time_order = time_order};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    while ((r = scan_next(scan, &packet, &err)) > 0) {
        assert_true(!time_order || packet.view.time_ns >= last);
        last = packet.view.time_ns;
        found++;
    }
    assert_int_equal(r, 0);
    assert_int_equal(scan_damage(scan)->frames, 0);
    if (candidates != NULL) {
        scan_frames(scan, &all, candidates);
    }
    scan_free(scan);
    store_sessions_free(list, n);
    return found;
}

static void gives_back(const char *key)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct err err = {0};

    place_init(&p, key);
    write_session(&p, "first", 0, 50000, id);
    struct store *store = open_store(&p, STORE_READ);
    struct store_session *s = NULL;
    assert_int_equal(store_session_find(store, "first", &s, &err), 0);
    assert_string_equal(s->id, id);
    assert_int_equal(s->packets, 50000);
    assert_int_equal(s->state, STORE_COMPLETE);
    assert_string_equal(s->tags, "{\"k\":\"v\"}");
    assert_int_equal(s->first_ns, time_of(0));
    assert_int_equal(s->last_ns, time_of(49999));
    assert_int_equal(s->loss.kernel, LEDGER_UNKNOWN);
    assert_int_equal(s->n_ifaces, 1);
    store_sessions_free(s, 1);

    struct scan_packet packet;
    struct scan *scan = NULL;
    uint8_t bytes[256];
    assert_int_equal(store_session_find(store, "last", &s, &err), 0);
    struct scan_spec spec = {.sessions = s, .n = 1, .to_ns = UINT64_MAX};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    for (uint32_t n = 0; n < 50000; n++) {
        assert_int_equal(scan_next(scan, &packet, &err), 1);
        assert_int_equal(packet.number, n + 1);
        assert_int_equal(packet.view.time_ns, time_of(n));
        assert_int_equal(packet.view.caplen, make_packet(bytes, n));
        assert_memory_equal(packet.view.data, bytes, packet.view.caplen);
    }
    assert_int_equal(scan_next(scan, &packet, &err), 0);
    scan_free(scan);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    gives_back(NULL);
}

#if PR_SQLCIPHER
static void what_was_sealed_is_read_back(void **state)
{
    (void)state;
    gives_back(RAW_KEY);
}

static void no_file_of_a_sealed_store_holds_plain_text(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    char command[256];

    (void)state;
    place_init(&p, RAW_KEY);
    write_session(&p, "first", 0, 20000, id);
    snprintf(command, sizeof command, "grep -r -q -e '%s' -e eth0 -e first '%s'", PLAIN_TEXT,
             p.dir);
    assert_int_not_equal(system(command), 0);
    place_deinit(&p);
}

static void a_wrong_key_opens_nothing(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store *store = NULL;
    struct err err = {0};
    struct store_key *wrong = NULL;

    (void)state;
    place_init(&p, RAW_KEY);
    write_session(&p, "first", 0, 10, id);
    assert_int_equal(
        store_key_from_text("prd_BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", &wrong, &err), 0);
    struct store_options options = {.path = p.db, .mode = STORE_READ, .key = wrong};
    assert_int_equal(store_open(&options, &store, &err), ERR_KEY);
    options.key = NULL;
    assert_int_equal(store_open(&options, &store, &err), ERR_KEY);
    store_key_free(wrong);
    place_deinit(&p);
}
#endif

static void the_index_narrows_a_query(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    uint64_t candidates;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "first", 0, 60000, id);
    struct store *store = open_store(&p, STORE_READ);
    assert_int_equal(count(store, "src host 10.1.0.1 and udp src port 12345", false, &candidates),
                     1);
    assert_true(candidates <= 2);
    assert_int_equal(count(store, "tcp", false, &candidates), 0);
    assert_int_equal(candidates, 0);
    store_close(store);
    place_deinit(&p);
}

static void sessions_merge_in_time_order(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "odd", 0, 30000, id);
    write_session(&p, "even", 10000, 40000, id);
    write_session(&p, "late", 100000, 100010, id);
    struct store *store = open_store(&p, STORE_READ);
    assert_int_equal(count(store, NULL, true, NULL), 60010);
    store_close(store);
    place_deinit(&p);
}

/* A block whose packets lie backwards in time comes out forwards, with the numbers they have. */
static void a_frame_that_is_not_sorted_is_merged_in_time_order(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct store_session *s = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};
    uint8_t bytes[256];

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin(store, "back", 0, id);
    for (uint32_t n = 100; n-- > 0;) {
        struct packet_view view = {.time_ns = time_of(n), .data = bytes};
        view.caplen = view.len = (uint32_t)make_packet(bytes, n);
        assert_true(block_append(block, &view));
    }
    assert_int_equal(c->ops->block(c, block, &load, &err), 0);
    block_unref(block);
    finish(c, 100);
    assert_int_equal(store_session_find(store, "back", &s, &err), 0);
    struct scan_spec spec = {.sessions = s, .n = 1, .to_ns = UINT64_MAX, .time_order = true};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    for (uint32_t n = 0; n < 100; n++) {
        assert_int_equal(scan_next(scan, &packet, &err), 1);
        assert_int_equal(packet.view.time_ns, time_of(n));
        assert_int_equal(packet.number, 100 - n);
    }
    assert_int_equal(scan_next(scan, &packet, &err), 0);
    scan_free(scan);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void a_second_writer_is_refused_by_name(void **state)
{
    struct place p;
    struct store *second = NULL;
    struct err err = {0};
    char pid[16];

    (void)state;
    place_init(&p, NULL);
    struct store *first = open_store(&p, STORE_CREATE);
    struct store_options options = {.path = p.db, .mode = STORE_WRITE};
    assert_int_equal(store_open(&options, &second, &err), ERR_IN_USE);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    store_close(first);
    assert_int_equal(store_open(&options, &second, &err), 0);
    store_close(second);
    place_deinit(&p);
}

static void a_reader_sees_what_a_running_writer_committed(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct err err = {0};
    uint64_t seen = 0;

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin(store, "live", 0, id);
    put_block(c, 0, 1000);
    uint64_t until = clock_monotonic_ns() + 10000000000u;
    while (seen < 1000 && clock_monotonic_ns() < until) {
        assert_int_equal(c->ops->tick(c, clock_monotonic_ns(), &err), 0);
        struct store *reader = open_store(&p, STORE_READ);
        seen = count(reader, NULL, false, NULL);
        store_close(reader);
    }
    assert_int_equal(seen, 1000);
    put_block(c, 1000, 1500);
    finish(c, 1500);
    store_close(store);
    store = open_store(&p, STORE_READ);
    assert_int_equal(count(store, NULL, false, NULL), 1500);
    store_close(store);
    place_deinit(&p);
}

static void a_lost_catalogue_comes_back_from_the_segments(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *s = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "one", 0, 25000, id);
    write_session(&p, "two", 0, 5000, id);
    assert_int_equal(unlink(p.db), 0);
    struct store *store = open_store(&p, STORE_READ);
    assert_int_equal(count(store, NULL, false, NULL), 30000);
    assert_int_equal(store_session_find(store, "two", &s, &err), 0);
    assert_string_equal(s->id, id);
    assert_int_equal(s->state, STORE_COMPLETE);
    assert_int_equal(s->loss.captured, 5000);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void an_abandoned_session_is_recovered(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *s = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin(store, "gone", 0, id);
    for (uint32_t n = 0; n < 20000; n += 1000) {
        put_block(c, n, n + 1000);
    }
    struct store_writer_stats stats = {0};
    uint64_t until = clock_monotonic_ns() + 10000000000u;
    while (stats.packets == 0 && clock_monotonic_ns() < until) {
        assert_int_equal(c->ops->tick(c, clock_monotonic_ns() + 10000000000u, &err), 0);
        store_writer_stats(c, &stats);
    }
    store_writer_free(c); /* no finish: as after a crash, but for the lock */
    store_close(store);
    store = open_store(&p, STORE_READ);
    assert_non_null(strstr(store_repairs(store), id));
    assert_int_equal(store_session_find(store, id, &s, &err), 0);
    assert_int_equal(s->state, STORE_RECOVERED);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void deleting_frees_the_disk(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *s = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "one", 0, 60000, id);
    struct store *store = open_store(&p, STORE_WRITE);
    uint64_t before = store_disk_bytes(store);
    assert_int_equal(store_session_find(store, "one", &s, &err), 0);
    assert_true(before > s->stored_bytes);
    assert_int_equal(store_delete_session(store, s, &err), 0);
    assert_true(store_disk_bytes(store) <= before - s->stored_bytes);
    assert_int_equal(count(store, NULL, false, NULL), 0);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void a_quota_drops_the_oldest(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *s = NULL;
    struct err err = {0};
    uint64_t quota = 12u * 1024 * 1024;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "old", 0, 5000, id);
    struct store *store = open_store(&p, STORE_CREATE);
    struct store_session_spec spec = {
        .name = "ring", .compression = STORE_COMPRESS_OFF, .quota_bytes = quota};
    struct consumer *c = NULL;
    struct iface f = ethernet("eth0");
    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    for (uint32_t n = 0; n < 300000; n += 1000) {
        put_block(c, n, n + 1000);
        assert_true(store_disk_bytes(store) <= quota + 3u * 1024 * 1024);
    }
    finish(c, 300000);
    assert_int_equal(store_session_find(store, "old", &s, &err), ERR_NOT_FOUND);
    assert_int_equal(store_session_find(store, "ring", &s, &err), 0);
    assert_in_range(s->packets, 10000, 290000);
    assert_int_equal(count(store, NULL, false, NULL), s->packets);
    assert_true(store_disk_bytes(store) <= quota);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
#if PR_SQLCIPHER
        cmocka_unit_test(what_was_sealed_is_read_back),
        cmocka_unit_test(no_file_of_a_sealed_store_holds_plain_text),
        cmocka_unit_test(a_wrong_key_opens_nothing),
#endif
        cmocka_unit_test(the_index_narrows_a_query),
        cmocka_unit_test(sessions_merge_in_time_order),
        cmocka_unit_test(a_frame_that_is_not_sorted_is_merged_in_time_order),
        cmocka_unit_test(a_second_writer_is_refused_by_name),
        cmocka_unit_test(a_reader_sees_what_a_running_writer_committed),
        cmocka_unit_test(a_lost_catalogue_comes_back_from_the_segments),
        cmocka_unit_test(an_abandoned_session_is_recovered),
        cmocka_unit_test(deleting_frees_the_disk),
        cmocka_unit_test(a_quota_drops_the_oldest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
