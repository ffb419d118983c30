/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcapng.h"

#include <string.h>

#include "shared/base/mem.h"

#define OPTION_BYTES_MAX 65535u

/* Length of s, cut so that it is at most max bytes and does not end inside a UTF-8 character. */
static size_t cut_length(const char *s, size_t max)
{
    size_t n = strnlen(s, max + 1);

    if (n <= max) {
        return n;
    }
    n = max;
    while (n > 0 && ((uint8_t)s[n] & 0xC0u) == 0x80u) {
        n--;
    }
    return n;
}

static void put_option(struct buf *out, uint16_t code, const void *value, size_t n)
{
    buf_put_le16(out, code);
    buf_put_le16(out, (uint16_t)n);
    buf_append(out, value, n);
    buf_put_zeros(out, -n & 3u);
}

static void put_text(struct buf *out, uint16_t code, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        put_option(out, code, text, cut_length(text, OPTION_BYTES_MAX));
    }
}

static void put_u64(struct buf *out, uint16_t code, uint64_t v)
{
    uint8_t bytes[8];

    if (v != UINT64_MAX) {
        put_le64(bytes, v);
        put_option(out, code, bytes, sizeof bytes);
    }
}

/* Time stamps are two 32-bit words, the high one first, in either byte order (§4.3). */
static void put_time(struct buf *out, uint16_t code, uint64_t ns)
{
    uint8_t bytes[8];

    if (ns != UINT64_MAX) {
        put_le32(bytes, (uint32_t)(ns >> 32));
        put_le32(bytes + 4, (uint32_t)ns);
        put_option(out, code, bytes, sizeof bytes);
    }
}

static size_t begin_block(struct buf *out, uint32_t type)
{
    size_t at = out->len;

    buf_put_le32(out, type);
    buf_put_le32(out, 0);
    return at;
}

static void end_block(struct buf *out, size_t at)
{
    buf_put_le32(out, OPT_ENDOFOPT);
    size_t total = out->len - at + 4;
    REQUIRE(total <= UINT32_MAX);
    buf_put_le32(out, (uint32_t)total);
    put_le32(out->data + at + 4, (uint32_t)total);
}

void pcapng_write_section(struct buf *out, const struct pcapng_section *section)
{
    size_t at = begin_block(out, PCAPNG_SECTION);

    buf_put_le32(out, PCAPNG_BYTE_ORDER_MAGIC);
    buf_put_le16(out, 1);
    buf_put_le16(out, 0);
    buf_put_le64(out, UINT64_MAX);
    put_text(out, SHB_HARDWARE, section->hardware);
    put_text(out, SHB_OS, section->os);
    put_text(out, SHB_USERAPPL, section->application);
    put_text(out, OPT_COMMENT, section->comment);
    end_block(out, at);
}

/* §4.2, if_filter: the first byte says what kind of filter follows; 0 = a libpcap expression. */
static void put_filter(struct buf *out, const char *filter)
{
    uint8_t value[1 + IFACE_FILTER_MAX] = {0};
    size_t n = strnlen(filter, IFACE_FILTER_MAX);

    if (n > 0) {
        memcpy(value + 1, filter, n);
        put_option(out, IF_FILTER, value, 1 + n);
    }
}

/* §3.5.1: whose option it is, then the text. */
static void put_custom(struct buf *out, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        size_t n = cut_length(text, OPTION_BYTES_MAX - 4);
        buf_put_le16(out, OPT_CUSTOM_TEXT);
        buf_put_le16(out, (uint16_t)(4 + n));
        buf_put_le32(out, PCAPNG_CUSTOM_NUMBER);
        buf_append(out, text, n);
        buf_put_zeros(out, -n & 3u);
    }
}

void pcapng_write_interface(struct buf *out, const struct iface *iface, const char *comment)
{
    pcapng_write_interface_custom(out, iface, comment, NULL);
}

void pcapng_write_interface_custom(struct buf *out, const struct iface *iface, const char *comment,
                                   const char *custom)
{
    static const uint8_t nanoseconds = 9;
    size_t at = begin_block(out, PCAPNG_INTERFACE);

    buf_put_le16(out, (uint16_t)iface->link_type);
    buf_put_le16(out, 0);
    buf_put_le32(out, iface->snaplen);
    put_text(out, IF_NAME, iface->name);
    put_text(out, IF_DESCRIPTION, iface->description);
    if (iface->has_mac) {
        put_option(out, IF_MACADDR, iface->mac, sizeof iface->mac);
    }
    if (iface->speed_bps > 0) {
        put_u64(out, IF_SPEED, iface->speed_bps);
    }
    put_option(out, IF_TSRESOL, &nanoseconds, 1);
    put_filter(out, iface->filter);
    put_text(out, IF_OS, iface->os);
    put_text(out, OPT_COMMENT, comment);
    put_custom(out, custom);
    end_block(out, at);
}

struct pcapng_statistics pcapng_statistics_of(const struct ledger *ledger)
{
    struct pcapng_statistics told = PCAPNG_STATISTICS_UNKNOWN;

    told.ifdrop = ledger->interface;
    told.filteraccept = ledger->received;
    told.osdrop = ledger->kernel;
    told.usrdeliv = ledger->captured;
    return told;
}

void pcapng_write_statistics(struct buf *out, uint32_t iface_id,
                             const struct pcapng_statistics *statistics, const char *comment)
{
    size_t at = begin_block(out, PCAPNG_STATISTICS);

    buf_put_le32(out, iface_id);
    buf_put_le32(out, (uint32_t)(statistics->time_ns >> 32));
    buf_put_le32(out, (uint32_t)statistics->time_ns);
    put_time(out, ISB_STARTTIME, statistics->start_ns);
    put_time(out, ISB_ENDTIME, statistics->end_ns);
    put_u64(out, ISB_IFRECV, statistics->ifrecv);
    put_u64(out, ISB_IFDROP, statistics->ifdrop);
    put_u64(out, ISB_FILTERACCEPT, statistics->filteraccept);
    put_u64(out, ISB_OSDROP, statistics->osdrop);
    put_u64(out, ISB_USRDELIV, statistics->usrdeliv);
    put_text(out, OPT_COMMENT, comment);
    end_block(out, at);
}
