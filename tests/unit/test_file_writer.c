/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/capture/file_writer_posix.h"
#include "shared/capture/source_file.h"

#define DAY_NS 1700000000000000000u

struct fixture {
    char dir[64];
    char path[96];
    struct iface ifaces[2];
    struct consumer *writer;
    struct consumer_load load;
    uint64_t next_ns;
};

static int set_up(void **state)
{
    struct fixture *f = x_alloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/test_file_writer.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->ifaces[0].name, sizeof f->ifaces[0].name, "eth0");
    snprintf(f->ifaces[1].name, sizeof f->ifaces[1].name, "tun0");
    f->ifaces[0].link_type = LINK_ETHERNET;
    f->ifaces[1].link_type = LINK_RAW;
    f->next_ns = DAY_NS;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    file_writer_free(f->writer);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    (void)!system(command); /* NOLINT: a folder of our own */
    mem_free(f);
    return 0;
}

static void open_writer(struct fixture *f, const char *name, struct file_writer_opts opts,
                        uint32_t n_ifaces)
{
    struct err err = {0};

    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    opts.path = f->path;
    assert_int_equal(file_writer_new(&opts, &f->writer, &err), 0);
    assert_int_equal(f->writer->ops->begin(f->writer, f->ifaces, n_ifaces, &err), 0);
}

/* A block of n packets with rising time stamps, a second apart. */
static int give(struct fixture *f, uint32_t iface, unsigned n, uint32_t caplen, struct err *err)
{
    static const uint8_t bytes[4096];
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);

    for (unsigned i = 0; i < n; i++) {
        const struct packet_view packet = {
            .time_ns = f->next_ns, .iface = iface, .caplen = caplen, .len = caplen, .data = bytes};
        assert_true(block_append(block, &packet));
        f->next_ns += 1000000000u;
    }
    int code = f->writer->ops->block(f->writer, block, &f->load, err);
    block_unref(block);
    return code;
}

static void finish(struct fixture *f, uint32_t n_ifaces)
{
    const struct ledger ledgers[2] = {{.captured = 1}, {.captured = 2}};
    const struct ledger total = {.captured = 3, .store = 4};
    struct err err = {0};

    assert_int_equal(f->writer->ops->finish(f->writer, ledgers, n_ifaces, &total, f->next_ns, &err),
                     0);
}

struct counting_sink {
    struct source_sink sink;
    unsigned n;
    uint64_t last_ns;
    unsigned per_iface[4];
};

static bool count_packet(struct source_sink *sink, const struct packet_view *packet)
{
    struct counting_sink *counting = container_of(sink, struct counting_sink, sink);

    counting->n++;
    counting->last_ns = packet->time_ns;
    counting->per_iface[packet->iface % 4]++;
    return true;
}

/* Reads a file back with our own reader; -1 when it is not whole. */
static int packets_in(const char *path, struct counting_sink *counting)
{
    struct source *source = NULL;
    struct err err = {0};
    int got;

    *counting = (struct counting_sink){.sink = {count_packet}};
    if (source_file_open(path, &source, &err) < 0) {
        return -1;
    }
    while ((got = source->ops->read(source, &counting->sink, &err)) == SOURCE_MORE) {
    }
    source->ops->close(source);
    return got == SOURCE_END ? (int)counting->n : -1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* All files of the folder, in order of their names: how many, and their packets in `packets`. */
static int read_all(const struct fixture *f, int *packets, int max, off_t *largest)
{
    struct dirent **entries = NULL;
    int n = scandir(f->dir, &entries, not_hidden, by_name);

    *largest = 0;
    for (int i = 0; i < n; i++) {
        struct counting_sink counting;
        struct stat st;
        char path[512];

        snprintf(path, sizeof path, "%s/%s", f->dir, entries[i]->d_name);
        assert_int_equal(stat(path, &st), 0);
        *largest = st.st_size > *largest ? st.st_size : *largest;
        if (i < max) {
            packets[i] = packets_in(path, &counting);
        }
        free(entries[i]);
    }
    free(entries);
    return n;
}

static void a_pcapng_holds_all_packets_and_interfaces(void **state)
{
    struct fixture *f = *state;
    struct counting_sink counting;
    struct stat st;
    struct err err = {0};

    open_writer(f, "a.pcapng", (struct file_writer_opts){.application = "test"}, 1);
    assert_int_equal(give(f, 0, 10, 100, &err), 0);
    assert_int_equal(f->writer->ops->ifaces(f->writer, f->ifaces, 2, &err), 0);
    assert_int_equal(give(f, 1, 5, 101, &err), 0);
    finish(f, 2);
    assert_int_equal(packets_in(f->path, &counting), 15);
    assert_int_equal(counting.per_iface[0], 10);
    assert_int_equal(counting.per_iface[1], 5);
    assert_true(counting.last_ns == DAY_NS + 14ull * 1000000000u);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_file_that_was_there_is_replaced_and_closed_to_others(void **state)
{
    struct fixture *f = *state;
    struct counting_sink counting;
    struct stat st;

    snprintf(f->path, sizeof f->path, "%s/a.pcapng", f->dir);
    FILE *old = fopen(f->path, "we");
    fputs("much that is old, and readable by everybody", old);
    fclose(old);
    assert_int_equal(chmod(f->path, 0644), 0);
    open_writer(f, "a.pcapng", (struct file_writer_opts){0}, 1);
    finish(f, 1);
    assert_int_equal(packets_in(f->path, &counting), 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_classic_file_is_readable_and_refuses_a_second_link_type(void **state)
{
    struct fixture *f = *state;
    struct counting_sink counting;
    struct err err = {0};

    open_writer(f, "a.pcap", (struct file_writer_opts){0}, 1);
    assert_int_equal(give(f, 0, 10, 99, &err), 0);
    assert_int_equal(f->writer->ops->ifaces(f->writer, f->ifaces, 2, &err), ERR_UNSUPPORTED);
    finish(f, 1);
    assert_int_equal(packets_in(f->path, &counting), 10);
    assert_true(counting.last_ns == DAY_NS + 9ull * 1000000000u);
}

static void a_capture_that_cannot_start_takes_nothing_away(void **state)
{
    struct fixture *f = *state;
    struct file_writer_opts opts = {0};
    struct err err = {0};
    struct stat st;

    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, "there.pcap");
    opts.path = f->path;
    int fd = open(f->path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "old", 3), 3);
    close(fd);
    for (int there = 1; there >= 0; there--) {
        assert_int_equal(file_writer_new(&opts, &f->writer, &err), 0);
        assert_int_equal(f->writer->ops->begin(f->writer, f->ifaces, 2, &err), ERR_UNSUPPORTED);
        file_writer_free(f->writer);
        f->writer = NULL;
        assert_int_equal(stat(f->path, &st), there == 1 ? 0 : -1);
        assert_true(there == 0 || st.st_size == 3);
        unlink(f->path);
    }
}

static void an_empty_capture_is_a_valid_file(void **state)
{
    struct fixture *f = *state;
    struct counting_sink counting;

    open_writer(f, "a.pcapng", (struct file_writer_opts){0}, 0);
    finish(f, 0);
    assert_int_equal(packets_in(f->path, &counting), 0);
}

static void rotation_by_size_splits_between_packets(void **state)
{
    struct fixture *f = *state;
    int packets[64] = {0};
    off_t largest;
    int sum = 0;
    struct err err = {0};

    open_writer(f, "a.pcapng", (struct file_writer_opts){.rotate_bytes = 10000}, 1);
    assert_int_equal(give(f, 0, 100, 200, &err), 0);
    assert_int_equal(give(f, 0, 1, 200, &err), 0);
    finish(f, 1);
    int n = read_all(f, packets, 64, &largest);
    assert_in_range(n, 3, 4);
    for (int i = 0; i < n; i++) {
        assert_true(packets[i] > 0);
        sum += packets[i];
    }
    assert_int_equal(sum, 101);
    assert_true(largest <= 10000);
}

static void a_packet_larger_than_the_size_gets_a_file_of_its_own(void **state)
{
    struct fixture *f = *state;
    int packets[8] = {0};
    off_t largest;
    struct err err = {0};

    open_writer(f, "a.pcapng", (struct file_writer_opts){.rotate_bytes = 1000}, 1);
    assert_int_equal(give(f, 0, 3, 2000, &err), 0);
    finish(f, 1);
    assert_int_equal(read_all(f, packets, 8, &largest), 3);
    assert_int_equal(packets[0], 1);
    assert_int_equal(packets[2], 1);
}

static void only_the_newest_files_are_kept(void **state)
{
    struct fixture *f = *state;
    struct file_writer_stats stats;
    int packets[8] = {0};
    off_t largest;
    struct err err = {0};

    open_writer(f, "a.pcap", (struct file_writer_opts){.rotate_bytes = 1000, .rotate_files = 2}, 1);
    assert_int_equal(give(f, 0, 40, 100, &err), 0); /* 8 a file */
    finish(f, 1);
    assert_int_equal(read_all(f, packets, 8, &largest), 2);
    assert_int_equal(packets[0], 8);
    assert_int_equal(packets[1], 8);
    file_writer_stats(f->writer, &stats);
    assert_int_equal(stats.files, 5);
    assert_int_equal(stats.packets, 40);
}

static void files_rotate_by_packet_time(void **state)
{
    struct fixture *f = *state;
    int packets[8] = {0};
    off_t largest;
    struct err err = {0};

    f->load.may_wait = true;
    open_writer(f, "a.pcapng", (struct file_writer_opts){.rotate_ns = 10000000000u}, 1);
    assert_int_equal(give(f, 0, 25, 100, &err), 0); /* a second apart */
    assert_int_equal(give(f, 0, 3, 100, &err), 0);
    finish(f, 1);
    assert_int_equal(read_all(f, packets, 8, &largest), 3);
    assert_int_equal(packets[0], 10);
    assert_int_equal(packets[1], 10);
    assert_int_equal(packets[2], 8);
}

static void live_captures_rotate_by_the_clock_and_not_while_empty(void **state)
{
    struct fixture *f = *state;
    int packets[8] = {0};
    off_t largest;
    struct err err = {0};

    open_writer(f, "a.pcapng", (struct file_writer_opts){.rotate_ns = 1}, 1);
    assert_int_equal(give(f, 0, 5, 100, &err), 0);
    assert_int_equal(give(f, 0, 5, 100, &err), 0);
    assert_int_equal(f->writer->ops->tick(f->writer, UINT64_MAX / 2, &err), 0);
    assert_int_equal(f->writer->ops->tick(f->writer, UINT64_MAX / 2 + 10, &err), 0);
    finish(f, 1);
    assert_int_equal(read_all(f, packets, 8, &largest), 3);
    assert_int_equal(packets[0], 5);
    assert_int_equal(packets[1], 5);
    assert_int_equal(packets[2], 0);
}

static void standard_output_is_not_rotated(void **state)
{
    const struct file_writer_opts opts = {.path = "-", .rotate_bytes = 1};
    struct consumer *writer = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_writer_new(&opts, &writer, &err), ERR_USAGE);
}

static void a_name_that_cannot_be_written_is_in_the_error(void **state)
{
    const struct file_writer_opts opts = {.path = "/nowhere/a.pcapng"};
    struct consumer *writer = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_writer_new(&opts, &writer, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/a.pcapng"));
}

/* The limit on file sizes stands in for a full disk: the write is cut in the middle of a packet. */
static void what_is_written_when_the_disk_is_full_is_valid(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, small = {.rlim_cur = 5000};
    struct counting_sink counting;
    struct err err = {0};

    signal(SIGXFSZ, SIG_IGN);
    open_writer(f, "a.pcapng", (struct file_writer_opts){0}, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = give(f, 0, 100, 100, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(code, ERR_IO);
    int n = packets_in(f->path, &counting);
    assert_in_range(n, 30, 37);
    assert_int_equal(f->writer->ops->lost(f->writer), 100 - n);
    finish(f, 1);
    assert_int_equal(packets_in(f->path, &counting), n);
}

static void a_pipe_that_nobody_reads_is_told_apart(void **state)
{
    struct fixture *f = *state;
    struct file_writer_opts opts = {.path = f->path};
    struct err err = {0};
    int fds[2];

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    snprintf(f->path, sizeof f->path, "/dev/fd/%d", fds[1]);
    assert_int_equal(file_writer_new(&opts, &f->writer, &err), 0);
    assert_int_equal(f->writer->ops->tick(f->writer, 1, &err), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(f->writer->ops->tick(f->writer, 1, &err), -EPIPE);
    assert_int_equal(f->writer->ops->begin(f->writer, f->ifaces, 1, &err), -EPIPE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pcapng_holds_all_packets_and_interfaces),
        TEST(a_file_that_was_there_is_replaced_and_closed_to_others),
        TEST(a_classic_file_is_readable_and_refuses_a_second_link_type),
        TEST(a_capture_that_cannot_start_takes_nothing_away),
        TEST(an_empty_capture_is_a_valid_file),
        TEST(rotation_by_size_splits_between_packets),
        TEST(a_packet_larger_than_the_size_gets_a_file_of_its_own),
        TEST(only_the_newest_files_are_kept),
        TEST(files_rotate_by_packet_time),
        TEST(live_captures_rotate_by_the_clock_and_not_while_empty),
        TEST(standard_output_is_not_rotated),
        TEST(a_name_that_cannot_be_written_is_in_the_error),
        TEST(what_is_written_when_the_disk_is_full_is_valid),
        TEST(a_pipe_that_nobody_reads_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
