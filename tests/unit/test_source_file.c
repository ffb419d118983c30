/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/capture/source_file.h"
#include "shared/packet/pcap.h"
#include "tests/support/capture_bytes.h"

static const uint8_t packet_bytes[] = "0123456789";
static char folder[] = "/tmp/test_source_file.XXXXXX";

/* Takes packets and adds up what they were. */
struct taker {
    struct source_sink sink;
    struct source *source;
    uint64_t n;
    uint64_t sum; /* over all that is in the packets, order included */
    uint64_t stop_after;
};

static void add(struct taker *taker, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i++) {
        taker->sum = (taker->sum ^ p[i]) * 1099511628211u;
    }
}

static bool take(struct source_sink *sink, const struct packet_view *packet)
{
    struct taker *taker = container_of(sink, struct taker, sink);

    assert_true(packet->iface < taker->source->n_ifaces);
    add(taker, &packet->time_ns, sizeof packet->time_ns);
    add(taker, &packet->iface, sizeof packet->iface);
    add(taker, &packet->len, sizeof packet->len);
    add(taker, packet->data, packet->caplen);
    add(taker, packet->options, packet->options_len);
    taker->n++;
    return taker->n != taker->stop_after;
}

static char *path_of(const char *name)
{
    return x_sprintf("%s/%s", folder, name);
}

static char *write_file(const char *name, const void *bytes, size_t n)
{
    char *path = path_of(name);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* Opens and reads to the end: SOURCE_END or the error of either. */
static int read_all(const char *path, struct taker *taker, struct err *err)
{
    struct source *source;

    *taker = (struct taker){.sink.packet = take, .stop_after = taker->stop_after};
    int rc = source_file_open(path, &source, err);
    if (rc < 0) {
        return rc;
    }
    taker->source = source;
    do {
        rc = source->ops->read(source, &taker->sink, err);
    } while (rc == SOURCE_MORE);
    source->ops->close(source);
    return rc;
}

static int read_bytes(const void *bytes, size_t n, struct taker *taker, struct err *err)
{
    char *path = write_file("file", bytes, n);
    int rc = read_all(path, taker, err);

    mem_free(path);
    return rc;
}

/* Two sections, of either byte order, with options. */
static struct capture_bytes small_pcapng(void)
{
    struct capture_bytes cb = {0};

    for (int i = 0; i < 2; i++) {
        cb.big = i == 1;
        cb_section(&cb);
        cb_interface(&cb, LINK_ETHERNET, 65535, "eth0", 9);
        cb_packet(&cb, 0, 1000, packet_bytes, 10, 60);
        cb_option(&cb, OPT_COMMENT, "hello", 5);
        cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
        cb_end(&cb);
        cb_interface(&cb, LINK_RAW, 65535, "tun0", 6);
        cb_packet(&cb, 1, 2000, packet_bytes, 3, 3);
        cb_end(&cb);
    }
    return cb;
}

static struct capture_bytes small_pcap(bool big)
{
    struct capture_bytes cb = {.big = big};

    cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, 2, 4, 65535, LINK_ETHERNET);
    for (uint32_t i = 0; i < 4; i++) {
        cb_record(&cb, 100 + i, i, i, 60);
        buf_append(&cb.buf, packet_bytes, i);
    }
    return cb;
}

static void a_file_gives_its_packets_and_interfaces(void **state)
{
    struct capture_bytes cb = small_pcapng();
    struct taker taker = {.sink.packet = take};
    struct source_stats stats;
    struct err err = {0};
    uint64_t n_done, size;

    (void)state;
    char *path = write_file("whole.pcapng", cb.buf.data, cb.buf.len);
    assert_int_equal(source_file_open(path, &taker.source, &err), 0);
    struct source *source = taker.source;
    assert_int_equal(source->n_ifaces, 1); /* what stands before the first packet is known */
    assert_string_equal(source->ifaces[0].name, "eth0");
    assert_int_equal(source->ops->fd(source), -1);
    int rc;
    while ((rc = source->ops->read(source, &taker.sink, &err)) == SOURCE_MORE) {
    }
    assert_int_equal(rc, SOURCE_END);
    assert_int_equal(taker.n, 4);
    assert_int_equal(source->n_ifaces, 4);
    assert_string_equal(source->ifaces[3].name, "tun0");
    source->ops->stats(source, &stats);
    assert_int_equal(stats.received, 4);
    assert_true(stats.kernel == SOURCE_UNKNOWN && stats.interface == SOURCE_UNKNOWN);
    source_file_progress(source, &n_done, &size);
    assert_int_equal(n_done, cb.buf.len);
    assert_int_equal(size, cb.buf.len);
    source->ops->close(source);
    mem_free(path);
    buf_deinit(&cb.buf);
}

static void every_cut_of_a_file_gives_a_prefix_and_says_where(void **state)
{
    struct capture_bytes files[] = {small_pcapng(), small_pcap(false), small_pcap(true)};
    struct err err = {0};
    char where[32];

    (void)state;
    for (size_t f = 0; f < 3; f++) {
        struct taker before = {0};
        unsigned n_whole = 0;
        for (size_t n = 0; n <= files[f].buf.len; n++) {
            struct taker taker = {0};
            int rc = read_bytes(files[f].buf.data, n, &taker, &err);
            snprintf(where, sizeof where, "byte %zu", n);
            assert_true(rc == SOURCE_END || rc == ERR_DAMAGED);
            assert_true(rc == SOURCE_END || n == 0 || strstr(err.text, where) != NULL);
            /* One byte more never takes a packet away, nor changes those before. */
            assert_true(taker.n == before.n ? taker.sum == before.sum : taker.n == before.n + 1);
            n_whole += rc == SOURCE_END ? 1 : 0;
            before = taker;
        }
        assert_int_equal(before.n, 4);
        /* pcap: after its header and each packet; pcapng: after each block. */
        assert_int_equal(n_whole, f == 0 ? 10 : 5);
        buf_deinit(&files[f].buf);
    }
}

/* Every seventh, that is: a bit of every byte. tests/fuzz flips them all, in memory. */
static void flipped_bits_are_survived(void **state)
{
    struct capture_bytes cb = small_pcapng();
    struct err err = {0};

    (void)state;
    for (size_t bit = 0; bit < cb.buf.len * 8; bit += 7) {
        struct taker taker = {0};
        cb.buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = read_bytes(cb.buf.data, cb.buf.len, &taker, &err);
        assert_true(rc == SOURCE_END || rc < 0);
        assert_true(taker.n <= 4);
        cb.buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_deinit(&cb.buf);
}

/* A pcapng of n packets of odd lengths, some of them larger than the reader's buffer. */
static struct capture_bytes large_pcapng(unsigned n, struct taker *expected)
{
    uint32_t most = 3 * 1024 * 1024;
    uint8_t *bytes = x_alloc(most);
    struct capture_bytes cb = {0};

    for (uint32_t i = 0; i < most; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    cb_section(&cb);
    cb_interface(&cb, LINK_ETHERNET, 0, "eth0", 9);
    struct iface iface = {0};
    struct source source = {.ifaces = &iface, .n_ifaces = 1};
    *expected = (struct taker){.source = &source};
    for (unsigned i = 0; i < n; i++) {
        uint32_t caplen = i % 1000 == 999 ? most - i : i % 1499;
        struct packet_view packet = {
            .time_ns = i, .caplen = caplen, .len = caplen + 1, .data = bytes};
        cb_packet(&cb, 0, i, bytes, caplen, caplen + 1);
        cb_end(&cb);
        take(&expected->sink, &packet);
    }
    expected->source = NULL;
    mem_free(bytes);
    return cb;
}

static void packets_across_and_beyond_the_buffer_arrive_whole(void **state)
{
    struct taker expected;
    struct capture_bytes cb = large_pcapng(3000, &expected);
    struct taker taker = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(read_bytes(cb.buf.data, cb.buf.len, &taker, &err), SOURCE_END);
    assert_int_equal(taker.n, 3000);
    assert_int_equal(taker.sum, expected.sum);
    buf_deinit(&cb.buf);
}

static void a_pipe_is_read_as_it_comes(void **state)
{
    struct capture_bytes cb = small_pcapng();
    struct taker taker = {.sink.packet = take};
    struct err err = {0};
    int saved = dup(STDIN_FILENO);
    uint64_t n_done, size;
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(dup2(pipes[0], STDIN_FILENO), STDIN_FILENO);
    close(pipes[0]);
    /* All but the last two bytes; the last packet is then not whole. */
    assert_int_equal(write(pipes[1], cb.buf.data, cb.buf.len - 2), cb.buf.len - 2);
    assert_int_equal(source_file_open("-", &taker.source, &err), 0);
    struct source *source = taker.source;
    assert_int_equal(write(pipes[1], cb.buf.data + cb.buf.len - 2, 2), 2);
    assert_int_equal(source->ops->read(source, &taker.sink, &err), SOURCE_MORE);
    assert_int_equal(taker.n, 3);
    close(pipes[1]);
    int rc;
    while ((rc = source->ops->read(source, &taker.sink, &err)) == SOURCE_MORE) {
    }
    assert_int_equal(rc, SOURCE_END);
    assert_int_equal(taker.n, 4);
    source_file_progress(source, &n_done, &size);
    assert_int_equal(n_done, cb.buf.len);
    assert_int_equal(size, 0);
    source->ops->close(source);
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* closing it is not the source's */
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
    buf_deinit(&cb.buf);
}

static void the_sink_stops_the_source_and_can_go_on(void **state)
{
    struct capture_bytes cb = small_pcap(false);
    struct taker taker = {.sink.packet = take, .stop_after = 2};
    struct err err = {0};

    (void)state;
    char *path = write_file("stop.pcap", cb.buf.data, cb.buf.len);
    assert_int_equal(source_file_open(path, &taker.source, &err), 0);
    struct source *source = taker.source;
    assert_int_equal(source->ops->read(source, &taker.sink, &err), SOURCE_STOPPED);
    assert_int_equal(taker.n, 2);
    int rc;
    while ((rc = source->ops->read(source, &taker.sink, &err)) == SOURCE_MORE) {
    }
    assert_int_equal(rc, SOURCE_END);
    assert_int_equal(taker.n, 4);
    source->ops->close(source);
    mem_free(path);
    buf_deinit(&cb.buf);
}

static void damage_gives_all_packets_before_it_and_the_same_answer_again(void **state)
{
    struct capture_bytes cb = small_pcap(false);
    struct taker taker = {.sink.packet = take};
    struct err err = {0};

    (void)state;
    cb_record(&cb, 1, 2, 4000000, 60);
    char *path = write_file("damaged.pcap", cb.buf.data, cb.buf.len);
    assert_int_equal(source_file_open(path, &taker.source, &err), 0);
    struct source *source = taker.source;
    int rc;
    while ((rc = source->ops->read(source, &taker.sink, &err)) == SOURCE_MORE) {
    }
    assert_int_equal(rc, ERR_DAMAGED);
    assert_int_equal(taker.n, 4);
    assert_non_null(strstr(err.text, "damaged.pcap: damaged at byte 94"));
    assert_int_equal(source->ops->read(source, &taker.sink, NULL), ERR_DAMAGED);
    assert_int_equal(taker.n, 4);
    source->ops->close(source);
    mem_free(path);
    buf_deinit(&cb.buf);
}

static void what_is_no_capture_is_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code;
        const char *word;
    } cases[] = {
        {"", 0, ERR_DAMAGED, "empty"},
        {"\x1f\x8b\x08\x00\x00\x00", 6, ERR_UNSUPPORTED, "gzip -d"},
        {"\x28\xb5\x2f\xfd\x00\x00", 6, ERR_UNSUPPORTED, "zstd -d"},
        {"SQLite format 3", 15, ERR_UNSUPPORTED, "-d"},
        {"hello world", 11, ERR_DAMAGED, "text"},
        {"\x01\x02\x03\x04\x05", 5, ERR_DAMAGED, "01 02 03 04"},
        {"\xd4\xc3\xb2\xa1\x02\x00", 6, ERR_DAMAGED, "byte 6: not even its header"},
        {"\x0a\x0d\x0d\x0a\x1c\x00", 6, ERR_DAMAGED, "byte 6: not even its header"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct taker taker = {0};
        struct err err = {0};
        int rc = read_bytes(cases[i].bytes, cases[i].n, &taker, &err);
        if (rc != cases[i].code || strstr(err.text, cases[i].word) == NULL) {
            fail_msg("case %zu: %d '%s'", i, rc, err.text);
        }
    }
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct taker taker = {0};
    struct err err = {0};

    (void)state;
    char *path = path_of("absent");
    assert_int_equal(read_all(path, &taker, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
    mem_free(path);
    assert_int_equal(read_all(folder, &taker, &err), ERR_IO);
    assert_non_null(strstr(err.text, "directory"));
}

static void a_pcapng_without_interfaces_or_packets_is_empty(void **state)
{
    struct capture_bytes cb = {.big = true};
    struct taker taker = {0};
    struct err err = {0};

    (void)state;
    cb_section(&cb);
    assert_int_equal(read_bytes(cb.buf.data, cb.buf.len, &taker, &err), SOURCE_END);
    assert_int_equal(taker.n, 0);
    buf_deinit(&cb.buf);
}

static void losses_are_counted(void **state)
{
    struct taker taker = {.sink.packet = take};
    struct capture_bytes cb = {0};
    uint64_t cut, options;
    struct err err = {0};

    (void)state;
    cb_section(&cb);
    cb_interface(&cb, LINK_ETHERNET, 4, "eth0", 9);
    cb_packet(&cb, 0, 1, packet_bytes, 10, 60);
    cb_option(&cb, OPT_COMMENT, "hello", 5);
    cb_u32(&cb, 0xffff0001);
    cb_end(&cb);
    char *path = write_file("losses.pcapng", cb.buf.data, cb.buf.len);
    assert_int_equal(source_file_open(path, &taker.source, &err), 0);
    struct source *source = taker.source;
    assert_int_equal(source->ops->read(source, &taker.sink, &err), SOURCE_MORE);
    source_file_losses(source, &cut, &options);
    assert_int_equal(cut, 1);
    assert_int_equal(options, 1);
    source->ops->close(source);
    mem_free(path);
    buf_deinit(&cb.buf);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"file", "whole.pcapng", "stop.pcap", "damaged.pcap",
                                        "losses.pcapng"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = path_of(names[i]);
        unlink(path);
        mem_free(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_its_packets_and_interfaces),
        cmocka_unit_test(every_cut_of_a_file_gives_a_prefix_and_says_where),
        cmocka_unit_test(flipped_bits_are_survived),
        cmocka_unit_test(packets_across_and_beyond_the_buffer_arrive_whole),
        cmocka_unit_test(a_pipe_is_read_as_it_comes),
        cmocka_unit_test(the_sink_stops_the_source_and_can_go_on),
        cmocka_unit_test(damage_gives_all_packets_before_it_and_the_same_answer_again),
        cmocka_unit_test(what_is_no_capture_is_named),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_pcapng_without_interfaces_or_packets_is_empty),
        cmocka_unit_test(losses_are_counted),
    };
    return cmocka_run_group_tests_name("source_file", tests, make_folder, remove_folder);
}
