/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue by itself: what is put in comes out, in the order of time, and unknown is not 0.
 */
#include "tests/support/store_place.h"

#include <fcntl.h>

#include "shared/base/mem.h"
#include "shared/store/catalogue_sqlite.h"

static void open_new(struct place *p, struct catalogue *c)
{
    struct err err = {0};

    place_init(p, NULL);
    assert_int_equal(catalogue_open(p->db, NULL, CATALOGUE_CREATE, c, &err), 0);
}

static struct store_session session_at(const char *id, uint64_t started_ns)
{
    struct store_session s = {.started_ns = started_ns, .tags = "{}", .state = STORE_COMPLETE};

    snprintf(s.id, sizeof s.id, "%s", id);
    return s;
}

static void times_are_in_order_from_1970_to_2554(void **state)
{
    static const uint64_t times[] = {
        0,
        1,
        1700000000000000000u,
        INT64_MAX,
        (uint64_t)INT64_MAX + 1,
        9300000000000000000u,
        16725225600000000000u, /* 2500 */
        UINT64_MAX - 1,
    };
    struct place p;
    struct catalogue c;
    struct err err = {0};
    struct store_session *list = NULL;
    size_t n = 0;

    (void)state;
    open_new(&p, &c);
    for (size_t i = ARRAY_LEN(times); i-- > 0;) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        struct store_session s = session_at(id, times[i]);
        s.ended_ns = times[i];
        assert_int_equal(catalogue_put_session(&c, &s, &err), 0);
    }
    assert_int_equal(catalogue_sessions(&c, 0, &list, &n, &err), 0);
    assert_int_equal(n, ARRAY_LEN(times));
    for (size_t i = 0; i < n; i++) {
        assert_true(list[i].started_ns == times[i]);
        assert_true(list[i].ended_ns == times[i]);
    }
    store_sessions_free(list, n);
    catalogue_close(&c);
    place_deinit(&p);
}

static void counters_that_are_unknown_are_not_0(void **state)
{
    struct place p;
    struct catalogue c;
    struct err err = {0};
    struct store_session *list = NULL;
    struct store_session s = session_at("a", 5);
    size_t n = 0;

    (void)state;
    open_new(&p, &c);
    s.loss = (struct ledger){.captured = 7,
                             .received = LEDGER_UNKNOWN,
                             .kernel = LEDGER_UNKNOWN,
                             .interface = 0,
                             .limit = LEDGER_UNKNOWN,
                             .store = 1ull << 60};
    assert_int_equal(catalogue_put_session(&c, &s, &err), 0);
    s.loss.limit = 3;
    s.state = STORE_DISK_FULL;
    assert_int_equal(catalogue_update_session(&c, &s, &err), 0);
    assert_int_equal(catalogue_sessions(&c, s.row, &list, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(list->state, STORE_DISK_FULL);
    assert_int_equal(list->loss.captured, 7);
    assert_true(list->loss.received == LEDGER_UNKNOWN);
    assert_true(list->loss.kernel == LEDGER_UNKNOWN);
    assert_int_equal(list->loss.interface, 0);
    assert_int_equal(list->loss.limit, 3);
    assert_true(list->loss.store == 1ull << 60);
    assert_true(list->first_ns == UINT64_MAX);
    store_sessions_free(list, n);
    catalogue_close(&c);
    place_deinit(&p);
}

static void a_session_is_the_sum_of_its_segments(void **state)
{
    struct place p;
    struct catalogue c;
    struct err err = {0};
    struct store_session *list = NULL;
    struct store_session s = session_at("a", 5);
    size_t n = 0;

    (void)state;
    open_new(&p, &c);
    assert_int_equal(catalogue_put_session(&c, &s, &err), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        struct catalogue_segment g = {.session = s.row,
                                      .sequence = i,
                                      .bytes = 100,
                                      .packets = i == 3 ? 0 : 10,
                                      .packet_bytes = 7,
                                      .min_ns = i == 3 ? UINT64_MAX : UINT64_MAX - 10 * i,
                                      .max_ns = i == 3 ? 0 : UINT64_MAX - i};
        snprintf(g.file, sizeof g.file, "a-%06u.seg", i);
        assert_int_equal(catalogue_put_segment(&c, &g, &err), 0);
    }
    assert_int_equal(catalogue_sessions(&c, 0, &list, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(list->packets, 20);
    assert_int_equal(list->bytes, 21);
    assert_int_equal(list->stored_bytes, 300);
    assert_true(list->first_ns == UINT64_MAX - 20);
    assert_true(list->last_ns == UINT64_MAX - 1);
    store_sessions_free(list, n);
    catalogue_close(&c);
    place_deinit(&p);
}

static void frames_come_in_the_order_of_their_numbers(void **state)
{
    static const uint8_t bloom[] = {1, 2, 3};
    struct place p;
    struct catalogue c;
    struct err err = {0};
    sqlite3_stmt *stmt = NULL;
    struct catalogue_frame f;

    (void)state;
    open_new(&p, &c);
    for (uint32_t i = 10; i-- > 0;) {
        f = (struct catalogue_frame){.number = i,
                                     .offset = 1000 + i,
                                     .n_packets = UINT32_MAX,
                                     .min_ns = UINT64_MAX,
                                     .bloom = bloom,
                                     .bloom_n = i % 4};
        assert_int_equal(catalogue_put_frame(&c, 3, &f, &err), 0);
        assert_int_equal(catalogue_put_frame(&c, 4, &f, &err), 0);
    }
    assert_int_equal(catalogue_delete_segment(&c, 4, &err), 0);
    assert_int_equal(catalogue_delete_frame(&c, 3, 5, &err), 0);
    assert_int_equal(catalogue_frames(&c, 3, true, &stmt, &err), 0);
    for (uint32_t i = 0; i < 10; i++) {
        if (i == 5) {
            continue;
        }
        assert_int_equal(catalogue_next_frame(&c, stmt, &f, &err), 1);
        assert_int_equal(f.number, i);
        assert_int_equal(f.offset, 1000 + i);
        assert_int_equal(f.n_packets, UINT32_MAX);
        assert_true(f.min_ns == UINT64_MAX);
        assert_int_equal(f.bloom_n, i % 4);
        assert_true(i % 4 == 0 || memcmp(f.bloom, bloom, i % 4) == 0);
    }
    assert_int_equal(catalogue_next_frame(&c, stmt, &f, &err), 0);
    sqlite3_finalize(stmt);
    catalogue_close(&c);
    place_deinit(&p);
}

static void interfaces_keep_all_that_is_known(void **state)
{
    struct place p;
    struct catalogue c;
    struct err err = {0};
    struct store_session *list = NULL;
    struct store_session s = session_at("a", 5);
    struct iface two[2] = {ethernet("eth0"), ethernet("tun0")};
    size_t n = 0;

    (void)state;
    open_new(&p, &c);
    two[0].has_mac = true;
    memcpy(two[0].mac, "\x02\0\0\0\0\x01", 6);
    two[0].speed_bps = 10000000000u;
    two[1].link_type = 101;
    snprintf(two[1].filter, sizeof two[1].filter, "udp");
    assert_int_equal(catalogue_put_session(&c, &s, &err), 0);
    assert_int_equal(catalogue_put_ifaces(&c, s.row, two, 0, 2, &err), 0);
    assert_int_equal(catalogue_sessions(&c, 0, &list, &n, &err), 0);
    assert_int_equal(list->n_ifaces, 2);
    assert_string_equal(list->ifaces[0].name, "eth0");
    assert_true(list->ifaces[0].has_mac);
    assert_memory_equal(list->ifaces[0].mac, two[0].mac, 6);
    assert_true(list->ifaces[0].speed_bps == 10000000000u);
    assert_false(list->ifaces[1].has_mac);
    assert_int_equal(list->ifaces[1].link_type, 101);
    assert_string_equal(list->ifaces[1].filter, "udp");
    store_sessions_free(list, n);
    catalogue_close(&c);
    place_deinit(&p);
}

static void set_version(const struct place *p, uint32_t version)
{
    uint8_t bytes[] = {(uint8_t)(version >> 24), (uint8_t)(version >> 16), (uint8_t)(version >> 8),
                       (uint8_t)version};
    int fd = open(p->db, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, 60), 4); /* user_version, big-endian */
    close(fd);
}

static void a_flipped_bit_is_not_a_newer_format(void **state)
{
    struct place p;
    struct catalogue c;
    struct err err = {0};

    (void)state;
    open_new(&p, &c);
    catalogue_close(&c);
    for (uint32_t bit = 0; bit < 32; bit++) {
        set_version(&p, CATALOGUE_VERSION ^ 1u << bit);
        assert_int_equal(catalogue_open(p.db, NULL, CATALOGUE_CREATE, &c, &err), ERR_DAMAGED);
    }
    set_version(&p, 2 * CATALOGUE_VERSION);
    assert_int_equal(catalogue_open(p.db, NULL, CATALOGUE_CREATE, &c, &err), ERR_VERSION);
    assert_non_null(strstr(err.text, "format 2"));
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_in_order_from_1970_to_2554),
        cmocka_unit_test(counters_that_are_unknown_are_not_0),
        cmocka_unit_test(a_session_is_the_sum_of_its_segments),
        cmocka_unit_test(frames_come_in_the_order_of_their_numbers),
        cmocka_unit_test(interfaces_keep_all_that_is_known),
        cmocka_unit_test(a_flipped_bit_is_not_a_newer_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
