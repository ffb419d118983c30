/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/viewer_stream.h"

#include <inttypes.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/block.h"
#include "shared/packet/pcapng_interface.h"
#include "shared/packet/pcapng_options.h"
#include "shared/packet/pcapng_read.h"

#define BLOCK_MIN_BYTES      12u
#define BLOCK_HEAD_BYTES     8u
#define SECTION_MIN_BYTES    28u
#define STATISTICS_MIN_BYTES 24u

void stream_reader_deinit(struct stream_reader *reader)
{
    mem_free(reader->ifaces);
    buf_deinit(&reader->partial);
    *reader = (struct stream_reader){0};
}

void stream_reader_reset(struct stream_reader *reader)
{
    reader->in_section = false;
    reader->n_ifaces = 0;
    reader->used = 0;
    reader->offset = 0;
    buf_reset(&reader->partial);
}

static int damaged(const struct stream_reader *reader, struct err *err, const char *what)
{
    return err_set(err, ERR_DAMAGED, "the node's stream is damaged at byte %" PRIu64 ": %s",
                   reader->offset, what);
}

/* Length of the block at p, of which n bytes are there: 0 when they do not tell it yet. */
static int block_length(const struct stream_reader *reader, const uint8_t *p, size_t n,
                        uint32_t *total, struct err *err)
{
    *total = 0;
    if (n >= 4 && !reader->in_section && get_le32(p) != PCAPNG_SECTION) {
        return damaged(reader, err, "it does not begin with a section header");
    }
    if (n < BLOCK_HEAD_BYTES) {
        return 0;
    }
    *total = get_le32(p + 4);
    if (*total > PCAPNG_BLOCK_MAX_BYTES) {
        return err_set(err, ERR_LIMIT,
                       "the node's stream has a block of %" PRIu32 " bytes at byte %" PRIu64
                       "; the limit is %u",
                       *total, reader->offset, PCAPNG_BLOCK_MAX_BYTES);
    }
    if (*total < BLOCK_MIN_BYTES || (*total & 3u) != 0) {
        return damaged(reader, err, "a block has no possible length");
    }
    return 0;
}

static int on_section(struct stream_reader *reader, const uint8_t *p, uint32_t total,
                      struct err *err)
{
    if (total < SECTION_MIN_BYTES || get_le32(p + 8) != PCAPNG_BYTE_ORDER_MAGIC ||
        get_le16(p + 12) != 1) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the node's stream is no little-endian pcapng 1.0; is it packetrecorderd?");
    }
    reader->in_section = true;
    reader->n_ifaces = 0;
    return STREAM_SECTION;
}

static int on_interface(struct stream_reader *reader, const uint8_t *p, uint32_t total,
                        struct stream_piece *out, struct err *err)
{
    struct bytes_reader body = bytes_reader(p + BLOCK_HEAD_BYTES, total - BLOCK_MIN_BYTES);
    struct pcapng_clock clock;

    if (reader->n_ifaces == STREAM_IFACES_MAX) {
        return err_set(err, ERR_LIMIT, "the node's stream has more than %u interfaces",
                       STREAM_IFACES_MAX);
    }
    if (reader->ifaces == NULL) {
        reader->ifaces = x_alloc(STREAM_IFACES_MAX * sizeof *reader->ifaces);
    }
    int code = pcapng_read_interface(body, false, &reader->ifaces[reader->n_ifaces], &clock, err);
    if (code < 0) {
        return err_wrap(err, "the node's stream is damaged at byte %" PRIu64, reader->offset);
    }
    if (!clock.is_ns) {
        return err_set(err, ERR_UNSUPPORTED, "the node's time stamps are not nanoseconds");
    }
    out->iface = reader->n_ifaces++;
    return STREAM_INTERFACE;
}

static void read_statistic(const struct pcapng_option_view *option, struct stream_piece *out)
{
    struct pcapng_statistics *s = &out->statistics;
    uint64_t *const places[] = {
        [ISB_IFRECV] = &s->ifrecv,
        [ISB_IFDROP] = &s->ifdrop,
        [ISB_FILTERACCEPT] = &s->filteraccept,
        [ISB_OSDROP] = &s->osdrop,
        [ISB_USRDELIV] = &s->usrdeliv,
    };

    if (option->code == OPT_COMMENT) {
        size_t n = option->len < sizeof out->comment - 1 ? option->len : sizeof out->comment - 1;
        memcpy(out->comment, option->value, n);
        while (n < option->len && n > 0 && (option->value[n] & 0xc0) == 0x80) {
            n--;
        }
        out->comment[n] = '\0';
    } else if ((option->code == ISB_STARTTIME || option->code == ISB_ENDTIME) && option->len == 8) {
        uint64_t *place = option->code == ISB_STARTTIME ? &s->start_ns : &s->end_ns;
        *place = (uint64_t)get_le32(option->value) << 32 | get_le32(option->value + 4);
    } else if (option->code < ARRAY_LEN(places) && places[option->code] != NULL &&
               option->len == 8) {
        *places[option->code] = get_le64(option->value);
    }
}

static int on_statistics(struct stream_reader *reader, const uint8_t *p, uint32_t total,
                         struct stream_piece *out, struct err *err)
{
    struct pcapng_option_view option;
    int code;

    if (total < STATISTICS_MIN_BYTES) {
        return damaged(reader, err, "a statistics block is too short");
    }
    out->iface = get_le32(p + 8);
    if (out->iface >= reader->n_ifaces) {
        return damaged(reader, err, "statistics of an interface that was not announced");
    }
    out->statistics = PCAPNG_STATISTICS_UNKNOWN;
    out->statistics.time_ns = (uint64_t)get_le32(p + 12) << 32 | get_le32(p + 16);
    out->comment[0] = '\0';
    struct bytes_reader options = bytes_reader(p + 20, total - STATISTICS_MIN_BYTES);
    while ((code = pcapng_option_next(&options, false, &option)) == 1) {
        read_statistic(&option, out);
    }
    return code < 0 ? damaged(reader, err, "an option is longer than its block")
                    : STREAM_STATISTICS;
}

/* As many packets as there are in a row. What was there before ends a run, but is not in it. */
static int on_packets(struct stream_reader *reader, struct resume *resume, struct bytes_reader *in,
                      uint64_t max_packets, struct stream_piece *out, struct err *err)
{
    struct block_cursor cursor = block_cursor(in->p, bytes_left(in));
    const uint8_t *end = cursor.p;
    struct packet_view packet;

    *out = (struct stream_piece){.run = cursor.p, .min_ns = UINT64_MAX};
    while (out->n_packets < max_packets && cursor.end - cursor.p >= (ptrdiff_t)EPB_OVERHEAD &&
           get_le32(cursor.p) == EPB_TYPE &&
           get_le32(cursor.p + 4) <= (size_t)(cursor.end - cursor.p)) {
        if (block_next(&cursor, &packet) != 1) {
            return damaged(reader, err, "a packet block contradicts itself");
        }
        if (packet.iface >= reader->n_ifaces) {
            return damaged(reader, err, "a packet of an interface that was not announced");
        }
        if (!resume_take(resume, packet.time_ns, packet.len)) {
            if (out->n_packets > 0) {
                break;
            }
            out->run = end = cursor.p;
            continue;
        }
        out->n_packets++;
        out->packet_bytes += packet.caplen;
        out->min_ns = packet.time_ns < out->min_ns ? packet.time_ns : out->min_ns;
        out->max_ns = packet.time_ns > out->max_ns ? packet.time_ns : out->max_ns;
        end = cursor.p;
    }
    out->n = (size_t)(end - out->run);
    reader->offset += (uint64_t)(cursor.p - in->p);
    in->p = cursor.p;
    return out->n_packets > 0 ? STREAM_PACKETS : STREAM_MORE;
}

/* One block whose bytes are all there, at in->p. STREAM_MORE: it was nothing to tell of. */
static int on_block(struct stream_reader *reader, struct resume *resume, struct bytes_reader *in,
                    uint64_t max_packets, struct stream_piece *out, struct err *err)
{
    const uint8_t *p = in->p;
    uint32_t type = get_le32(p);
    uint32_t total = get_le32(p + 4);
    int code = STREAM_MORE;

    if (type == EPB_TYPE) {
        if (total < EPB_OVERHEAD) {
            return damaged(reader, err, "a packet block is too short");
        }
        return on_packets(reader, resume, in, max_packets, out, err);
    }
    if (get_le32(p + total - 4) != total) {
        return damaged(reader, err, "the two lengths of a block differ");
    }
    if (type == PCAPNG_SECTION) {
        code = on_section(reader, p, total, err);
    } else if (type == PCAPNG_INTERFACE) {
        code = on_interface(reader, p, total, out, err);
    } else if (type == PCAPNG_STATISTICS) {
        code = on_statistics(reader, p, total, out, err);
    } else if (type == PCAPNG_SIMPLE_PACKET || type == PCAPNG_PACKET_OBSOLETE) {
        return err_set(err, ERR_UNSUPPORTED, "the node's stream has packets of block type %" PRIu32,
                       type);
    }
    reader->offset += total;
    in->p += total;
    return code;
}

/* Completes the block in `partial` from `in`. 1 when it is whole. */
static int complete(struct stream_reader *reader, struct bytes_reader *in, struct err *err)
{
    struct buf *partial = &reader->partial;

    for (;;) {
        uint32_t total;
        int code = block_length(reader, partial->data, partial->len, &total, err);
        if (code < 0) {
            return code;
        }
        size_t want = total == 0 ? BLOCK_HEAD_BYTES : total;
        if (want <= partial->len) {
            return 1;
        }
        size_t take = want - partial->len;
        take = take < bytes_left(in) ? take : bytes_left(in);
        if (take == 0) {
            return 0;
        }
        buf_append(partial, in->p, take);
        in->p += take;
    }
}

static int next_of_partial(struct stream_reader *reader, struct resume *resume,
                           struct bytes_reader *in, struct stream_piece *out, struct err *err)
{
    int code = complete(reader, in, err);

    if (code <= 0) {
        return code;
    }
    struct bytes_reader block = bytes_reader(reader->partial.data, reader->partial.len);
    code = on_block(reader, resume, &block, 1, out, err);
    reader->used = reader->partial.len; /* the piece may point into it */
    return code;
}

int stream_reader_next(struct stream_reader *reader, struct resume *resume, struct bytes_reader *in,
                       uint64_t max_packets, struct stream_piece *out, struct err *err)
{
    for (;;) {
        int code;
        uint32_t total;

        if (reader->used > 0) {
            buf_reset(&reader->partial);
            reader->used = 0;
        }
        if (reader->partial.len > 0) {
            code = next_of_partial(reader, resume, in, out, err);
            if (code != STREAM_MORE || reader->used == 0) {
                return code;
            }
            continue;
        }
        if (bytes_left(in) == 0) {
            return STREAM_MORE;
        }
        code = block_length(reader, in->p, bytes_left(in), &total, err);
        if (code < 0) {
            return code;
        }
        if (total == 0 || total > bytes_left(in)) {
            buf_append(&reader->partial, in->p, bytes_left(in));
            in->p = in->end;
            return STREAM_MORE;
        }
        code = on_block(reader, resume, in, max_packets, out, err);
        if (code != STREAM_MORE) {
            return code;
        }
    }
}
