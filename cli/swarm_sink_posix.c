/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/swarm_sink_posix.h"

#include <errno.h>
#include <poll.h>

#include "shared/base/mem.h"
#include "shared/capture/file_encode.h"
#include "shared/capture/file_output_posix.h"
#include "shared/merge/merge.h"
#include "shared/packet/pcapng_read.h"

/* ---- a file ---- */

struct file_sink {
    struct swarm_sink sink;
    struct file_output out;
};

static struct file_sink *file_of(struct swarm_sink *sink)
{
    return container_of(sink, struct file_sink, sink);
}

static int put_file(struct swarm_sink *sink, const uint8_t *bytes, size_t n, struct err *err)
{
    return file_output_write(&file_of(sink)->out, bytes, n, file_whole_pcapng, err);
}

static int check_file(struct swarm_sink *sink, struct err *err)
{
    return file_output_check(&file_of(sink)->out, err);
}

static void free_file(struct swarm_sink *sink)
{
    struct file_sink *file = file_of(sink);

    (void)file_output_close(&file->out, NULL);
    mem_free(file);
}

int swarm_sink_file(const char *path, struct swarm_sink **out, struct err *err)
{
    struct file_sink *file = x_alloc(sizeof *file);
    int code = file_output_open(&file->out, path, err);

    if (code < 0) {
        mem_free(file);
        return code;
    }
    file->sink = (struct swarm_sink){.put = put_file, .check = check_file, .free = free_file};
    *out = &file->sink;
    return 0;
}

/* ---- lines ---- */

struct line_sink {
    struct swarm_sink sink;
    struct packet_print print;
    struct pcapng_reader reader;
    uint64_t number;
};

static struct line_sink *lines_of(struct swarm_sink *sink)
{
    return container_of(sink, struct line_sink, sink);
}

/* What the merge gives is whole blocks. */
static int put_lines(struct swarm_sink *sink, const uint8_t *bytes, size_t n, struct err *err)
{
    static const struct store_session none;
    struct line_sink *lines = lines_of(sink);
    struct bytes_reader in = bytes_reader(bytes, n);
    struct scan_packet packet = {.session = &none};
    int code;

    while ((code = pcapng_reader_next(&lines->reader, &in, &packet.view, err)) == 1) {
        packet.iface = &lines->reader.ifaces[packet.view.iface];
        packet.number = ++lines->number;
        code = packet_print(&lines->print, &packet, err);
        if (code < 0) {
            return code;
        }
    }
    return code == 0 && fflush(lines->print.out) != 0 ? packet_print_failed(err) : code;
}

static int check_lines(struct swarm_sink *sink, struct err *err)
{
    struct pollfd reader = {.fd = fileno(lines_of(sink)->print.out)};

    if (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0) {
        errno = EPIPE;
        return packet_print_failed(err);
    }
    return 0;
}

static void free_lines(struct swarm_sink *sink)
{
    struct line_sink *lines = lines_of(sink);

    packet_print_deinit(&lines->print);
    pcapng_reader_deinit(&lines->reader);
    mem_free(lines);
}

struct swarm_sink *swarm_sink_lines(const struct packet_print *print)
{
    struct line_sink *lines = x_alloc(sizeof *lines);

    lines->sink = (struct swarm_sink){.put = put_lines, .check = check_lines, .free = free_lines};
    lines->print.out = print->out;
    lines->print.json = print->json;
    lines->print.show_data = print->show_data;
    lines->print.with_interface = true;
    pcapng_reader_init(&lines->reader);
    lines->reader.max_ifaces = MERGE_OUT_IFACES_MAX;
    return &lines->sink;
}
