/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/capture_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/pcap.h"

/* Enough to tell every format apart. */
#define MAGIC_BYTES 4u

/* Formats that are met in place of ours. */
static const struct known_format {
    uint8_t magic[MAGIC_BYTES];
    uint8_t n_magic;
    const char *what;
    const char *way_out;
} known_formats[] = {
    {{0x1f, 0x8b}, 2, "gzip", "decompress it first: gzip -d FILE"},
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, "zstd", "decompress it first: zstd -d FILE"},
    {{0xfd, '7', 'z', 'X'}, 4, "xz", "decompress it first: xz -d FILE"},
    {{'B', 'Z', 'h'}, 3, "bzip2", "decompress it first: bzip2 -d FILE"},
    {{0x04, 0x22, 0x4d, 0x18}, 4, "lz4", "decompress it first: lz4 -d FILE"},
    {{'P', 'K', 3, 4}, 4, "zip", "unpack it first: unzip FILE"},
    {{'s', 'n', 'o', 'o'}, 4, "snoop", "convert it first: editcap FILE OUT.pcapng"},
    {{'G', 'M', 'B', 'U'}, 4, "Network Monitor", "convert it first: editcap FILE OUT.pcapng"},
    {{'R', 'T', 'S', 'S'}, 4, "Network Monitor", "convert it first: editcap FILE OUT.pcapng"},
    {{'S', 'Q', 'L', 'i'}, 4, "SQLite (perhaps a store)", "name a store with -d in place of -r"},
};

void capture_file_init(struct capture_file *file)
{
    *file = (struct capture_file){.format = CAPTURE_UNKNOWN};
    pcapng_reader_init(&file->pcapng);
}

void capture_file_deinit(struct capture_file *file)
{
    pcapng_reader_deinit(&file->pcapng);
    capture_file_init(file);
}

static int refuse_format(const uint8_t *p, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(known_formats); i++) {
        const struct known_format *known = &known_formats[i];
        if (memcmp(p, known->magic, known->n_magic) == 0) {
            return err_set(err, ERR_UNSUPPORTED, "neither pcap nor pcapng but %s; %s", known->what,
                           known->way_out);
        }
    }
    bool text = true;
    for (size_t i = 0; i < MAGIC_BYTES; i++) {
        text = text && (isprint(p[i]) || isspace(p[i]));
    }
    return err_set(err, ERR_DAMAGED,
                   "neither pcap nor pcapng: it starts with %02x %02x %02x %02x%s", p[0], p[1],
                   p[2], p[3], text ? " (text?)" : "");
}

/* 1 when the format is known and its header consumed, 0 when bytes are missing, or an error. */
static int find_format(struct capture_file *file, struct bytes_reader *in, struct err *err)
{
    size_t left = bytes_left(in);

    file->need = MAGIC_BYTES;
    if (left < MAGIC_BYTES) {
        return 0;
    }
    if (pcapng_is_magic(in->p)) {
        file->format = CAPTURE_PCAPNG;
        return 1;
    }
    if (!pcap_is_magic(in->p)) {
        return refuse_format(in->p, err);
    }
    file->need = PCAP_FILE_HEADER_BYTES;
    if (left < PCAP_FILE_HEADER_BYTES) {
        return 0;
    }
    int rc = pcap_reader_init(&file->pcap, in->p, err);
    if (rc < 0) {
        return rc;
    }
    in->p += PCAP_FILE_HEADER_BYTES;
    file->format = CAPTURE_PCAP;
    return 1;
}

int capture_file_next(struct capture_file *file, struct bytes_reader *in, struct packet_view *out,
                      struct err *err)
{
    if (file->format == CAPTURE_UNKNOWN) {
        int rc = find_format(file, in, err);
        if (rc <= 0) {
            return rc;
        }
    }
    return file->format == CAPTURE_PCAP ? pcap_reader_next(&file->pcap, in, out, err)
                                        : pcapng_reader_next(&file->pcapng, in, out, err);
}

int capture_file_skip(struct capture_file *file, struct bytes_reader *in, struct err *err)
{
    if (file->format == CAPTURE_UNKNOWN) {
        int rc = find_format(file, in, err);
        if (rc <= 0) {
            return rc;
        }
    }
    return file->format == CAPTURE_PCAP ? 1 : pcapng_reader_skip(&file->pcapng, in, err);
}

int capture_file_end(const struct capture_file *file, size_t left, struct err *err)
{
    uint64_t offset = capture_file_offset(file);

    if (file->format == CAPTURE_UNKNOWN) {
        return left == 0 ? err_set(err, ERR_DAMAGED, "the file is empty")
                         : err_set(err, ERR_DAMAGED,
                                   "cut off at byte %zu: not even its header is whole", left);
    }
    if (file->format == CAPTURE_PCAPNG && !file->pcapng.in_section) {
        return err_set(err, ERR_DAMAGED, "cut off at byte %zu: not even its header is whole", left);
    }
    if (left > 0) {
        return err_set(err, ERR_DAMAGED,
                       "cut off at byte %" PRIu64 ": the last packet, begun at byte %" PRIu64
                       ", is incomplete",
                       offset + left, offset);
    }
    return 0;
}

size_t capture_file_need(const struct capture_file *file)
{
    if (file->format == CAPTURE_UNKNOWN) {
        return file->need;
    }
    return file->format == CAPTURE_PCAP ? file->pcap.need : file->pcapng.need;
}

uint64_t capture_file_offset(const struct capture_file *file)
{
    if (file->format == CAPTURE_UNKNOWN) {
        return 0;
    }
    return file->format == CAPTURE_PCAP ? file->pcap.offset : file->pcapng.offset;
}

const struct iface *capture_file_ifaces(const struct capture_file *file, uint32_t *n)
{
    if (file->format == CAPTURE_PCAP) {
        *n = 1;
        return &file->pcap.iface;
    }
    *n = file->pcapng.n_ifaces;
    return file->pcapng.ifaces;
}
