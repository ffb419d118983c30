/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcapng_read.h"

#include <inttypes.h>

#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_options.h"

/* Type, length and length again: what every block has at least. */
#define BLOCK_MIN_BYTES    12u
#define BLOCK_HEAD_BYTES   8u
#define SECTION_MIN_BYTES  28u
#define SIMPLE_MIN_BYTES   16u
#define INTERFACES_AT_ONCE 4u

/* One block whose bytes are all there. */
struct whole_block {
    uint32_t type;
    uint32_t total;
    const uint8_t *p;
};

/* Where a packet block keeps what a packet_view needs. */
struct packet_place {
    uint32_t iface; /* as the section numbers it */
    uint32_t caplen;
    uint32_t len;
    uint64_t ticks;
    uint32_t at; /* of the packet bytes, from the start of the block */
    uint16_t drops;
};

static uint32_t word(const struct pcapng_reader *reader, const uint8_t *p)
{
    return reader->swapped ? get_be32(p) : get_le32(p);
}

bool pcapng_is_magic(const uint8_t bytes[4])
{
    return get_le32(bytes) == PCAPNG_SECTION;
}

void pcapng_reader_init(struct pcapng_reader *reader)
{
    *reader = (struct pcapng_reader){0};
}

void pcapng_reader_deinit(struct pcapng_reader *reader)
{
    mem_free(reader->ifaces);
    mem_free(reader->clocks);
    buf_deinit(&reader->scratch);
    pcapng_reader_init(reader);
}

static int damaged(const struct pcapng_reader *reader, struct err *err, const char *what)
{
    return err_set(err, ERR_DAMAGED, "damaged at byte %" PRIu64 ": %s", reader->offset, what);
}

static int need_more(struct pcapng_reader *reader, size_t bytes)
{
    reader->need = bytes;
    return 0;
}

/* A section's header says in which byte order its own length is to be read (§4.1). */
static int read_byte_order(struct pcapng_reader *reader, const uint8_t *p, struct err *err)
{
    if (get_le32(p + 8) == PCAPNG_BYTE_ORDER_MAGIC) {
        reader->swapped = false;
    } else if (get_be32(p + 8) == PCAPNG_BYTE_ORDER_MAGIC) {
        reader->swapped = true;
    } else {
        return damaged(reader, err, "a section header without a byte order");
    }
    return 0;
}

static int check_length(const struct pcapng_reader *reader, uint32_t total, struct err *err)
{
    if (total < BLOCK_MIN_BYTES || (total & 3u) != 0) {
        return err_set(err, ERR_DAMAGED,
                       "damaged at byte %" PRIu64 ": a block cannot have %" PRIu32 " bytes",
                       reader->offset, total);
    }
    if (total > PCAPNG_BLOCK_MAX_BYTES) {
        return err_set(err, ERR_LIMIT,
                       "the block at byte %" PRIu64 " claims %" PRIu32 " bytes; the limit is %u",
                       reader->offset, total, PCAPNG_BLOCK_MAX_BYTES);
    }
    return 0;
}

/* 1 with a whole block, 0 when bytes are missing, or an error. */
static int find_block(struct pcapng_reader *reader, const struct bytes_reader *in,
                      struct whole_block *block, struct err *err)
{
    const uint8_t *p = in->p;
    size_t left = bytes_left(in);
    int rc = 0;

    if (left < BLOCK_MIN_BYTES) {
        return need_more(reader, BLOCK_MIN_BYTES);
    }
    if (pcapng_is_magic(p)) {
        rc = read_byte_order(reader, p, err);
    } else if (!reader->in_section) {
        rc = damaged(reader, err, "no section header");
    }
    if (rc < 0) {
        return rc;
    }
    uint32_t total = word(reader, p + 4);
    rc = check_length(reader, total, err);
    if (rc < 0) {
        return rc;
    }
    if (left < total) {
        return need_more(reader, total);
    }
    if (word(reader, p + total - 4) != total) {
        return damaged(reader, err, "the two lengths of a block differ");
    }
    *block = (struct whole_block){.type = word(reader, p), .total = total, .p = p};
    return 1;
}

static int on_section(struct pcapng_reader *reader, const struct whole_block *block,
                      struct err *err)
{
    if (block->total < SECTION_MIN_BYTES) {
        return damaged(reader, err, "the section header is too short");
    }
    uint16_t major = reader->swapped ? get_be16(block->p + 12) : get_le16(block->p + 12);
    uint16_t minor = reader->swapped ? get_be16(block->p + 14) : get_le16(block->p + 14);
    /* 1.2 is what some programs write for 1.0 (§4.1). */
    if (major != 1 || (minor != 0 && minor != 2)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the section at byte %" PRIu64
                       " is of pcapng version %u.%u; 1.0 can be read",
                       reader->offset, major, minor);
    }
    reader->in_section = true;
    reader->first = reader->n_ifaces;
    return 0;
}

static bool grow_interfaces(struct pcapng_reader *reader)
{
    if (reader->n_ifaces < reader->cap_ifaces) {
        return true;
    }
    uint32_t cap = reader->cap_ifaces > 0 ? 2 * reader->cap_ifaces : INTERFACES_AT_ONCE;
    struct iface *ifaces = try_realloc(reader->ifaces, cap * sizeof *ifaces);
    if (ifaces == NULL) {
        return false;
    }
    reader->ifaces = ifaces;
    struct pcapng_clock *clocks = try_realloc(reader->clocks, cap * sizeof *clocks);
    if (clocks == NULL) {
        return false;
    }
    reader->clocks = clocks;
    reader->cap_ifaces = cap;
    return true;
}

static int on_interface(struct pcapng_reader *reader, const struct whole_block *block,
                        struct err *err)
{
    struct bytes_reader body =
        bytes_reader(block->p + BLOCK_HEAD_BYTES, block->total - BLOCK_MIN_BYTES);

    uint32_t max = reader->max_ifaces > 0 ? reader->max_ifaces : IFACES_MAX;
    if (reader->n_ifaces >= max) {
        return err_set(err, ERR_LIMIT,
                       "at byte %" PRIu64 ": more than %" PRIu32 " interfaces in one file",
                       reader->offset, max);
    }
    if (!grow_interfaces(reader)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for another interface");
    }
    int rc = pcapng_read_interface(body, reader->swapped, &reader->ifaces[reader->n_ifaces],
                                   &reader->clocks[reader->n_ifaces], err);
    if (rc < 0) {
        err_wrap(err, "damaged at byte %" PRIu64, reader->offset);
        return rc;
    }
    reader->n_ifaces++;
    return 0;
}

static void on_statistics(struct pcapng_reader *reader, const struct whole_block *block)
{
    struct bytes_reader body =
        bytes_reader(block->p + BLOCK_HEAD_BYTES, block->total - BLOCK_MIN_BYTES);
    struct pcapng_told_statistics told;
    uint32_t iface = bytes_left(&body) < 4 ? UINT32_MAX : word(reader, body.p);

    if (reader->statistics == NULL || iface >= reader->n_ifaces - reader->first) {
        return;
    }
    iface += reader->first;
    if (pcapng_read_statistics(body, reader->swapped, &reader->clocks[iface], &told) == 0) {
        reader->statistics(reader->statistics_arg, iface, &told);
    }
}

static bool is_packet(uint32_t type)
{
    return type == EPB_TYPE || type == PCAPNG_SIMPLE_PACKET || type == PCAPNG_PACKET_OBSOLETE;
}

static int on_other_block(struct pcapng_reader *reader, const struct whole_block *block,
                          struct err *err)
{
    switch (block->type) {
    case PCAPNG_SECTION:
        return on_section(reader, block, err);
    case PCAPNG_INTERFACE:
        return on_interface(reader, block, err);
    case PCAPNG_STATISTICS:
        on_statistics(reader, block);
        return 0;
    default:
        return 0;
    }
}

/* Consumes blocks until a packet is next. */
static int find_packet(struct pcapng_reader *reader, struct bytes_reader *in,
                       struct whole_block *block, struct err *err)
{
    for (;;) {
        int rc = find_block(reader, in, block, err);
        if (rc <= 0 || is_packet(block->type)) {
            return rc;
        }
        rc = on_other_block(reader, block, err);
        if (rc < 0) {
            return rc;
        }
        bool describes = block->type == PCAPNG_SECTION || block->type == PCAPNG_INTERFACE;
        if (describes && reader->described != NULL) {
            reader->described(reader->described_arg, block->p, block->total);
        }
        in->p += block->total;
        reader->offset += block->total;
    }
}

/* Enhanced Packet Block (§4.3) and the obsolete Packet Block (appendix A), which differ in their
 * first word. */
static int place_packet(const struct pcapng_reader *reader, const struct whole_block *block,
                        struct packet_place *place, struct err *err)
{
    const uint8_t *p = block->p;

    if (block->total < EPB_OVERHEAD) {
        return damaged(reader, err, "a packet block is too short");
    }
    *place = (struct packet_place){
        .iface = word(reader, p + 8),
        .ticks = (uint64_t)word(reader, p + 12) << 32 | word(reader, p + 16),
        .caplen = word(reader, p + 20),
        .len = word(reader, p + 24),
        .at = 28,
    };
    if (block->type == PCAPNG_PACKET_OBSOLETE) {
        place->iface = reader->swapped ? get_be16(p + 8) : get_le16(p + 8);
        place->drops = reader->swapped ? get_be16(p + 10) : get_le16(p + 10);
        if (place->drops == UINT16_MAX) {
            place->drops = 0; /* unknown */
        }
    }
    if (place->caplen > block->total - EPB_OVERHEAD) {
        return damaged(reader, err, "a packet is longer than its block");
    }
    return 0;
}

/* Simple Packet Block (§4.4): the section's first interface, no time; the captured length is not
 * written, it is the least of the packet's and the snaplen. */
static int place_simple(const struct pcapng_reader *reader, const struct whole_block *block,
                        struct packet_place *place, struct err *err)
{
    if (block->total < SIMPLE_MIN_BYTES) {
        return damaged(reader, err, "a packet block is too short");
    }
    *place = (struct packet_place){.len = word(reader, block->p + 8), .at = 12};
    place->caplen = place->len;
    if (reader->first < reader->n_ifaces) {
        uint32_t snaplen = reader->ifaces[reader->first].snaplen;
        place->caplen = snaplen > 0 && snaplen < place->len ? snaplen : place->len;
    }
    if (place->caplen > block->total - SIMPLE_MIN_BYTES) {
        return damaged(reader, err, "a packet is longer than its block");
    }
    return 0;
}

static int read_options(struct pcapng_reader *reader, const struct whole_block *block,
                        const struct packet_place *place, struct packet_view *out, struct err *err)
{
    struct pcapng_packet_options options;
    size_t at = place->at + ((place->caplen + 3u) & ~(size_t)3u);
    size_t n = block->total - 4 - at;

    if (n == 0 && place->drops == 0) {
        return 0;
    }
    if (!pcapng_packet_options(block->p + at, n, reader->swapped, place->drops, &reader->scratch,
                               &options)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the options of a packet");
    }
    reader->n_options += options.n_dropped;
    out->options = options.options;
    out->options_len = options.len;
    return 0;
}

static int on_packet(struct pcapng_reader *reader, const struct whole_block *block,
                     struct packet_view *out, struct err *err)
{
    struct packet_place place = {0};
    bool simple = block->type == PCAPNG_SIMPLE_PACKET;
    int rc = simple ? place_simple(reader, block, &place, err)
                    : place_packet(reader, block, &place, err);

    if (rc < 0) {
        return rc;
    }
    if (place.iface >= reader->n_ifaces - reader->first) {
        return err_set(err, ERR_DAMAGED,
                       "damaged at byte %" PRIu64 ": a packet of interface %" PRIu32
                       ", but the section describes %" PRIu32,
                       reader->offset, place.iface, reader->n_ifaces - reader->first);
    }
    if (place.caplen > PACKET_MAX_BYTES) {
        return err_set(err, ERR_LIMIT,
                       "the packet at byte %" PRIu64 " has %" PRIu32 " bytes; the limit is %u",
                       reader->offset, place.caplen, PACKET_MAX_BYTES);
    }
    uint32_t iface = reader->first + place.iface;
    uint32_t snaplen = reader->ifaces[iface].snaplen;
    *out = (struct packet_view){
        .time_ns = simple ? 0 : pcapng_clock_ns(&reader->clocks[iface], place.ticks),
        .iface = iface,
        .caplen = place.caplen,
        .len = place.len,
        .data = block->p + place.at,
    };
    if (snaplen > 0 && place.caplen > snaplen) {
        out->caplen = snaplen;
        reader->n_cut++;
    }
    return simple ? 0 : read_options(reader, block, &place, out, err);
}

int pcapng_reader_next(struct pcapng_reader *reader, struct bytes_reader *in,
                       struct packet_view *out, struct err *err)
{
    struct whole_block block = {0};
    int rc = find_packet(reader, in, &block, err);

    if (rc <= 0) {
        return rc;
    }
    rc = on_packet(reader, &block, out, err);
    if (rc < 0) {
        return rc;
    }
    in->p += block.total;
    reader->offset += block.total;
    return 1;
}

int pcapng_reader_skip(struct pcapng_reader *reader, struct bytes_reader *in, struct err *err)
{
    struct whole_block block = {0};

    return find_packet(reader, in, &block, err);
}
