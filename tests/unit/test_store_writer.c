/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer when something is in its way: each packet is stored or counted as lost.
 */
#include <dirent.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/segment.h"
#include "shared/store/verify.h"

#define QUOTA (16u * 1024 * 1024)

static size_t count_segments(const struct place *p)
{
    char dir[128];
    const struct dirent *entry;
    size_t n = 0;

    snprintf(dir, sizeof dir, "%s.d", p->db);
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        n += strstr(entry->d_name, ".seg") != NULL;
    }
    closedir(d);
    return n;
}

static struct consumer *begin_raw(struct store *store, uint64_t quota, char *id)
{
    struct store_session_spec spec = {.started_ns = clock_wall_ns(),
                                      .compression = STORE_COMPRESS_OFF,
                                      .full_rule = STORE_FULL_STOP,
                                      .quota_bytes = quota};
    struct iface f = ethernet("eth0");
    struct consumer *c = NULL;
    struct err err = {0};

    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    return c;
}

/* What put_block does, but the answer is the caller's. */
static int feed(struct consumer *c, uint32_t first, uint32_t last)
{
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct err err = {0};
    uint8_t bytes[256];

    for (uint32_t n = first; n < last; n++) {
        struct packet_view p = {.time_ns = time_of(n), .data = bytes};
        p.caplen = p.len = (uint32_t)make_packet(bytes, n);
        assert_true(block_append(block, &p));
    }
    int r = c->ops->block(c, block, &load, &err);
    block_unref(block);
    return r;
}

static void what_cannot_be_written_is_counted_to_the_last_packet(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    char dir[128];
    char away[140];
    struct err err = {0};
    struct ledger total = {0};
    struct store_writer_stats stats;
    uint32_t fed = 0;
    int r = 0;

    (void)state;
    place_init(&p, NULL);
    snprintf(dir, sizeof dir, "%s.d", p.db);
    snprintf(away, sizeof away, "%s.away", dir);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin_raw(store, QUOTA, id);
    for (; fed < 20000; fed += 1000) {
        assert_int_equal(feed(c, fed, fed + 1000), 0);
    }
    assert_int_equal(rename(dir, away), 0); /* no new segment can be made */
    for (; fed < 200000 && r == 0; fed += 1000) {
        r = feed(c, fed, fed + 1000);
    }
    assert_true(r < 0);
    assert_int_equal(c->ops->finish(c, &total, 1, &total, clock_wall_ns(), &err), 0);
    store_writer_stats(c, &stats);
    assert_true(stats.packets > 0);
    assert_true(c->ops->lost(c) > 0);
    assert_int_equal(stats.packets + c->ops->lost(c), fed);
    store_writer_free(c);
    assert_int_equal(rename(away, dir), 0);
    store_close(store);
    place_deinit(&p);
}

/* A number is a nonce: each segment counts its frames from 0 without gap or repetition. */
static void check_numbers(const struct place *p, const char *name)
{
    static uint8_t bytes[8u * 1024 * 1024];
    char path[400];
    struct frame_header h;
    uint32_t number = 0;

    snprintf(path, sizeof path, "%s.d/%s", p->db, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t at = SEGMENT_HEADER_BYTES; at + SEGMENT_FRAME_BYTES <= n; number++) {
        assert_int_equal(frame_header_read(bytes + at, &h), 0);
        assert_int_equal(h.number, number);
        at += SEGMENT_FRAME_BYTES + h.stored_len;
    }
}

static void no_frame_number_stands_twice_in_a_segment(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    char dir[128];
    struct iface ifaces[40];
    const struct dirent *entry;
    struct err err = {0};

    (void)state;
#if PR_SQLCIPHER
    place_init(&p, RAW_KEY);
#else
    place_init(&p, NULL);
#endif
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin_raw(store, STORE_QUOTA_MIN, id);
    for (uint32_t n = 0; n < 40;
         n++) { /* segments roll, the oldest go, descriptions come between */
        ifaces[n] = ethernet("eth");
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(feed(c, (n * 5 + i) * 1000, (n * 5 + i + 1) * 1000), 0);
        }
        assert_int_equal(c->ops->ifaces(c, ifaces, n + 1, &err), 0);
    }
    finish(c, 200000);
    store_close(store);
    assert_true(count_segments(&p) > 2);
    snprintf(dir, sizeof dir, "%s.d", p.db);
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".seg") != NULL) {
            check_numbers(&p, entry->d_name);
        }
    }
    closedir(d);
    place_deinit(&p);
}

static void a_capture_that_did_not_start_leaves_nothing(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session *list = NULL;
    struct err err = {0};
    size_t n = 1;

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    store_writer_free(begin_raw(store, 0, id));
    assert_int_equal(store_sessions(store, &list, &n, &err), 0);
    assert_int_equal(n, 0);
    store_sessions_free(list, n);
    assert_int_equal(count_segments(&p), 0);
    store_close(store);
    store = open_store(&p, STORE_READ);
    assert_string_equal(store_repairs(store), "");
    store_close(store);
    place_deinit(&p);
}

static void an_empty_block_is_no_packet(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin_raw(store, 0, id);
    assert_int_equal(feed(c, 0, 0), 0);
    assert_int_equal(feed(c, 0, 10), 0);
    assert_int_equal(feed(c, 0, 0), 0);
    finish(c, 10);
    store_close(store);
    place_deinit(&p);
}

/* What waits to be gathered, or for the transaction, is not durable; in a second it is. */
static void packets_become_durable_while_it_records(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_writer_stats stats;
    struct err err = {0};
    uint64_t until = clock_monotonic_ns() + 10000000000ull;

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    struct consumer *c = begin_raw(store, 0, id);
    assert_int_equal(feed(c, 0, 10), 0);
    store_writer_stats(c, &stats);
    assert_int_equal(stats.durable, 0);
    while (stats.durable < 10 && clock_monotonic_ns() < until) {
        assert_int_equal(c->ops->tick(c, clock_monotonic_ns(), &err), 0);
        usleep(1000);
        store_writer_stats(c, &stats);
    }
    assert_int_equal(stats.durable, 10);
    finish(c, 10);
    store_close(store);
    place_deinit(&p);
}

static int resume(struct store *store, const char *id, const char *iface, struct consumer **c)
{
    struct store_session_spec spec = {.resume = id, .compression = STORE_COMPRESS_OFF};
    struct iface f = ethernet(iface);
    char same[STORE_ID_TEXT];
    struct err err = {0};
    int r = store_writer_new(store, &spec, c, same, &err);

    if (r == 0) {
        assert_string_equal(same, id);
        r = (*c)->ops->begin(*c, &f, 1, &err);
    }
    return r;
}

static void check_session(struct store *store, const char *id, uint64_t packets)
{
    struct store_session *session = NULL;
    struct verify_report report;
    struct err err = {0};

    assert_int_equal(store_session_find(store, id, &session, &err), 0);
    assert_int_equal(session->packets, packets);
    assert_int_equal(session->state, STORE_COMPLETE);
    assert_int_equal(session->loss.captured, packets);
    assert_int_equal(session->started_ns, 77);
    assert_int_not_equal(session->ended_ns, 0);
    assert_string_equal(session->name, "dns");
    assert_int_equal(session->n_ifaces, 1);
    store_sessions_free(session, 1);
    int r = store_verify(store, NULL, NULL, &report, &err);
    if (r < 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(r, 0);
    assert_int_equal(report.packets, packets);
}

static void a_session_goes_on_where_it_ended(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct consumer *c = NULL;
    struct store_session_spec spec = {.name = "dns", .started_ns = 77};
    struct iface f = ethernet("eth0");
    struct store_writer_stats stats;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    assert_int_equal(feed(c, 0, 10), 0);
    finish(c, 10);
    assert_int_equal(resume(store, id, "eth0", &c), 0);
    store_writer_stats(c, &stats);
    assert_int_equal(stats.packets, 10);
    assert_int_equal(feed(c, 10, 25), 0);
    finish(c, 15);
    check_session(store, id, 25);
    assert_int_equal(count_segments(&p), 2);
    /* One that does not come to anything leaves it as it was. */
    assert_int_equal(resume(store, id, "eth1", &c), ERR_EXISTS);
    store_writer_free(c);
    assert_int_equal(resume(store, id, "eth0", &c), 0);
    store_writer_free(c);
    check_session(store, id, 25);
    assert_int_equal(resume(store, "00000000-0000-7000-8000-000000000000", "eth0", &c),
                     ERR_NOT_FOUND);
    store_close(store);
    place_deinit(&p);
}

static void a_quota_for_no_packets_is_refused(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_session_spec spec = {.quota_bytes = STORE_QUOTA_MIN - 1};
    struct consumer *c = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    struct store *store = open_store(&p, STORE_CREATE);
    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), ERR_USAGE);
    store_close(store);
    place_deinit(&p);
}

static void a_raw_payload_is_not_copied(void **state)
{
    uint8_t raw[4096];
    uint8_t out[SEGMENT_FRAME_BYTES + sizeof raw + SEAL_TAG_BYTES];
    struct frame_encoder *e = frame_encoder_new();
    struct frame_header h = {.kind = FRAME_PACKETS};
    const uint8_t *body = NULL;

    (void)state;
    seal_random(raw, sizeof raw);
    assert_int_equal(frame_encode(e, &h, raw, sizeof raw, true, NULL, out, &body),
                     SEGMENT_FRAME_BYTES);
    assert_ptr_equal(body, raw);
    memset(raw, 7, sizeof raw);
    assert_true(frame_encode(e, &h, raw, sizeof raw, true, NULL, out, &body) < sizeof raw / 2);
    assert_null(body);
    assert_int_equal(frame_encode(e, &h, raw, sizeof raw, false, NULL, out, &body),
                     SEGMENT_FRAME_BYTES);
    assert_ptr_equal(body, raw);
    frame_encoder_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_written_is_counted_to_the_last_packet),
        cmocka_unit_test(no_frame_number_stands_twice_in_a_segment),
        cmocka_unit_test(a_capture_that_did_not_start_leaves_nothing),
        cmocka_unit_test(an_empty_block_is_no_packet),
        cmocka_unit_test(packets_become_durable_while_it_records),
        cmocka_unit_test(a_session_goes_on_where_it_ended),
        cmocka_unit_test(a_quota_for_no_packets_is_refused),
        cmocka_unit_test(a_raw_payload_is_not_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
