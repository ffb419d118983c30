/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture files of either byte order, built byte by byte for tests: what other programs write and
 * ours does not. A block is begun, filled and ended; options go between.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/packet/pcapng.h"

struct capture_bytes {
    struct buf buf;
    bool big; /* big-endian */
    size_t block;
};

static inline void cb_u16(struct capture_bytes *cb, uint16_t v)
{
    buf_put_le16(&cb->buf, cb->big ? __builtin_bswap16(v) : v);
}

static inline void cb_u32(struct capture_bytes *cb, uint32_t v)
{
    buf_put_le32(&cb->buf, cb->big ? __builtin_bswap32(v) : v);
}

static inline void cb_u64(struct capture_bytes *cb, uint64_t v)
{
    buf_put_le64(&cb->buf, cb->big ? __builtin_bswap64(v) : v);
}

static inline void cb_padded(struct capture_bytes *cb, const void *bytes, size_t n)
{
    buf_append(&cb->buf, bytes, n);
    buf_put_zeros(&cb->buf, -n & 3u);
}

static inline void cb_option(struct capture_bytes *cb, uint16_t code, const void *value, uint16_t n)
{
    cb_u16(cb, code);
    cb_u16(cb, n);
    cb_padded(cb, value, n);
}

static inline void cb_begin(struct capture_bytes *cb, uint32_t type)
{
    cb->block = cb->buf.len;
    cb_u32(cb, type);
    cb_u32(cb, 0);
}

static inline void cb_end(struct capture_bytes *cb)
{
    uint32_t total = (uint32_t)(cb->buf.len - cb->block + 4);

    cb_u32(cb, total);
    put_le32(cb->buf.data + cb->block + 4, cb->big ? __builtin_bswap32(total) : total);
}

static inline void cb_section(struct capture_bytes *cb)
{
    cb_begin(cb, PCAPNG_SECTION);
    cb_u32(cb, PCAPNG_BYTE_ORDER_MAGIC);
    cb_u16(cb, 1);
    cb_u16(cb, 0);
    cb_u64(cb, UINT64_MAX);
    cb_end(cb);
}

/* if_tsresol is left out when 0. */
static inline void cb_interface(struct capture_bytes *cb, uint16_t link_type, uint32_t snaplen,
                                const char *name, uint8_t tsresol)
{
    cb_begin(cb, PCAPNG_INTERFACE);
    cb_u16(cb, link_type);
    cb_u16(cb, 0);
    cb_u32(cb, snaplen);
    cb_option(cb, IF_NAME, name, (uint16_t)strlen(name));
    if (tsresol != 0) {
        cb_option(cb, IF_TSRESOL, &tsresol, 1);
    }
    cb_option(cb, OPT_ENDOFOPT, NULL, 0);
    cb_end(cb);
}

/* An Enhanced Packet Block up to its options; cb_end closes it. */
static inline void cb_packet(struct capture_bytes *cb, uint32_t iface, uint64_t ticks,
                             const void *data, uint32_t caplen, uint32_t len)
{
    cb_begin(cb, 6);
    cb_u32(cb, iface);
    cb_u32(cb, (uint32_t)(ticks >> 32));
    cb_u32(cb, (uint32_t)ticks);
    cb_u32(cb, caplen);
    cb_u32(cb, len);
    cb_padded(cb, data, caplen);
}

/* The header of a classic file. */
static inline void cb_pcap(struct capture_bytes *cb, uint32_t magic, uint16_t major, uint16_t minor,
                           uint32_t snaplen, uint32_t link_type)
{
    cb_u32(cb, magic);
    cb_u16(cb, major);
    cb_u16(cb, minor);
    cb_u64(cb, 0);
    cb_u32(cb, snaplen);
    cb_u32(cb, link_type);
}

static inline void cb_record(struct capture_bytes *cb, uint32_t seconds, uint32_t fraction,
                             uint32_t first_length, uint32_t second_length)
{
    cb_u32(cb, seconds);
    cb_u32(cb, fraction);
    cb_u32(cb, first_length);
    cb_u32(cb, second_length);
}
