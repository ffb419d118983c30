/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports as a stream, against the file that export_run writes; and scans that begin in the middle.
 */
#include "tests/support/export_world.h"

#include "shared/store/export_stream.h"
#include "shared/store/scan.h"

#define PACKETS WORLD_PACKETS

static void read_on(struct export_stream *stream, struct buf *out)
{
    const uint8_t *data;
    struct err err = {0};
    size_t n;
    int r;

    while ((r = export_stream_next(stream, &data, &n, &err)) > 0) {
        buf_append(out, data, n);
    }
    assert_int_equal(r, 0);
}

static void assert_streams_as_its_file(const struct world *w, const struct export_spec *spec)
{
    struct buf file = file_of(w, *spec);
    struct buf bytes = {0};
    struct export_stream *stream = NULL;
    struct err err = {0};

    assert_int_equal(export_stream_new(w->store, spec, &stream, &err), 0);
    read_on(stream, &bytes);
    assert_int_equal(bytes.len, file.len);
    assert_memory_equal(bytes.data, file.data, file.len);
    export_stream_free(stream);
    buf_deinit(&bytes);
    buf_deinit(&file);
}

static void a_stream_is_the_file(void **state)
{
    struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);

    assert_streams_as_its_file(w, &spec);
    spec.filter = "udp portrange 5000-5999";
    assert_streams_as_its_file(w, &spec);
    spec.filter = "udp src port 29999"; /* found after many pauses */
    assert_streams_as_its_file(w, &spec);
    spec.filter = "tcp";
    assert_streams_as_its_file(w, &spec);
    spec.filter = NULL;
    spec.format = EXPORT_PCAP;
    assert_streams_as_its_file(w, &spec);
    spec.format = EXPORT_CSV;
    assert_streams_as_its_file(w, &spec);
    spec.format = EXPORT_PCAPNG;
    spec.from_ns = time_of(100);
    spec.to_ns = time_of(25000);
    assert_streams_as_its_file(w, &spec);
}

static void the_length_is_told_and_reading_begins_anywhere(void **state)
{
    struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);
    struct buf file = file_of(w, spec);
    uint64_t step = file.len / 37 + 1;

    for (uint64_t at = 0; at <= file.len + step; at += step) {
        uint64_t offset = at < file.len ? at : file.len; /* also the very end */
        struct export_stream *stream = NULL;
        struct buf bytes = {0};
        struct err err = {0};
        assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), 0);
        assert_int_equal(export_stream_length(stream), file.len);
        export_stream_seek(stream, offset);
        read_on(stream, &bytes);
        assert_int_equal(bytes.len, file.len - offset);
        if (bytes.len > 0) {
            assert_memory_equal(bytes.data, file.data + offset, bytes.len);
        }
        export_stream_free(stream);
        buf_deinit(&bytes);
    }
    buf_deinit(&file);
}

static void what_is_not_whole_has_no_length(void **state)
{
    struct world *w = *state;
    struct export_spec spec = spec_of(w, "udp");
    struct export_stream *stream = NULL;
    struct err err = {0};

    assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), 0);
    assert_true(export_stream_length(stream) == UINT64_MAX);
    export_stream_free(stream);
    spec.filter = NULL;
    w->session->ended_ns = 0; /* as of one that still runs */
    assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), 0);
    assert_true(export_stream_length(stream) == UINT64_MAX);
    export_stream_free(stream);
    spec.format = EXPORT_SQLITE;
    assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), ERR_UNSUPPORTED);
    spec = spec_of(w, "no such word");
    assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), ERR_FILTER);
}

/* A length that was told is kept, or the stream ends with an error. */
static void a_hole_ends_a_stream_with_a_length(void **state)
{
    struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);
    struct export_stream *stream = NULL;
    struct err err = {0};
    const uint8_t *data;
    char path[256];
    size_t n;
    int r;

    assert_int_equal(export_stream_new(w->store, &spec, &stream, &err), 0);
    snprintf(path, sizeof path, "%s.d/%s-000001.seg", w->place.db, w->id);
    assert_int_equal(truncate(path, 1000), 0);
    while ((r = export_stream_next(stream, &data, &n, &err)) > 0) {
    }
    assert_int_equal(r, ERR_DAMAGED);
    export_stream_free(stream);
}

static void a_scan_goes_on_after_a_number(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    uint64_t after = 0;
    uint64_t n = 0;

    while (n < PACKETS) {
        struct scan_packet packet;
        struct scan *scan = NULL;
        const struct scan_spec spec = {
            .sessions = w->session, .n = 1, .to_ns = UINT64_MAX, .after = after};
        assert_int_equal(scan_new(w->store, &spec, &scan, &err), 0);
        for (uint32_t i = 0; i < 1700 && n < PACKETS; i++) {
            assert_int_equal(scan_next(scan, &packet, &err), 1);
            assert_int_equal(packet.view.time_ns, time_of((uint32_t)n));
            n++;
            assert_int_equal(packet.number, n);
            assert_int_equal(scan_position(scan), n);
        }
        after = scan_position(scan);
        scan_free(scan);
    }
}

static void a_search_without_a_match_pauses(void **state)
{
    struct world *w = *state;
    const struct scan_spec spec = {
        .sessions = w->session, .n = 1, .to_ns = UINT64_MAX, .filter = "len < 10"};
    struct scan_packet packet;
    struct scan *scan = NULL;
    struct err err = {0};
    uint64_t last = 0;
    int pauses = 0;
    int r;

    assert_int_equal(scan_new(w->store, &spec, &scan, &err), 0);
    scan_pause_after(scan, 1);
    while ((r = scan_next(scan, &packet, &err)) == SCAN_PAUSED) {
        assert_true(scan_position(scan) > last);
        last = scan_position(scan);
        pauses++;
    }
    assert_int_equal(r, 0);
    assert_true(pauses > 2);
    assert_int_equal(scan_position(scan), PACKETS);
    scan_free(scan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_is_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_length_is_told_and_reading_begins_anywhere, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_whole_has_no_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hole_ends_a_stream_with_a_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_scan_goes_on_after_a_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_search_without_a_match_pauses, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
