/* SPDX-License-Identifier: Apache-2.0 */
#include "node/relay_frames.h"

#include <string.h>

#include "shared/packet/block.h"

#define FIN_BINARY 0x82

/* Written out here, and not by ws_put_header, because millions of them a second go out. */
static inline uint8_t *put_header(uint8_t *at, uint32_t n)
{
    at[0] = FIN_BINARY;
    if (n < 126) {
        at[1] = (uint8_t)n;
        return at + 2;
    }
    if (n <= UINT16_MAX) {
        at[1] = 126;
        at[2] = (uint8_t)(n >> 8);
        at[3] = (uint8_t)n;
        return at + 4;
    }
    memset(at + 1, 0, 9);
    at[1] = 127;
    at[6] = (uint8_t)(n >> 24);
    at[7] = (uint8_t)(n >> 16);
    at[8] = (uint8_t)(n >> 8);
    at[9] = (uint8_t)n;
    return at + 10;
}

uint32_t relay_frames_put(struct relay_frames *out, const uint8_t *run, uint32_t n_bytes,
                          uint32_t *n_packets)
{
    const uint8_t *p = run;
    const uint8_t *end = run + n_bytes;
    uint8_t *at = out->at;
    uint32_t n = 0;

    while (p < end) {
        uint32_t caplen = get_le32(p + 20);

        if (RELAY_FRAME_MAX(caplen) > (size_t)(out->end - at)) {
            break;
        }
        at = put_header(at, caplen);
        memcpy(at, p + 28, caplen);
        at += caplen;
        p += get_le32(p + 4);
        n++;
    }
    out->at = at;
    *n_packets += n;
    return (uint32_t)(p - run);
}
