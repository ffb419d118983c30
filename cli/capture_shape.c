/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/capture_shape.h"

#include <inttypes.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/packet/pcapng_read.h"

#define SECTION_HEADER   0x0A0D0D0Au
#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define SIMPLE_PACKET    3u
#define ENHANCED_PACKET  6u
#define BLOCK_HEAD       8u
#define SECTION_HEAD     12u /* with the magic, which says how the length is written */
#define BLOCK_LENGTH_MIN 12u
#define BLOCK_TRAILER    4u
#define PCAP_FILE_HEAD   24u
#define PCAP_RECORD_HEAD 16u
#define PCAP_MAGIC_US    0xA1B2C3D4u
#define PCAP_MAGIC_NS    0xA1B23C4Du
#define PCAP_CAPLEN_AT   8

static int damaged(const struct capture_shape *shape, const char *what, struct err *err)
{
    return err_set(err, ERR_DAMAGED,
                   "what the node sends is no capture file: at byte %" PRIu64 " %s", shape->offset,
                   what);
}

static uint32_t swap32(uint32_t v)
{
    return v >> 24 | (v >> 8 & 0xFF00u) | (v << 8 & 0xFF0000u) | v << 24;
}

static uint32_t number_at(const struct capture_shape *shape, size_t at)
{
    uint32_t v = get_le32(shape->head + at);

    return shape->is_swapped ? swap32(v) : v;
}

/* How many bytes of the head must be there before it says how long the rest is. */
static size_t head_wanted(const struct capture_shape *shape)
{
    if (shape->kind == CAPTURE_SHAPE_PCAP) {
        return shape->is_begun ? PCAP_RECORD_HEAD : PCAP_FILE_HEAD;
    }
    if (shape->n_head < BLOCK_HEAD) {
        return BLOCK_HEAD;
    }
    return get_le32(shape->head) == SECTION_HEADER ? SECTION_HEAD : BLOCK_HEAD;
}

static int begin_block(struct capture_shape *shape, struct err *err)
{
    shape->type = number_at(shape, 0);
    if (get_le32(shape->head) == SECTION_HEADER) {
        uint32_t magic = get_le32(shape->head + BLOCK_HEAD);
        if (magic != BYTE_ORDER_MAGIC && swap32(magic) != BYTE_ORDER_MAGIC) {
            return damaged(shape, "stands a section header without its magic", err);
        }
        shape->is_swapped = magic != BYTE_ORDER_MAGIC;
        shape->type = SECTION_HEADER;
        shape->is_begun = true;
    }
    if (!shape->is_begun) {
        return damaged(shape, "stands no section header", err);
    }
    shape->length = number_at(shape, 4);
    if (shape->length < BLOCK_LENGTH_MIN || shape->length % 4 != 0 ||
        shape->length > PCAPNG_BLOCK_MAX_BYTES || shape->length < shape->n_head + BLOCK_TRAILER) {
        return damaged(shape, "stands a block of an impossible length", err);
    }
    shape->body = shape->length - shape->n_head;
    return 0;
}

static int begin_record(struct capture_shape *shape, struct err *err)
{
    if (!shape->is_begun) {
        uint32_t magic = get_le32(shape->head);
        bool is_plain = magic == PCAP_MAGIC_US || magic == PCAP_MAGIC_NS;
        shape->is_swapped = !is_plain;
        magic = swap32(magic);
        if (!is_plain && magic != PCAP_MAGIC_US && magic != PCAP_MAGIC_NS) {
            return damaged(shape, "stands no pcap magic", err);
        }
        shape->is_begun = true;
        shape->body = 0;
        shape->type = 0;
        return 0;
    }
    shape->type = ENHANCED_PACKET;
    shape->body = number_at(shape, PCAP_CAPLEN_AT);
    return shape->body > PCAPNG_BLOCK_MAX_BYTES
               ? damaged(shape, "stands a packet of an impossible length", err)
               : 0;
}

/* The block or record at hand, of so many bytes, is whole: goes on to the next. */
static void end_block(struct capture_shape *shape, uint64_t bytes)
{
    shape->packets += shape->type == ENHANCED_PACKET || shape->type == SIMPLE_PACKET;
    shape->offset += bytes;
    shape->n_head = 0;
    shape->in_body = false;
}

static int take_head(struct capture_shape *shape, struct bytes_reader *in, struct err *err)
{
    while (shape->n_head < head_wanted(shape)) {
        size_t missing = head_wanted(shape) - shape->n_head;
        size_t n = bytes_left(in) < missing ? bytes_left(in) : missing;
        if (n == 0) {
            return 0;
        }
        memcpy(shape->head + shape->n_head, bytes_take(in, n), n);
        shape->n_head += n;
    }
    int rc = shape->kind == CAPTURE_SHAPE_PCAP ? begin_record(shape, err) : begin_block(shape, err);
    if (rc < 0) {
        return rc;
    }
    shape->in_body = true;
    if (shape->body == 0) {
        end_block(shape, shape->n_head);
    }
    return 0;
}

/* The last four bytes of a pcapng block are kept in `head` as they pass. */
static void keep_trailer(struct capture_shape *shape, const uint8_t *bytes, size_t n)
{
    uint64_t before = shape->body > BLOCK_TRAILER ? shape->body - BLOCK_TRAILER : 0;

    for (uint64_t i = before; i < n; i++) {
        shape->head[BLOCK_TRAILER - (shape->body - i)] = bytes[i];
    }
}

static int take_body(struct capture_shape *shape, struct bytes_reader *in, struct err *err)
{
    size_t n = bytes_left(in) < shape->body ? bytes_left(in) : (size_t)shape->body;
    const uint8_t *bytes = bytes_take(in, n);

    if (shape->kind == CAPTURE_SHAPE_PCAPNG) {
        keep_trailer(shape, bytes, n);
    }
    shape->body -= n;
    if (shape->body > 0) {
        return 0;
    }
    if (shape->kind == CAPTURE_SHAPE_PCAP) {
        end_block(shape, PCAP_RECORD_HEAD + (uint64_t)number_at(shape, PCAP_CAPLEN_AT));
        return 0;
    }
    if (number_at(shape, 0) != shape->length) {
        return damaged(shape, "stands a block whose two lengths differ", err);
    }
    end_block(shape, shape->length);
    return 0;
}

int capture_shape_take(struct capture_shape *shape, const uint8_t *bytes, size_t n, struct err *err)
{
    struct bytes_reader in = bytes_reader(bytes, n);
    int rc = 0;

    while (rc == 0 && bytes_left(&in) > 0) {
        rc = shape->in_body ? take_body(shape, &in, err) : take_head(shape, &in, err);
    }
    return rc;
}

bool capture_shape_is_whole(const struct capture_shape *shape)
{
    return shape->is_begun && !shape->in_body && shape->n_head == 0;
}
