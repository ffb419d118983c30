/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/spool_dir_posix.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"

#define PACKET 1000u
#define STREAM "019b76da-a800-7b3f-8a21-0123456789ab"

struct fixture {
    char path[64];
    struct spool_place *place;
    struct spool_dir *dir;
    struct spool spool;
    struct spool_section *section;
    struct err err;
};

static void make_section(struct fixture *f)
{
    struct buf bytes = {0};
    struct iface iface = {.name = "eth0", .link_type = LINK_ETHERNET, .ts_digits = 9};

    pcapng_write_section(&bytes, &(struct pcapng_section){.application = "test"});
    pcapng_write_interface(&bytes, &iface, NULL);
    f->section = spool_section_new(bytes.data, bytes.len);
    buf_deinit(&bytes);
}

static void open_spool(struct fixture *f, uint64_t memory, uint64_t disk)
{
    struct spool_opts opts = {.memory_bytes = memory, .disk_bytes = disk};

    if (disk > 0) {
        assert_int_equal(spool_place_open(f->path, "eth0", &f->place, &f->err), 0);
        assert_int_equal(spool_dir_open(f->place, STREAM, &f->dir, &f->err), 0);
        opts.files = &spool_dir_files;
        opts.files_arg = f->dir;
    }
    spool_init(&f->spool, &opts);
}

static void close_spool(struct fixture *f)
{
    spool_deinit(&f->spool);
    spool_dir_close(f->dir);
    spool_place_close(f->place);
    f->dir = NULL;
    f->place = NULL;
}

static void set_up(struct fixture *f, uint64_t memory, uint64_t disk)
{
    *f = (struct fixture){.path = "/tmp/test_spool.XXXXXX"};
    assert_non_null(mkdtemp(f->path));
    make_section(f);
    open_spool(f, memory, disk);
}

static void tear_down(struct fixture *f)
{
    char command[128];

    close_spool(f);
    spool_section_unref(f->section);
    snprintf(command, sizeof command, "rm -rf %s", f->path);
    assert_int_equal(system(command), 0);
}

/* n packets whose time stamps are their positions. */
static void append(struct fixture *f, uint32_t n)
{
    static const uint8_t bytes[PACKET];
    struct block *block = block_new(n * (PACKET + EPB_OVERHEAD));

    for (uint32_t i = 0; i < n; i++) {
        struct packet_view packet = {
            .time_ns = f->spool.end + i, .caplen = PACKET, .len = PACKET, .data = bytes};
        assert_true(block_append(block, &packet));
    }
    spool_append(&f->spool, block, f->section);
    block_unref(block);
}

/* Reads all packets from `position` on, as a sender does, up to `max`; their positions must be
 * theirs. Gives how many there were, and the position behind the last in *end. */
static uint64_t drain(struct fixture *f, uint64_t position, uint64_t max, uint64_t *end)
{
    struct spool_piece *piece;
    uint64_t n = 0;

    while (n < max && (piece = spool_at(&f->spool, position)) != NULL) {
        struct buf section = {0};
        struct buf run = {0};
        struct packet_view view;
        position = piece->first > position ? piece->first : position;
        if (piece->is_file) {
            assert_int_equal(spool_dir_read(f->dir, piece->first, &section, &run, &f->err), 0);
            assert_int_equal(section.len, f->section->bytes.len);
            assert_memory_equal(section.data, f->section->bytes.data, section.len);
        } else {
            buf_append(&run, piece->data.data, piece->data.len);
        }
        struct spool_slice slice =
            spool_slice(run.data, run.len, position - piece->first, 10 * PACKET);
        assert_true(slice.n_packets > 0 && slice.n_packets <= 10);
        struct block_cursor cursor = block_cursor(slice.data, slice.n);
        while (n < max && block_next(&cursor, &view) == 1) {
            assert_int_equal(view.time_ns, position);
            position++;
            n++;
        }
        buf_deinit(&section);
        buf_deinit(&run);
        spool_piece_unref(piece);
    }
    *end = position;
    return n;
}

static void memory_gives_back_what_it_got(void **state)
{
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 16u << 20, 0);
    for (int i = 0; i < 20; i++) {
        append(&f, 33);
    }
    assert_int_equal(drain(&f, 0, UINT64_MAX, &end), 660);
    assert_int_equal(drain(&f, 100, UINT64_MAX, &end), 560);
    spool_taken(&f.spool, 300);
    assert_int_equal(spool_first(&f.spool), 300);
    assert_int_equal(drain(&f, 300, UINT64_MAX, &end), 360);
    spool_taken(&f.spool, 660);
    assert_null(f.spool.head);
    assert_int_equal(f.spool.memory_used, 0);
    append(&f, 1);
    assert_int_equal(drain(&f, 660, UINT64_MAX, &end), 1);
    assert_int_equal(f.spool.dropped, 0);
    tear_down(&f);
}

static void full_memory_drops_the_oldest_and_counts_exactly(void **state)
{
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 2u << 20, 0);
    for (int i = 0; i < 100; i++) {
        append(&f, 100);
        assert_true(f.spool.memory_used <= 2u << 20);
    }
    assert_true(f.spool.dropped > 0);
    uint64_t n = drain(&f, 0, UINT64_MAX, &end);
    assert_int_equal(n + f.spool.dropped, 10000);
    assert_int_equal(end, 10000);
    assert_int_equal(spool_first(&f.spool), f.spool.dropped);
    tear_down(&f);
}

/* As one of eight interfaces has it with --memory 1MiB. */
static void a_small_memory_keeps_most_of_what_it_holds(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 128 * 1024, 0);
    for (int i = 0; i < 500; i++) {
        append(&f, 1);
        assert_true(f.spool.memory_used <= 128 * 1024);
        if (f.spool.dropped > 0) {
            assert_true(f.spool.end - spool_first(&f.spool) >= 64);
        }
    }
    assert_true(f.spool.dropped > 0);
    tear_down(&f);
}

static void what_is_on_its_way_is_not_dropped(void **state)
{
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 2u << 20, 0);
    append(&f, 500);
    assert_int_equal(drain(&f, 0, 500, &end), 500);
    spool_sent(&f.spool, 500);
    for (int i = 0; i < 100; i++) {
        append(&f, 100);
    }
    assert_int_equal(spool_first(&f.spool), 0);
    assert_int_equal(drain(&f, 0, 500, &end), 500);
    uint64_t n = drain(&f, 500, UINT64_MAX, &end);
    assert_int_equal(n + f.spool.dropped, 10000);
    /* the node got it: nothing of it was ever counted as dropped */
    uint64_t dropped = f.spool.dropped;
    spool_taken(&f.spool, 500);
    assert_int_equal(f.spool.dropped, dropped);
    tear_down(&f);
}

static void memory_then_disk_then_drop(void **state)
{
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 1u << 20, 4u << 20);
    append(&f, 500);
    assert_int_equal(f.spool.disk_used, 0);
    for (int i = 0; i < 30; i++) {
        append(&f, 100);
    }
    assert_true(f.spool.disk_used > 0);
    assert_int_equal(f.spool.dropped, 0);
    assert_int_equal(drain(&f, 0, UINT64_MAX, &end), 3500);
    for (int i = 0; i < 100; i++) {
        append(&f, 100);
        assert_true(f.spool.disk_used <= 4u << 20);
        assert_true(f.spool.memory_used <= 1u << 20);
    }
    assert_true(f.spool.dropped > 0);
    assert_int_equal(drain(&f, 0, UINT64_MAX, &end) + f.spool.dropped, 13500);
    assert_int_equal(end, 13500);
    assert_int_equal(f.spool.failures, 0);
    tear_down(&f);
}

/* The data is at rest: nobody else may read it. */
static void files_are_private(void **state)
{
    struct fixture f;
    struct stat st;
    char path[256];

    (void)state;
    set_up(&f, 1u << 20, 4u << 20);
    append(&f, 1200);
    snprintf(path, sizeof path, "%s/eth0/" STREAM "/0000000000000000.pcapng", f.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s/eth0", f.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    tear_down(&f);
}

static void a_restart_goes_on_with_what_was_put_away(void **state)
{
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 1u << 20, 64u << 20);
    append(&f, 2000);
    append(&f, 7);
    spool_taken(&f.spool, 1100);
    spool_put_away(&f.spool);
    assert_int_equal(f.spool.memory_used, 0);
    spool_dir_note_taken(f.dir, f.spool.taken);
    close_spool(&f);
    open_spool(&f, 1u << 20, 64u << 20);
    spool_dir_load(f.dir, &f.spool);
    assert_int_equal(f.spool.end, 2007);
    assert_int_equal(spool_first(&f.spool), 1100);
    assert_int_equal(drain(&f, 1100, UINT64_MAX, &end), 907);
    spool_taken(&f.spool, 2007);
    assert_null(f.spool.head);
    spool_dir_remove(f.dir);
    char path[256];
    snprintf(path, sizeof path, "%s/eth0/" STREAM, f.path);
    assert_int_equal(access(path, F_OK), -1);
    tear_down(&f);
}

static void a_torn_file_ends_at_its_last_whole_packet(void **state)
{
    struct fixture f;
    char path[256];
    struct stat st;
    uint64_t end;

    (void)state;
    set_up(&f, 1u << 20, 64u << 20);
    append(&f, 300);
    spool_put_away(&f.spool);
    close_spool(&f);
    snprintf(path, sizeof path, "%s/eth0/" STREAM "/0000000000000000.pcapng", f.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 10), 0);
    open_spool(&f, 1u << 20, 64u << 20);
    spool_dir_load(f.dir, &f.spool);
    assert_int_equal(f.spool.end, 299);
    assert_int_equal(drain(&f, 0, UINT64_MAX, &end), 299);
    close_spool(&f);
    /* torn before its first packet: it is gone */
    assert_int_equal(truncate(path, 40), 0);
    open_spool(&f, 1u << 20, 64u << 20);
    spool_dir_load(f.dir, &f.spool);
    assert_null(f.spool.head);
    assert_int_equal(access(path, F_OK), -1);
    tear_down(&f);
}

static void one_sniffer_uses_a_spool(void **state)
{
    struct fixture f;
    struct spool_place *other;

    (void)state;
    set_up(&f, 1u << 20, 64u << 20);
    assert_int_equal(spool_place_open(f.path, "eth0", &other, &f.err), ERR_IN_USE);
    assert_non_null(strstr(f.err.text, "--spool-dir"));
    assert_int_equal(spool_place_open(f.path, "eth1", &other, &f.err), 0);
    spool_place_close(other);
    tear_down(&f);
}

static int64_t refuse_create(void *arg, uint64_t first, const struct buf *section,
                             const struct buf *run, struct err *err)
{
    (void)arg;
    (void)first;
    (void)section;
    (void)run;
    return err_set(err, ERR_FULL, "the disk is full");
}

static void a_full_disk_loses_the_oldest_and_goes_on(void **state)
{
    static const struct spool_files full = {.create = refuse_create};
    struct fixture f;
    uint64_t end;

    (void)state;
    set_up(&f, 1u << 20, 0);
    f.spool.opts.files = &full;
    f.spool.opts.disk_bytes = 1u << 30;
    for (int i = 0; i < 30; i++) {
        append(&f, 100);
    }
    assert_true(f.spool.failures > 0);
    assert_string_equal(f.spool.err.text, "the disk is full");
    assert_int_equal(drain(&f, 0, UINT64_MAX, &end) + f.spool.dropped, 3000);
    assert_int_equal(end, 3000);
    tear_down(&f);
}

static void the_id_of_a_sniffer_stays(void **state)
{
    struct fixture f;
    struct id fresh = {.bytes = {1, 2, 3}};
    char first[ID_TEXT_MAX];
    char second[ID_TEXT_MAX];

    (void)state;
    set_up(&f, 1u << 20, 64u << 20);
    assert_int_equal(spool_place_id(f.place, &fresh, first, &f.err), 0);
    fresh.bytes[0] = 9;
    assert_int_equal(spool_place_id(f.place, &fresh, second, &f.err), 0);
    assert_string_equal(first, second);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_gives_back_what_it_got),
        cmocka_unit_test(full_memory_drops_the_oldest_and_counts_exactly),
        cmocka_unit_test(a_small_memory_keeps_most_of_what_it_holds),
        cmocka_unit_test(what_is_on_its_way_is_not_dropped),
        cmocka_unit_test(memory_then_disk_then_drop),
        cmocka_unit_test(files_are_private),
        cmocka_unit_test(a_restart_goes_on_with_what_was_put_away),
        cmocka_unit_test(a_torn_file_ends_at_its_last_whole_packet),
        cmocka_unit_test(one_sniffer_uses_a_spool),
        cmocka_unit_test(a_full_disk_loses_the_oldest_and_goes_on),
        cmocka_unit_test(the_id_of_a_sniffer_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
