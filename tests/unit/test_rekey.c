/* SPDX-License-Identifier: Apache-2.0
 *
 * A rekey that a crash stopped, at every step: put together from a store before and the same store
 * after. At each of them exactly one of the two keys opens the store, everything is readable, and
 * the next opening for writing leaves nothing of the other key.
 */
#include "tests/support/store_place.h"

#include <dirent.h>
#include <fcntl.h>

#include "shared/base/mem.h"
#include "shared/store/rekey.h"
#include "shared/store/scan.h"
#include "shared/store/segment.h"
#include "shared/store/verify.h"

#define NEW_KEY  "prd_BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define SESSIONS 3
#define PACKETS  2000

enum slots { SLOTS_OLD, SLOTS_BOTH_IN_FIRST, SLOTS_BOTH, SLOTS_NEW_IN_FIRST, SLOTS_NEW };

struct step {
    const char *name;
    bool marker;
    bool fresh;    /* store.new is there */
    bool promoted; /* store is the new one */
    bool rekeyed;  /* the catalogue has the new key */
    enum slots slots;
};

static const struct step steps[] = {
    {"the mark", true, false, false, false, SLOTS_OLD},
    {"the new description", true, true, false, false, SLOTS_OLD},
    {"the first segment", true, true, false, false, SLOTS_BOTH_IN_FIRST},
    {"all segments", true, true, false, false, SLOTS_BOTH},
    {"the catalogue", true, true, false, true, SLOTS_BOTH},
    {"the description", true, false, true, true, SLOTS_BOTH},
    {"the first old slot", true, false, true, true, SLOTS_NEW_IN_FIRST},
    {"all old slots", true, false, true, true, SLOTS_NEW},
};

static struct place before;
static struct place after;
static char first[STORE_ID_TEXT];

__attribute__((format(printf, 1, 2))) static void run(const char *fmt, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static void rekey(struct place *p, const char *text)
{
    struct store *store = open_store(p, STORE_WRITE);
    struct store_key *key = NULL;
    struct err err = {0};
    uint64_t segments = 0;

    assert_int_equal(store_key_from_text(text, &key, &err), 0);
    assert_int_equal(store_rekey(store, key, &segments, &err), 0);
    assert_int_equal(segments, SESSIONS);
    store_close(store);
    store_key_free(p->key);
    p->key = key;
}

static int set_up(void **state)
{
    char id[STORE_ID_TEXT];

    (void)state;
    place_init(&before, RAW_KEY);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        write_session(&before, "s", i * PACKETS, (i + 1) * PACKETS, i == 0 ? first : id);
    }
    place_init(&after, RAW_KEY);
    run("cp -r '%s'/. '%s'", before.dir, after.dir);
    rekey(&after, NEW_KEY);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    place_deinit(&before);
    place_deinit(&after);
    return 0;
}

static void read_header(const struct place *p, const char *file, uint8_t *header)
{
    char path[512];

    snprintf(path, sizeof path, "%s.d/%s", p->db, file);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, header, SEGMENT_HEADER_BYTES, 0), SEGMENT_HEADER_BYTES);
    close(fd);
}

/* The slots of a header that was reached by the rekey. The new wrapping stands in B, because the
 * old one stands in A. */
static void set_slots(const struct place *p, const char *file, bool old, bool new)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    uint8_t rekeyed[SEGMENT_HEADER_BYTES];
    char path[512];

    read_header(&before, file, header);
    read_header(&after, file, rekeyed);
    assert_false(seal_slot_used(header + SEGMENT_SLOT_B));
    assert_false(seal_slot_used(rekeyed + SEGMENT_SLOT_A));
    if (!old) {
        memset(header + SEGMENT_SLOT_A, 0, SEAL_SLOT_BYTES);
    }
    if (new) {
        memcpy(header + SEGMENT_SLOT_B, rekeyed + SEGMENT_SLOT_B, SEAL_SLOT_BYTES);
    }
    segment_header_finish(header, old ? SEGMENT_SLOT_A : SEGMENT_SLOT_B);
    snprintf(path, sizeof path, "%s.d/%s", p->db, file);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, header, sizeof header, 0), sizeof header);
    close(fd);
}

static void each_segment(const struct place *p, const struct step *step,
                         void (*what)(const struct place *, const char *, const struct step *))
{
    char dir[128];
    const struct dirent *entry;

    snprintf(dir, sizeof dir, "%s.d", p->db);
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".seg") != NULL) {
            what(p, entry->d_name, step);
        }
    }
    closedir(d);
}

static void make_slots(const struct place *p, const char *file, const struct step *step)
{
    bool is_first = strncmp(file, first, strlen(first)) == 0;
    bool old = step->slots < SLOTS_NEW_IN_FIRST || (step->slots == SLOTS_NEW_IN_FIRST && !is_first);
    bool new = step->slots >= SLOTS_BOTH || (step->slots == SLOTS_BOTH_IN_FIRST && is_first);

    set_slots(p, file, old, new);
}

static void make_step(struct place *p, const struct step *step)
{
    place_init(p, NULL);
    run("cp -r '%s'/. '%s'", before.dir, p->dir);
    if (step->marker) {
        run("touch '%s.d/%s'", p->db, "rekey.unfinished");
    }
    if (step->rekeyed) {
        run("cp '%s' '%s'", after.db, p->db);
    }
    if (step->fresh) {
        run("cp '%s.d/store' '%s.d/store.new'", after.db, p->db);
    }
    if (step->promoted) {
        run("cp '%s.d/store' '%s.d/store'", after.db, p->db);
    }
    each_segment(p, step, make_slots);
}

static int open_with(const struct place *p, const char *key, enum store_mode mode,
                     struct store **out)
{
    struct place with = *p;
    struct err err = {0};

    assert_int_equal(store_key_from_text(key, &with.key, &err), 0);
    struct store_options options = {.path = p->db, .mode = mode, .key = with.key};
    int r = store_open(&options, out, &err);
    store_key_free(with.key);
    return r;
}

static void check_all_there(struct store *store)
{
    struct store_session *list = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};
    size_t n = 0;
    uint64_t packets = 0;

    assert_int_equal(store_sessions(store, &list, &n, &err), 0);
    assert_int_equal(n, SESSIONS);
    struct scan_spec spec = {.sessions = list, .n = n, .to_ns = UINT64_MAX};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    while (scan_next(scan, &packet, &err) > 0) {
        packets++;
    }
    assert_int_equal(packets, SESSIONS * PACKETS);
    assert_int_equal(scan_damage(scan)->frames, 0);
    scan_free(scan);
    store_sessions_free(list, n);
}

static void check_one_slot(const struct place *p, const char *file, const struct step *step)
{
    uint8_t header[SEGMENT_HEADER_BYTES];

    read_header(p, file, header);
    assert_int_equal(seal_slot_used(header + SEGMENT_SLOT_A), !step->rekeyed);
    assert_int_equal(seal_slot_used(header + SEGMENT_SLOT_B), step->rekeyed);
}

static void check_finished(const struct place *p, const struct step *step)
{
    char path[128];

    snprintf(path, sizeof path, "%s.d/store.new", p->db);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s.d/rekey.unfinished", p->db);
    assert_int_not_equal(access(path, F_OK), 0);
    each_segment(p, step, check_one_slot);
}

static void a_crash_at_any_step_leaves_one_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const struct step *step = &steps[i];
        const char *right = step->rekeyed ? NEW_KEY : RAW_KEY;
        const char *wrong = step->rekeyed ? RAW_KEY : NEW_KEY;
        struct place p;
        struct store *store = NULL;
        struct verify_report report;
        struct err err = {0};

        print_message("a crash behind %s\n", step->name);
        make_step(&p, step);
        assert_int_equal(open_with(&p, wrong, STORE_READ, &store), ERR_KEY);
        assert_int_equal(open_with(&p, right, STORE_READ, &store), 0);
        check_all_there(store);
        store_close(store);
        assert_int_equal(open_with(&p, wrong, STORE_WRITE, &store), ERR_KEY);
        assert_int_equal(open_with(&p, right, STORE_WRITE, &store), 0);
        check_finished(&p, step);
        assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
        assert_int_equal(report.damaged_frames + report.missing_segments, 0);
        check_all_there(store);
        store_close(store);
        assert_int_equal(open_with(&p, wrong, STORE_READ, &store), ERR_KEY);
        assert_int_equal(open_with(&p, right, STORE_READ, &store), 0);
        check_all_there(store);
        store_close(store);
        place_deinit(&p);
    }
}

/* Also to a passphrase, and back: what was sealed once stays readable. */
static void keys_change_as_often_as_one_likes(void **state)
{
    struct place p;
    struct err err = {0};
    struct store *store = NULL;

    (void)state;
    place_init(&p, RAW_KEY);
    run("cp -r '%s'/. '%s'", before.dir, p.dir);
    rekey(&p, "correct horse");
    rekey(&p, NEW_KEY);
    rekey(&p, RAW_KEY);
    rekey(&p, RAW_KEY);
    store = open_store(&p, STORE_READ);
    check_all_there(store);
    store_close(store);
    struct store_options options = {.path = p.db, .mode = STORE_READ};
    assert_int_equal(open_with(&p, "correct horse", STORE_READ, &store), ERR_KEY);
    assert_int_equal(store_open(&options, &store, &err), ERR_KEY);
    place_deinit(&p);
}

/* A header that no key opens does not hold up the others. */
static void a_damaged_header_does_not_stop_a_rekey(void **state)
{
    struct place p;
    struct store *store = NULL;
    struct store_key *key = NULL;
    struct err err = {0};
    uint64_t segments = 0;

    (void)state;
    place_init(&p, RAW_KEY);
    run("cp -r '%s'/. '%s'", before.dir, p.dir);
    for (unsigned at = 40; at < SEGMENT_HEADER_BYTES; at += 288) { /* the header and its copy */
        run("printf x | dd of='%s.d/%s-000001.seg' bs=1 seek=%u conv=notrunc status=none", p.db,
            first, at);
    }
    store = open_store(&p, STORE_WRITE);
    assert_int_equal(store_key_from_text(NEW_KEY, &key, &err), 0);
    assert_int_equal(store_rekey(store, key, &segments, &err), 0);
    assert_int_equal(segments, SESSIONS - 1);
    store_close(store);
    store_key_free(key);
    assert_int_equal(open_with(&p, NEW_KEY, STORE_WRITE, &store), 0);
    store_close(store);
    assert_int_equal(open_with(&p, RAW_KEY, STORE_READ, &store), ERR_KEY);
    place_deinit(&p);
}

static void an_unencrypted_store_has_no_key_to_change(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct store_key *key = NULL;
    struct err err = {0};
    uint64_t segments = 0;

    (void)state;
    place_init(&p, NULL);
    write_session(&p, "s", 0, 10, id);
    struct store *store = open_store(&p, STORE_WRITE);
    assert_int_equal(store_key_from_text(NEW_KEY, &key, &err), 0);
    assert_int_equal(store_rekey(store, key, &segments, &err), ERR_KEY);
    store_close(store);
    store_key_free(key);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_step_leaves_one_key),
        cmocka_unit_test(keys_change_as_often_as_one_likes),
        cmocka_unit_test(a_damaged_header_does_not_stop_a_rekey),
        cmocka_unit_test(an_unencrypted_store_has_no_key_to_change),
    };

#if PR_SQLCIPHER
    return cmocka_run_group_tests(tests, set_up, tear_down);
#else
    (void)tests;
    (void)set_up;
    (void)tear_down;
    return 0;
#endif
}
