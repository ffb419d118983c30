/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "shared/wire/ws_internal.h"

#define FIN      0x80
#define RSV1     0x40
#define MASKED   0x80
#define LENGTH16 126 /* the length stands in the next two bytes */
#define LENGTH64 127 /* or in the next eight */

static void put_be(uint8_t *out, size_t n, uint64_t v)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    }
}

size_t ws_put_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool rsv1, uint64_t n)
{
    out[0] = (uint8_t)(FIN | (rsv1 ? RSV1 : 0) | (unsigned)opcode);
    if (n < LENGTH16) {
        out[1] = (uint8_t)n;
        return 2;
    }
    if (n <= UINT16_MAX) {
        out[1] = LENGTH16;
        put_be(out + 2, 2, n);
        return 4;
    }
    out[1] = LENGTH64;
    put_be(out + 2, 8, n);
    return 10;
}

size_t ws_get_header(const uint8_t *data, size_t n, struct ws_frame *out)
{
    if (n < 2) {
        return 0;
    }
    uint8_t length = data[1] & 0x7f;
    size_t extra = length == LENGTH64 ? 8 : length == LENGTH16 ? 2 : 0;
    bool masked = (data[1] & MASKED) != 0;
    size_t size = 2 + extra + (masked ? 4 : 0);
    if (n < size) {
        return 0;
    }
    *out = (struct ws_frame){
        .fin = (data[0] & FIN) != 0,
        .rsv = (data[0] >> 4) & 7,
        .opcode = data[0] & 15,
        .masked = masked,
        .length = length,
    };
    if (extra > 0) {
        out->length = extra == 8 ? get_be64(data + 2) : get_be16(data + 2);
    }
    if (masked) {
        memcpy(out->mask, data + 2 + extra, 4);
    }
    return size;
}

uint64_t ws_frame_size(const void *data, size_t n)
{
    struct ws_frame frame;
    size_t size = ws_get_header(data, n, &frame);

    if (size == 0) {
        return 0;
    }
    return frame.length > UINT64_MAX - size ? UINT64_MAX : size + frame.length;
}

void ws_mask(uint8_t *out, const uint8_t *data, size_t n, const uint8_t mask[4], uint64_t offset)
{
    uint8_t turned[8];
    uint64_t wide;
    size_t i = 0;

    for (size_t k = 0; k < sizeof turned; k++) {
        turned[k] = mask[(offset + k) & 3];
    }
    memcpy(&wide, turned, sizeof wide);
    for (; n - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= wide;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < n; i++) {
        out[i] = data[i] ^ turned[i & 7];
    }
}

void ws_put_frame(struct buf *out, enum ws_opcode opcode, const void *data, size_t n,
                  const uint8_t mask[4])
{
    uint8_t header[WS_HEADER_MAX];
    size_t size = ws_put_header(header, opcode, false, n);

    if (mask != NULL) {
        header[1] |= MASKED;
        memcpy(header + size, mask, 4);
        size += 4;
    }
    uint8_t *at = buf_extend(out, size + n);
    memcpy(at, header, size);
    if (n > 0 && mask != NULL) {
        ws_mask(at + size, data, n, mask, 0);
    } else if (n > 0) {
        memcpy(at + size, data, n);
    }
}

size_t ws_close_payload(uint16_t code, const char *reason, uint8_t out[2 + WS_REASON_MAX])
{
    size_t n = reason == NULL ? 0 : strlen(reason);

    if (!utf8_is_valid(reason, n)) {
        n = 0; /* a peer would have to refuse it */
    }
    n = utf8_cut(reason, n, WS_REASON_MAX);
    put_be(out, 2, code);
    if (reason != NULL && n > 0) {
        memcpy(out + 2, reason, n);
    }
    return 2 + n;
}
