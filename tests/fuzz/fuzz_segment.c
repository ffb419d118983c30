/* SPDX-License-Identifier: Apache-2.0
 *
 * Segment files: the header with its key slots, then frames. The first byte says how: 1 mends every
 * checksum before it is checked, so that what lies behind is reached; 2 opens the frames with a
 * key, as frames of a sealed segment; 4 takes the bytes as packets, encodes them, flips the bit
 * that the second and third byte name, and wants that noticed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"
#include "shared/store/segment.h"

#define MEND 1u
#define SEAL 2u
#define FLIP 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t segment_id[16] = {4, 5, 6};

static struct seal *new_seal(void)
{
    struct seal *seal = NULL;

    REQUIRE(seal_new(SEAL_XCHACHA20POLY1305, key, segment_id, &seal, NULL) == 0);
    return seal;
}

static void read_packets(const uint8_t *raw, uint32_t n)
{
    struct block_cursor cursor = block_cursor(raw, n);
    struct packet_view packet;
    uint64_t sum = 0;

    while (block_next(&cursor, &packet) > 0) {
        for (uint32_t i = 0; i < packet.caplen; i++) {
            sum += packet.data[i];
        }
        for (uint32_t i = 0; i < packet.options_len; i++) {
            sum += packet.options[i];
        }
    }
    (void)sum;
}

/* The header that these bytes would be with right checksums. */
static void mend(uint8_t *frame, size_t left)
{
    uint32_t stored = get_le32(frame + 20);
    struct frame_header h = {
        .kind = frame[4],
        .compressed = (frame[5] & 1) != 0,
        .sealed = (frame[5] & 2) != 0,
        .number = get_le32(frame + 8),
        .n_packets = get_le32(frame + 12),
        .raw_len = get_le32(frame + 16),
        .stored_len =
            stored > left - SEGMENT_FRAME_BYTES ? (uint32_t)(left - SEGMENT_FRAME_BYTES) : stored,
    };

    frame_header_finish(frame, &h, frame + SEGMENT_FRAME_BYTES);
}

static size_t read_frame(struct frame_decoder *d, uint8_t *frame, size_t left, unsigned how,
                         const struct seal *seal)
{
    struct frame_header h;
    const uint8_t *raw = NULL;

    if (how & MEND) {
        mend(frame, left);
    }
    if (frame_header_read(frame, &h) < 0 || h.stored_len > left - SEGMENT_FRAME_BYTES) {
        return 1;
    }
    REQUIRE(h.raw_len <= FRAME_RAW_MAX);
    if (frame_decode(d, &h, frame, seal, &raw) == 0) {
        read_packets(raw, h.raw_len);
    }
    return SEGMENT_FRAME_BYTES + h.stored_len;
}

static void read_header(uint8_t *bytes)
{
    static const uint32_t slots[] = {SEGMENT_SLOT_A, SEGMENT_SLOT_B};
    struct segment_header h;
    uint8_t out[SEGMENT_HEADER_BYTES];
    uint8_t opened[SEAL_KEY_BYTES];
    struct seal_kdf kdf;

    segment_header_mend(bytes);
    REQUIRE(!segment_header_mend(bytes) || segment_header_read(bytes, &h) < 0);
    if (segment_header_read(bytes, &h) < 0) {
        return;
    }
    segment_header_write(out, &h);
    REQUIRE(memcmp(out, bytes, 12) == 0);
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        seal_slot_kdf(bytes + slots[i], &kdf);
        REQUIRE(seal_slot_read(bytes + slots[i], key, bytes, SEGMENT_BOUND_BYTES, opened) < 0);
    }
}

static void read_segment(const uint8_t *data, size_t n, unsigned how)
{
    uint8_t *copy = x_alloc(n + 1);
    struct frame_decoder *d = frame_decoder_new();
    struct seal *seal = how & SEAL ? new_seal() : NULL;
    size_t at = 0;

    memcpy(copy, data, n);
    if (n >= SEGMENT_HEADER_BYTES) {
        read_header(copy);
        at = SEGMENT_HEADER_BYTES;
    }
    while (n - at >= SEGMENT_FRAME_BYTES) {
        at += read_frame(d, copy + at, n - at, how, seal);
    }
    seal_close(seal);
    frame_decoder_free(d);
    mem_free(copy);
}

static void encode_and_flip(const uint8_t *data, size_t n, unsigned how, size_t bit)
{
    struct frame_encoder *e = frame_encoder_new();
    struct frame_decoder *d = frame_decoder_new();
    struct seal *seal = how & SEAL ? new_seal() : NULL;
    struct frame_header h = {.kind = FRAME_PACKETS, .number = 7};
    uint8_t *frame = x_alloc(frame_bound(n));
    const uint8_t *body = NULL;
    const uint8_t *raw = NULL;
    size_t len = frame_encode(e, &h, data, n, (how & MEND) != 0, seal, frame, &body);

    if (body != NULL) {
        memcpy(frame + len, body, n);
        len += n;
    }
    REQUIRE(frame_header_read(frame, &h) == 0 && frame_decode(d, &h, frame, seal, &raw) == 0);
    REQUIRE(h.raw_len == n && (n == 0 || memcmp(raw, data, n) == 0));
    bit %= len * 8;
    frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    REQUIRE(frame_header_read(frame, &h) < 0 || frame_decode(d, &h, frame, seal, &raw) < 0);
    mem_free(frame);
    seal_close(seal);
    frame_decoder_free(d);
    frame_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3) {
        return 0;
    }
    if (data[0] & FLIP) {
        encode_and_flip(data + 3, n - 3, data[0], get_le16(data + 1));
    } else {
        read_segment(data + 1, n - 1, data[0]);
    }
    return 0;
}
