/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/file_writer_posix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/bytes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/file_encode.h"
#include "shared/capture/file_output_posix.h"
#include "shared/packet/pcap.h"

/* What a statistics block takes at most: its fields and our comment. */
#define STATISTICS_BYTES 256u

struct file_writer {
    struct consumer consumer;
    struct file_output out;
    enum file_format format;
    char *path; /* as the user gave it */
    char *application;
    uint64_t rotate_bytes;
    uint64_t rotate_ns;
    uint64_t until_ns; /* when the file is over: monotonic, or packet time; 0 = not known yet */
    char **names;      /* of the files that are kept, a ring; NULL = all are kept */
    uint32_t keep;
    uint32_t n_files; /* begun so far */
    bool head_written;
    bool live;                  /* known with the first block */
    const struct iface *ifaces; /* borrowed from the session */
    uint32_t n_ifaces;
    struct buf scratch;
    struct ledger *ledgers; /* the last that were told; n_ledgers of them */
    uint32_t n_ledgers;
    uint64_t ledgers_ns;
    uint64_t started_ns;
    uint64_t packets_in_file;
    uint64_t packets;
    uint64_t bytes; /* of the files that are closed */
    atomic_uint_fast64_t lost;
};

static struct file_writer *writer_of(struct consumer *consumer)
{
    return container_of(consumer, struct file_writer, consumer);
}

static bool rotates(const struct file_writer *w)
{
    return w->rotate_bytes != 0 || w->rotate_ns != 0;
}

static int write_bytes(struct file_writer *w, const void *data, size_t n, struct err *err)
{
    int code = file_output_write(
        &w->out, data, n, w->format == FILE_FORMAT_PCAP ? file_whole_pcap : file_whole_pcapng, err);

    if (code == ERR_FULL) {
        return err_set(err, ERR_FULL,
                       "the disk of '%s' is full; the capture has ended, and the file is valid up "
                       "to there",
                       w->out.path);
    }
    return code;
}

static int flush_scratch(struct file_writer *w, struct err *err)
{
    int code = write_bytes(w, w->scratch.data, w->scratch.len, err);

    buf_reset(&w->scratch);
    return code;
}

/* The oldest goes when a new one makes more than are kept. */
static void remember_name(struct file_writer *w, const char *name)
{
    if (w->names == NULL) {
        return;
    }
    char **slot = &w->names[w->n_files % w->keep];
    if (*slot != NULL) {
        (void)unlink(*slot);
    }
    mem_free(*slot);
    *slot = x_strdup(name);
}

static char *next_name(const struct file_writer *w)
{
    char text[FILE_NAME_TIME_MAX];
    time_t now = (time_t)(clock_wall_ns() / 1000000000u);
    struct tm tm;

    if (!rotates(w)) {
        return x_strdup(w->path);
    }
    localtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm);
    return file_name_rotated(w->path, w->n_files + 1, text);
}

static int open_next(struct file_writer *w, struct err *err)
{
    char *name = next_name(w);
    int code = file_output_open(&w->out, name, err);

    if (code == 0) {
        remember_name(w, name);
        w->n_files++;
        w->packets_in_file = 0;
        w->head_written = false;
        w->until_ns = 0;
    }
    mem_free(name);
    return code;
}

/* Late, because the interfaces must be known. */
static int write_head(struct file_writer *w, struct err *err)
{
    if (w->head_written) {
        return 0;
    }
    file_encode_head(&w->scratch, w->format, w->ifaces, w->n_ifaces, w->application);
    int code = flush_scratch(w, err);
    w->head_written = code == 0;
    return code;
}

static int write_statistics(struct file_writer *w, uint64_t lost, bool at_end, struct err *err)
{
    const struct file_statistics statistics = {
        .ledgers = w->ledgers,
        .n = w->n_ledgers,
        .lost = lost,
        .start_ns = w->started_ns,
        .now_ns = w->ledgers_ns,
        .at_end = at_end,
    };

    if (w->format == FILE_FORMAT_PCAP || w->n_ledgers == 0) {
        return 0;
    }
    file_encode_statistics(&w->scratch, &statistics);
    return flush_scratch(w, err);
}

static int close_file(struct file_writer *w, struct err *err)
{
    w->bytes += w->out.bytes;
    return file_output_close(&w->out, err);
}

static int rotate(struct file_writer *w, struct err *err)
{
    int code = write_head(w, err);

    code = code == 0 ? write_statistics(w, 0, false, err) : code;
    code = code == 0 ? close_file(w, err) : code;
    code = code == 0 ? open_next(w, err) : code;
    return code == 0 ? write_head(w, err) : code;
}

static void keep_ledgers(struct file_writer *w, const struct ledger *ledgers, uint32_t n,
                         uint64_t now_ns)
{
    w->ledgers = x_realloc(w->ledgers, n * sizeof *w->ledgers);
    if (n > 0) {
        memcpy(w->ledgers, ledgers, n * sizeof *ledgers);
    }
    w->n_ledgers = n;
    w->ledgers_ns = now_ns;
}

/* How many packets are in the first n bytes of what was written for a run. */
static uint32_t count_packets(const struct file_writer *w, const uint8_t *data, size_t n)
{
    uint32_t packets = 0;

    for (size_t at = 0; at < n; packets++) {
        at += w->format == FILE_FORMAT_PCAP ? PCAP_RECORD_HEADER_BYTES + get_le32(data + at + 8)
                                            : get_le32(data + at + 4);
    }
    return packets;
}

/* A run of packets that goes into the present file. What a failure left out is counted as lost. */
static int write_run(struct file_writer *w, const uint8_t *run, size_t n, uint32_t n_packets,
                     struct err *err)
{
    const uint8_t *data = run;
    uint64_t before = w->out.bytes;
    uint32_t written = n_packets;

    if (n == 0) {
        return 0;
    }
    if (w->format == FILE_FORMAT_PCAP) {
        written -= file_encode_records(&w->scratch, run, n);
        data = w->scratch.data;
        n = w->scratch.len;
    }
    int code = write_bytes(w, data, n, err);
    if (code < 0) {
        written = count_packets(w, data, (size_t)(w->out.bytes - before));
    }
    buf_reset(&w->scratch);
    atomic_fetch_add(&w->lost, n_packets - written);
    w->packets += written;
    w->packets_in_file += written;
    return code;
}

static uint64_t size_limit(const struct file_writer *w)
{
    uint64_t closing = w->format == FILE_FORMAT_PCAP ? 0 : (uint64_t)w->n_ifaces * STATISTICS_BYTES;

    if (w->rotate_bytes == 0) {
        return UINT64_MAX;
    }
    return w->rotate_bytes / 4 > closing ? w->rotate_bytes - closing : w->rotate_bytes;
}

/* What the packet takes in the file. */
static uint64_t packet_bytes(const struct file_writer *w, const struct packet_view *packet)
{
    return w->format == FILE_FORMAT_PCAP ? PCAP_RECORD_HEADER_BYTES + packet->caplen
                                         : block_packet_bytes(packet->caplen, packet->options_len);
}

/* Packet by packet, a new file where one is due; runs between them are written at once. */
static int write_split(struct file_writer *w, const struct block *block, bool by_packet_time,
                       struct err *err)
{
    struct block_cursor cursor = block_cursor(block->data, block->len);
    const uint8_t *run = cursor.p;
    const uint8_t *before = cursor.p;
    struct packet_view packet;
    uint64_t size = w->out.bytes;
    uint32_t n = 0;
    int code = 0;

    while (code == 0 && block_next(&cursor, &packet) == 1) {
        bool over = size + packet_bytes(w, &packet) > size_limit(w);

        if (by_packet_time && w->until_ns == 0) {
            w->until_ns = packet.time_ns + w->rotate_ns;
        }
        over = over || (by_packet_time && packet.time_ns >= w->until_ns);
        if (over && w->packets_in_file + n > 0) {
            code = write_run(w, run, (size_t)(before - run), n, err);
            code = code == 0 ? rotate(w, err) : code;
            w->until_ns = by_packet_time ? packet.time_ns + w->rotate_ns : w->until_ns;
            run = before;
            size = w->out.bytes;
            n = 0;
        }
        size += packet_bytes(w, &packet);
        n++;
        before = cursor.p;
    }
    return code == 0 ? write_run(w, run, (size_t)(cursor.p - run), n, err) : code;
}

/* Live: by the clock. A file that holds nothing yet is not ended. */
static int rotate_by_clock(struct file_writer *w, uint64_t now_ns, struct err *err)
{
    if (w->rotate_ns == 0) {
        return 0;
    }
    if (w->until_ns == 0) {
        w->until_ns = now_ns + w->rotate_ns;
    }
    if (now_ns < w->until_ns || w->packets_in_file == 0) {
        return 0;
    }
    int code = rotate(w, err);
    w->until_ns = now_ns + w->rotate_ns;
    return code;
}

static int writer_ifaces(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                         struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    uint32_t known = w->n_ifaces;

    w->ifaces = ifaces;
    w->n_ifaces = n;
    if (w->format == FILE_FORMAT_PCAP) {
        return file_encode_check_pcap(ifaces, n, err);
    }
    if (!w->head_written) {
        return 0;
    }
    file_encode_ifaces(&w->scratch, ifaces, known, n);
    return flush_scratch(w, err);
}

static int writer_begin(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                        struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    int code = writer_ifaces(consumer, ifaces, n, err);

    w->started_ns = clock_wall_ns();
    /* at once, so that a reader of a pipe can begin; but not before the link type is known */
    return code == 0 && n > 0 ? write_head(w, err) : code;
}

static int writer_block(struct consumer *consumer, struct block *block,
                        const struct consumer_load *load, struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    bool by_packet_time = load->may_wait && w->rotate_ns != 0;
    int code = write_head(w, err);

    w->live = !load->may_wait;
    if (code == 0 && w->live && w->rotate_ns != 0) {
        code = rotate_by_clock(w, clock_monotonic_ns(), err);
    }
    if (code < 0) {
        return code;
    }
    if (by_packet_time || w->out.bytes + block->len > size_limit(w)) {
        return write_split(w, block, by_packet_time, err);
    }
    return write_run(w, block->data, block->len, block->n_packets, err);
}

static int writer_tick(struct consumer *consumer, uint64_t now_ns, struct err *err)
{
    struct file_writer *w = writer_of(consumer);

    int code = file_output_check(&w->out, err);

    return code == 0 && w->live ? rotate_by_clock(w, now_ns, err) : code;
}

static int writer_counters(struct consumer *consumer, const struct ledger *ledgers, uint32_t n,
                           uint64_t now_ns, struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    int code = write_head(w, err);

    keep_ledgers(w, ledgers, n, now_ns);
    return code == 0 ? write_statistics(w, 0, false, err) : code;
}

static int writer_finish(struct consumer *consumer, const struct ledger *ledgers, uint32_t n,
                         const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    int code = w->out.fd < 0 ? 0 : write_head(w, err);

    keep_ledgers(w, ledgers, n, ended_ns);
    if (code == 0 && w->out.fd >= 0) {
        code = write_statistics(w, total->store, true, err);
    }
    int closed = close_file(w, code == 0 ? err : NULL);
    return code == 0 ? closed : code;
}

static uint64_t writer_lost(struct consumer *consumer)
{
    return atomic_load(&writer_of(consumer)->lost);
}

static const struct consumer_ops writer_ops = {
    .name = "file",
    .begin = writer_begin,
    .ifaces = writer_ifaces,
    .block = writer_block,
    .tick = writer_tick,
    .finish = writer_finish,
    .lost = writer_lost,
    .counters = writer_counters,
};

int file_writer_new(const struct file_writer_opts *opts, struct consumer **out, struct err *err)
{
    if (strcmp(opts->path, "-") == 0 && (opts->rotate_bytes != 0 || opts->rotate_ns != 0)) {
        return err_set(err, ERR_USAGE, "standard output cannot be rotated; write to a file");
    }
    if (opts->rotate_files > FILE_WRITER_MAX_FILES) {
        return err_set(err, ERR_USAGE, "at most %u files can be kept", FILE_WRITER_MAX_FILES);
    }
    struct file_writer *w = x_alloc(sizeof *w);
    w->consumer.ops = &writer_ops;
    w->out.fd = -1;
    w->format = file_name_format(opts->path);
    w->path = x_strdup(opts->path);
    w->application = opts->application == NULL ? NULL : x_strdup(opts->application);
    w->rotate_bytes = opts->rotate_bytes;
    w->rotate_ns = opts->rotate_ns;
    w->keep = rotates(w) ? opts->rotate_files : 0;
    w->names = w->keep == 0 ? NULL : x_alloc(w->keep * sizeof *w->names);
    int code = open_next(w, err);
    if (code < 0) {
        file_writer_free(&w->consumer);
        return code;
    }
    *out = &w->consumer;
    return 0;
}

void file_writer_free(struct consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    struct file_writer *w = writer_of(consumer);
    file_output_close(&w->out, NULL);
    for (uint32_t i = 0; i < w->keep; i++) {
        mem_free(w->names[i]);
    }
    mem_free(w->names);
    mem_free(w->path);
    mem_free(w->application);
    mem_free(w->ledgers);
    buf_deinit(&w->scratch);
    mem_free(w);
}

int file_writer_statistics(struct consumer *consumer, uint32_t iface,
                           const struct pcapng_statistics *statistics, const char *comment,
                           struct err *err)
{
    struct file_writer *w = writer_of(consumer);
    int code = write_head(w, err);

    if (code < 0 || w->format == FILE_FORMAT_PCAP) {
        return code;
    }
    REQUIRE(iface < w->n_ifaces);
    pcapng_write_statistics(&w->scratch, iface, statistics, comment);
    return flush_scratch(w, err);
}

void file_writer_stats(const struct consumer *consumer, struct file_writer_stats *out)
{
    const struct file_writer *w = container_of(consumer, const struct file_writer, consumer);

    *out =
        (struct file_writer_stats){.packets = w->packets, .bytes = w->bytes, .files = w->n_files};
}
