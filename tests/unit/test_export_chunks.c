/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports in chunks against the file that export_run writes: in one reading, in one that forgets
 * everything after each chunk, and where the session changes meanwhile.
 */
#include "tests/support/export_world.h"

#include "shared/store/export_chunks.h"
#include "shared/store/store_handle.h"

#define FOR_EVER UINT64_MAX

static const char *const filters[] = {NULL, "udp portrange 5000-5999", "udp src port 29999", "tcp",
                                      "len > 60"};

static struct export_chunks *open_at(const struct world *w, const struct export_spec *spec,
                                     const struct export_mark *from)
{
    struct export_chunks *chunks = NULL;
    struct err err = {0};
    int r = export_chunks_new(w->store, spec, from, &chunks, &err);

    if (r < 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(r, 0);
    return chunks;
}

/* One chunk; false when it was the last. */
static bool next(struct export_chunks *chunks, size_t max, uint64_t until_ns, struct buf *out)
{
    struct err err = {0};
    size_t before = out->len;
    int r = export_chunks_next(chunks, max, until_ns, out, &err);

    if (r < 0) {
        print_error("%s\n", err.text);
    }
    assert_true(r >= 0);
    assert_true(out->len - before <= max);
    assert_true(export_chunks_mark(chunks)->offset == out->len);
    assert_true((export_chunks_mark(chunks)->stage == EXPORT_AT_END) == (r == 0));
    return r > 0;
}

static struct export_mark read_in_one(const struct world *w, const struct export_spec *spec,
                                      size_t max, struct buf *out)
{
    struct export_chunks *chunks = open_at(w, spec, NULL);

    while (next(chunks, max, FOR_EVER, out)) {
    }
    struct export_mark mark = *export_chunks_mark(chunks);
    export_chunks_free(chunks);
    return mark;
}

static struct export_mark read_forgetting(const struct world *w, const struct export_spec *spec,
                                          size_t max, struct buf *out)
{
    struct export_mark mark = {0};
    bool more = true;

    while (more) {
        struct export_chunks *chunks = open_at(w, spec, out->len == 0 ? NULL : &mark);
        more = next(chunks, max, FOR_EVER, out);
        mark = *export_chunks_mark(chunks);
        export_chunks_free(chunks);
    }
    return mark;
}

static void assert_same(const struct buf *bytes, const struct buf *file)
{
    assert_int_equal(bytes->len, file->len);
    assert_memory_equal(bytes->data, file->data, file->len);
}

static void assert_chunks_are_the_file(const struct world *w, const struct export_spec *spec)
{
    static const size_t sizes[] = {EXPORT_CHUNK_MIN, 65521, 1u << 20, EXPORT_CHUNK_MAX};
    struct buf file = file_of(w, *spec);

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf one = {0};
        struct buf many = {0};
        struct export_mark a = read_in_one(w, spec, sizes[i], &one);
        assert_same(&one, &file);
        if (file.len / sizes[i] < 200) { /* each opens the store's plan anew */
            struct export_mark b = read_forgetting(w, spec, sizes[i], &many);
            assert_same(&many, &file);
            assert_true(a.packets == b.packets);
            assert_true(b.missing == 0 && b.left_out == 0);
        }
        buf_deinit(&one);
        buf_deinit(&many);
    }
    buf_deinit(&file);
}

static void all_chunks_together_are_the_file(void **state)
{
    const struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct export_spec spec = spec_of(w, filters[i]);
        assert_chunks_are_the_file(w, &spec);
        spec.format = EXPORT_PCAP;
        assert_chunks_are_the_file(w, &spec);
        spec.from_ns = time_of(100);
        spec.to_ns = time_of(25000);
        assert_chunks_are_the_file(w, &spec);
    }
}

static void the_packets_are_counted(void **state)
{
    const struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);
    struct buf bytes = {0};

    assert_true(read_in_one(w, &spec, 1u << 20, &bytes).packets == WORLD_PACKETS);
    spec.filter = "udp portrange 5000-5999";
    buf_reset(&bytes);
    assert_true(read_in_one(w, &spec, 1u << 20, &bytes).packets == 1000);
    buf_deinit(&bytes);
}

static void assert_ends_in_time(const struct world *w, const char *filter)
{
    struct export_spec spec = spec_of(w, filter);
    struct buf file = file_of(w, spec);
    struct buf bytes = {0};
    struct export_mark mark = {0};
    unsigned n = 0;
    bool more = true;

    for (; more; n++) {
        struct export_chunks *chunks = open_at(w, &spec, n == 0 ? NULL : &mark);
        more = next(chunks, EXPORT_CHUNK_MAX, 0, &bytes);
        assert_true(mark.next < export_chunks_mark(chunks)->next || !more || n == 0);
        mark = *export_chunks_mark(chunks);
        export_chunks_free(chunks);
        assert_true(n < 100);
    }
    assert_true(n > 2);
    assert_same(&bytes, &file);
    buf_deinit(&bytes);
    buf_deinit(&file);
}

/* A search that finds nothing gives back the thread, and gets on. */
static void a_search_ends_in_time_and_goes_on_where_it_was(void **state)
{
    static const char *const rare[] = {"len < 10", "udp portrange 5000-5999"};
    const struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(rare); i++) {
        assert_ends_in_time(w, rare[i]);
    }
}

static int try_mark(const struct world *w, const struct export_spec *spec,
                    const struct export_mark *mark)
{
    struct export_chunks *chunks = NULL;
    struct buf bytes = {0};
    struct err err = {0};
    int r = export_chunks_new(w->store, spec, mark, &chunks, &err);

    if (r == 0) {
        r = export_chunks_next(chunks, EXPORT_CHUNK_MIN, FOR_EVER, &bytes, &err);
    }
    export_chunks_free(chunks);
    buf_deinit(&bytes);
    return r;
}

/* Where the reading of `spec` stands after a chunk of max bytes. */
static struct export_mark mark_after(const struct world *w, const struct export_spec *spec,
                                     size_t max, struct buf *bytes)
{
    struct export_chunks *chunks = open_at(w, spec, NULL);

    assert_true(next(chunks, max, FOR_EVER, bytes));
    struct export_mark mark = *export_chunks_mark(chunks);
    export_chunks_free(chunks);
    return mark;
}

static void marks_that_were_never_given_are_refused(void **state)
{
    const struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);
    struct buf bytes = {0};
    const struct export_mark good = mark_after(w, &spec, 1u << 20, &bytes);
    struct export_mark bad = good;

    assert_true(good.stage == EXPORT_AT_BODY && good.skip > 0);
    assert_true(try_mark(w, &spec, &good) >= 0);
    bad.next++; /* in the middle of a frame */
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = good;
    bad.skip = UINT64_MAX;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = good;
    bad.next = 0;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = good;
    bad.n_ifaces = 2;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = good;
    bad.stage = EXPORT_AT_END;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = (struct export_mark){.stage = EXPORT_AT_HEAD, .skip = 10, .n_ifaces = 1};
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE); /* of another head */
    bad.skip = 1u << 20;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad = good;
    bad.next = UINT64_MAX; /* behind the end: the tail */
    bad.skip = 0;
    assert_int_equal(try_mark(w, &spec, &bad), 0);
    bad.skip = 1;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_NOT_FOUND);
    spec.filter = "udp"; /* packet by packet */
    bad = good;
    bad.skip = 1u << 20;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_USAGE);
    bad.next = WORLD_PACKETS + 1;
    assert_int_equal(try_mark(w, &spec, &bad), ERR_NOT_FOUND);
    bad.next = UINT64_MAX;
    bad.skip = 0;
    assert_int_equal(try_mark(w, &spec, &bad), 0);
    buf_deinit(&bytes);
}

/* Anything at all: an error or bytes, but no more than asked for. */
static void random_marks_do_no_harm(void **state)
{
    const struct world *w = *state;
    uint64_t seed = 88172645463325252u;

    for (int i = 0; i < 300; i++) {
        struct export_spec spec = spec_of(w, filters[i % 3]);
        uint64_t values[6];
        for (size_t k = 0; k < ARRAY_LEN(values); k++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            values[k] = i % 2 == 0 ? seed : seed % 40000;
        }
        struct export_mark mark = {.stage = (enum export_stage)(values[0] % 3),
                                   .next = values[1],
                                   .skip = values[2],
                                   .offset = values[3],
                                   .missing = values[4],
                                   .n_ifaces = values[5] % 3};
        int r = try_mark(w, &spec, &mark);
        assert_true(r >= 0 || r == ERR_USAGE || r == ERR_NOT_FOUND);
    }
}

static void run_sql(const struct world *w, const char *sql)
{
    struct store *store = open_store(&w->place, STORE_WRITE);
    struct err err = {0};

    assert_int_equal(catalogue_run(&store->catalogue, &err, sql, ""), 0);
    store_close(store);
}

/* The first frames go, as retention takes them. */
static void what_was_deleted_meanwhile_is_told(void **state)
{
    const struct world *w = *state;
    struct export_spec spec = spec_of(w, NULL);
    struct buf file = file_of(w, spec);
    struct buf bytes = {0};
    const struct export_mark inside = mark_after(w, &spec, 100000, &bytes);

    assert_true(inside.skip > 0 && inside.next == 1);
    run_sql(w, "DELETE FROM frame WHERE first_number=1");
    assert_int_equal(try_mark(w, &spec, &inside), ERR_NOT_FOUND);
    /* From the beginning it is a smaller session. */
    buf_reset(&bytes);
    struct export_mark all = read_forgetting(w, &spec, 300001, &bytes);
    assert_true(all.missing == 0 && all.packets < WORLD_PACKETS && bytes.len < file.len);
    /* A mark before what went: the rest comes, and how many are missing is told. */
    struct export_mark before = inside;
    before.skip = 0;
    buf_reset(&bytes);
    struct export_chunks *chunks = open_at(w, &spec, &before);
    struct err err = {0};
    int r;
    while ((r = export_chunks_next(chunks, 1u << 20, FOR_EVER, &bytes, &err)) > 0) {
    }
    assert_int_equal(r, 0);
    assert_true(export_chunks_mark(chunks)->missing == WORLD_PACKETS - all.packets);
    assert_true(export_chunks_mark(chunks)->packets == all.packets);
    export_chunks_free(chunks);
    buf_deinit(&bytes);
    buf_deinit(&file);
}

static void what_is_damaged_is_left_out_and_counted_alike(void **state)
{
    const struct world *w = *state;
    char path[256];

    snprintf(path, sizeof path, "%s.d/%s-000001.seg", w->place.db, w->id);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, -2000, SEEK_END); /* the last frame */
    fputs("not what was there", f);
    fclose(f);
    for (size_t i = 0; i < 2; i++) {
        struct export_spec spec = spec_of(w, i == 0 ? NULL : "udp");
        struct buf file = file_of(w, spec);
        struct buf one = {0};
        struct buf many = {0};
        struct export_mark a = read_in_one(w, &spec, 65536, &one);
        struct export_mark b = read_forgetting(w, &spec, 65536, &many);
        assert_true(a.missing > 0 && a.missing + a.packets == WORLD_PACKETS);
        assert_true(a.missing == b.missing && a.packets == b.packets);
        assert_same(&one, &file);
        assert_same(&many, &file);
        buf_deinit(&one);
        buf_deinit(&many);
        buf_deinit(&file);
    }
}

/* An interface that came up after the head was given is no part of this file. */
static void a_head_that_was_given_stays_the_head(void **state)
{
    struct world *w = *state;
    struct iface *grown = x_alloc(2 * sizeof *grown);
    struct export_spec spec = spec_of(w, NULL);
    struct buf file = file_of(w, spec);
    struct buf bytes = {0};
    struct export_mark mark = mark_after(w, &spec, 200000, &bytes);
    struct store_session session = *w->session;

    grown[0] = session.ifaces[0];
    grown[1] = ethernet("eth1");
    session.ifaces = grown;
    session.n_ifaces = 2;
    spec.sessions = &session;
    bool more = true;
    while (more) {
        struct export_chunks *chunks = open_at(w, &spec, &mark);
        more = next(chunks, 1u << 20, FOR_EVER, &bytes);
        mark = *export_chunks_mark(chunks);
        export_chunks_free(chunks);
    }
    /* All but the tail, which a session with one interface alone has in numbers. */
    assert_memory_equal(bytes.data, file.data, bytes.len < file.len ? bytes.len : file.len);
    assert_int_equal(bytes.len, file.len);
    buf_deinit(&bytes);
    buf_deinit(&file);
    mem_free(grown);
}

static void a_classic_file_holds_one_link_type(void **state)
{
    struct world *w = *state;
    struct iface two[2] = {w->session->ifaces[0], ethernet("tun0")};
    struct store_session session = *w->session;
    struct export_spec spec = spec_of(w, NULL);
    struct export_chunks *chunks = NULL;
    struct err err = {0};

    two[1].link_type = LINK_RAW;
    session.ifaces = two;
    session.n_ifaces = 2;
    spec.sessions = &session;
    spec.format = EXPORT_PCAP;
    assert_int_equal(export_chunks_new(w->store, &spec, NULL, &chunks, &err), ERR_UNSUPPORTED);
    spec.format = EXPORT_PCAPNG;
    spec.filter = "no such word";
    assert_int_equal(export_chunks_new(w->store, &spec, NULL, &chunks, &err), ERR_FILTER);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(all_chunks_together_are_the_file),
        IN_A_WORLD(the_packets_are_counted),
        IN_A_WORLD(a_search_ends_in_time_and_goes_on_where_it_was),
        IN_A_WORLD(marks_that_were_never_given_are_refused),
        IN_A_WORLD(random_marks_do_no_harm),
        IN_A_WORLD(what_was_deleted_meanwhile_is_told),
        IN_A_WORLD(what_is_damaged_is_left_out_and_counted_alike),
        IN_A_WORLD(a_head_that_was_given_stays_the_head),
        IN_A_WORLD(a_classic_file_holds_one_link_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
