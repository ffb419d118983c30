/* SPDX-License-Identifier: Apache-2.0
 *
 * What others did to the files of a store: what is damaged or forged is told, the rest is read.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/scan.h"
#include "shared/store/segment.h"
#include "shared/store/verify.h"

#define FRAMES_MAX 64

struct file {
    char path[256];
    uint8_t *bytes;
    size_t n;
};

/* The segment file of a session with this sequence. */
static void load_segment(struct file *f, const struct place *p, const char *id, uint32_t sequence)
{
    struct stat st;

    snprintf(f->path, sizeof f->path, "%s.d/%s-%06u.seg", p->db, id, sequence);
    int fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    f->n = (size_t)st.st_size;
    f->bytes = x_alloc(f->n);
    assert_int_equal(read(fd, f->bytes, f->n), f->n);
    close(fd);
}

static void save(const struct file *f, size_t n)
{
    int fd = open(f->path, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->bytes, n), n);
    close(fd);
}

static void unload(struct file *f)
{
    mem_free(f->bytes);
}

/* Where the frames with packets begin. */
static size_t find_frames(const struct file *f, size_t *at, struct frame_header *h)
{
    size_t n = 0;

    for (size_t i = SEGMENT_HEADER_BYTES; i + SEGMENT_FRAME_BYTES <= f->n && n < FRAMES_MAX;) {
        assert_int_equal(frame_header_read(f->bytes + i, &h[n]), 0);
        at[n] = i;
        i += SEGMENT_FRAME_BYTES + h[n].stored_len;
        n += h[n].kind == FRAME_PACKETS;
    }
    return n;
}

static void write_raw_session(const struct place *p, const char *name, uint32_t first,
                              uint32_t last, char *id)
{
    struct store *store = open_store(p, STORE_CREATE);
    struct store_session_spec spec = {
        .name = name, .started_ns = clock_wall_ns(), .compression = STORE_COMPRESS_OFF};
    struct iface f = ethernet("eth0");
    struct consumer *c = NULL;
    struct err err = {0};

    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    for (uint32_t n = first; n < last; n += 1000) {
        put_block(c, n, n + 1000);
    }
    finish(c, last - first);
    store_close(store);
}

/* Reads everything; every packet that comes has its own place, time and bytes. */
static uint64_t read_all(const struct place *p, const char *name, struct scan_damage *damage)
{
    struct store *store = open_store(p, STORE_READ);
    struct store_session *s = NULL;
    struct scan *scan = NULL;
    struct scan_packet packet;
    struct err err = {0};
    uint64_t n = 0;
    int r;

    assert_int_equal(store_session_find(store, name, &s, &err), 0);
    struct scan_spec spec = {.sessions = s, .n = 1, .to_ns = UINT64_MAX};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    while ((r = scan_next(scan, &packet, &err)) > 0) {
        assert_int_equal(packet.view.time_ns, time_of((uint32_t)packet.number - 1));
        n++;
    }
    assert_int_equal(r, 0);
    *damage = *scan_damage(scan);
    scan_free(scan);
    store_sessions_free(s, 1);
    store_close(store);
    return n;
}

static struct verify_report verify(const struct place *p)
{
    struct store *store = open_store(p, STORE_WRITE);
    struct verify_report report;
    struct err err = {0};

    assert_int_equal(store_verify(store, NULL, NULL, &report, &err), 0);
    store_close(store);
    return report;
}

static void frames_that_changed_places(const char *key)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct file f;
    size_t at[FRAMES_MAX] = {0};
    struct frame_header h[FRAMES_MAX] = {0};
    struct scan_damage damage;

    place_init(&p, key);
    write_raw_session(&p, "one", 0, 40000, id);
    load_segment(&f, &p, id, 1);
    assert_true(find_frames(&f, at, h) >= 3);
    assert_int_equal(h[0].stored_len, h[1].stored_len);
    size_t n = SEGMENT_FRAME_BYTES + h[0].stored_len;
    uint8_t *first = x_alloc(n);
    memcpy(first, f.bytes + at[0], n);
    memcpy(f.bytes + at[0], f.bytes + at[1], n);
    memcpy(f.bytes + at[1], first, n);
    save(&f, f.n);
    mem_free(first);
    unload(&f);
    assert_int_equal(read_all(&p, "one", &damage), 40000 - h[0].n_packets - h[1].n_packets);
    assert_int_equal(damage.frames, 2);
    assert_int_equal(verify(&p).damaged_frames, 2);
    place_deinit(&p);
}

static void frames_that_changed_places_are_damage(void **state)
{
    (void)state;
    frames_that_changed_places(NULL);
#if PR_SQLCIPHER
    frames_that_changed_places(RAW_KEY);
#endif
}

static void a_segment_in_the_place_of_another_is_damage(void **state)
{
    struct place p;
    char one[STORE_ID_TEXT];
    char two[STORE_ID_TEXT];
    struct file f;
    struct file g;
    struct scan_damage damage;

    (void)state;
    place_init(&p, NULL);
    write_raw_session(&p, "one", 0, 5000, one);
    write_raw_session(&p, "two", 0, 5000, two);
    load_segment(&f, &p, one, 1);
    load_segment(&g, &p, two, 1);
    memcpy(g.path, f.path, sizeof g.path);
    save(&g, g.n);
    unload(&f);
    unload(&g);
    assert_int_equal(read_all(&p, "one", &damage), 0);
    assert_int_equal(damage.packets, 5000);
    assert_non_null(strstr(damage.text, "segment '")); /* seen at its header */
    assert_int_equal(read_all(&p, "two", &damage), 5000);
    place_deinit(&p);
}

#if PR_SQLCIPHER
/* The first segment that salvage looks at has a whole header, but its key is gone. */
static void one_damaged_slot_does_not_stand_for_all(void **state)
{
    struct place p;
    char one[STORE_ID_TEXT];
    char two[STORE_ID_TEXT];
    struct file f;
    struct store *store = NULL;
    struct err err = {0};
    struct scan_damage damage;

    (void)state;
    place_init(&p, RAW_KEY);
    write_raw_session(&p, "one", 0, 1000, one);
    write_raw_session(&p, "two", 0, 1000, two);
    load_segment(&f, &p, one, 1);
    f.bytes[SEGMENT_SLOT_A + SEAL_SLOT_BYTES - 1] ^= 1;
    save(&f, f.n);
    unload(&f);
    char path[160];
    snprintf(path, sizeof path, "%s.d/store", p.db);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(p.db), 0);
    struct store_options o = {.path = p.db, .mode = STORE_WRITE, .key = p.key};
    assert_int_equal(store_open(&o, &store, &err), ERR_DAMAGED);
    assert_int_equal(store_salvage(&o, &store, &err), 0);
    store_close(store);
    assert_int_equal(read_all(&p, "two", &damage), 1000);
    place_deinit(&p);
}
#endif

/* Packets that carried a segment file: after damage its frames are not taken for our own. */
static void frames_inside_packets_are_packets(void **state)
{
    struct place p;
    char inner[STORE_ID_TEXT];
    char outer[STORE_ID_TEXT];
    struct file f;
    size_t at[FRAMES_MAX] = {0};
    struct frame_header h[FRAMES_MAX] = {0};
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct iface eth = ethernet("eth0");
    struct store_session_spec spec = {.name = "outer", .compression = STORE_COMPRESS_OFF};
    struct consumer *c = NULL;
    struct err err = {0};
    struct scan_damage damage;

    (void)state;
    place_init(&p, NULL);
    write_raw_session(&p, "inner", 0, 1000, inner);
    load_segment(&f, &p, inner, 1);
    assert_int_equal(find_frames(&f, at, h), 1);
    struct packet_view packet = {.time_ns = time_of(0), .data = f.bytes + at[0]};
    packet.caplen = packet.len = SEGMENT_FRAME_BYTES + h[0].stored_len;
    assert_true(block_append(block, &packet));
    unload(&f);
    struct store *store = open_store(&p, STORE_WRITE);
    assert_int_equal(store_writer_new(store, &spec, &c, outer, &err), 0);
    assert_int_equal(c->ops->begin(c, &eth, 1, &err), 0);
    assert_int_equal(c->ops->block(c, block, &load, &err), 0);
    assert_int_equal(c->ops->tick(c, clock_monotonic_ns() + 10000000000u, &err), 0);
    block_unref(block);
    for (uint32_t n = 1; n < 9000; n += 1000) {
        put_block(c, n, n + 1000);
    }
    finish(c, 9001);
    store_close(store);

    load_segment(&f, &p, outer, 1);
    assert_true(find_frames(&f, at, h) >= 2);
    assert_int_equal(h[0].n_packets, 1);
    f.bytes[at[0] + SEGMENT_FRAME_BYTES + 20] ^= 1;
    save(&f, f.n);
    unload(&f);
    assert_int_equal(unlink(p.db), 0);
    assert_int_equal(read_all(&p, "outer", &damage), 9000);
    place_deinit(&p);
}

/* A frame without a known interface has no index: it is read, not passed over. */
static void a_session_that_lost_its_first_description_is_still_found(void **state)
{
    struct place p;
    char id[STORE_ID_TEXT];
    struct file f;
    struct store_session *s = NULL;
    struct scan *scan = NULL;
    struct err err = {0};
    uint64_t n = 0;

    (void)state;
    place_init(&p, NULL);
    write_raw_session(&p, "one", 0, 9000, id);
    load_segment(&f, &p, id, 1);
    f.bytes[SEGMENT_HEADER_BYTES + SEGMENT_FRAME_BYTES] ^= 1;
    save(&f, f.n);
    unload(&f);
    assert_int_equal(unlink(p.db), 0);
    struct store *store = open_store(&p, STORE_READ);
    assert_int_equal(store_session_find(store, id, &s, &err), 0);
    assert_int_equal(s->n_ifaces, 1); /* the description at the end has it */
    struct scan_spec spec = {.sessions = s, .n = 1, .to_ns = UINT64_MAX, .filter = "port 4321"};
    assert_int_equal(scan_new(store, &spec, &scan, &err), 0);
    assert_int_equal(scan_count(scan, &n, &err), 0);
    assert_int_equal(n, 1);
    scan_free(scan);
    store_sessions_free(s, 1);
    store_close(store);
    place_deinit(&p);
}

static void a_frame_that_promises_too_many_packets_is_no_frame(void **state)
{
    uint8_t bytes[SEGMENT_FRAME_BYTES + 64] = {0};
    struct frame_header h = {
        .kind = FRAME_PACKETS, .n_packets = 2, .raw_len = 64, .stored_len = 64};
    struct frame_header back;

    (void)state;
    frame_header_finish(bytes, &h, bytes + SEGMENT_FRAME_BYTES);
    assert_int_equal(frame_header_read(bytes, &back), 0);
    h.n_packets = 3;
    frame_header_finish(bytes, &h, bytes + SEGMENT_FRAME_BYTES);
    assert_int_equal(frame_header_read(bytes, &back), ERR_DAMAGED);
}

static void an_empty_frame_that_claims_compression_is_damage(void **state)
{
    uint8_t bytes[SEGMENT_FRAME_BYTES] = {0};
    struct frame_header h = {.kind = FRAME_PACKETS, .compressed = true};
    struct frame_decoder *d = frame_decoder_new();
    const uint8_t *raw;

    (void)state;
    frame_header_finish(bytes, &h, bytes + SEGMENT_FRAME_BYTES);
    assert_int_equal(frame_header_read(bytes, &h), 0);
    assert_int_equal(frame_decode(d, &h, bytes, NULL, &raw), ERR_DAMAGED);
    frame_decoder_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_changed_places_are_damage),
        cmocka_unit_test(a_segment_in_the_place_of_another_is_damage),
#if PR_SQLCIPHER
        cmocka_unit_test(one_damaged_slot_does_not_stand_for_all),
#endif
        cmocka_unit_test(frames_inside_packets_are_packets),
        cmocka_unit_test(a_session_that_lost_its_first_description_is_still_found),
        cmocka_unit_test(a_frame_that_promises_too_many_packets_is_no_frame),
        cmocka_unit_test(an_empty_frame_that_claims_compression_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
