/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcap_read.h"

#include <inttypes.h>

#include "shared/packet/pcap.h"

/* The modified record: interface index, protocol, packet type and padding behind the lengths. */
#define MODIFIED_HEADER_BYTES 24u
/* Raw IP stood in files as the number that DLT_RAW has on the system that wrote them: 12, on
 * OpenBSD 14. */
#define DLT_RAW_MOST    12u
#define DLT_RAW_OPENBSD 14u
/* The upper half of the link type field holds the length of the frame check sequence and its flag;
 * the rest of it is reserved (§4 of the draft). */
#define LINK_TYPE_MASK 0xffffu
#define DGUX_MAJOR     543u
/* In the modified format a packet captured in cooked mode is longer by a made-up Ethernet header.
 */
#define COOKED_BYTES 14u

static uint32_t word(const struct pcap_reader *reader, const uint8_t *p)
{
    return reader->swapped ? get_be32(p) : get_le32(p);
}

static bool is_magic(uint32_t magic)
{
    return magic == PCAP_MAGIC_MICROSECONDS || magic == PCAP_MAGIC_NANOSECONDS ||
           magic == PCAP_MAGIC_KUZNETZOV;
}

bool pcap_is_magic(const uint8_t bytes[4])
{
    return is_magic(get_le32(bytes)) || is_magic(get_be32(bytes));
}

uint32_t pcap_link_type(uint32_t field)
{
    uint32_t link_type = field & LINK_TYPE_MASK;

    return link_type == DLT_RAW_MOST || link_type == DLT_RAW_OPENBSD ? LINK_RAW : link_type;
}

static int set_version(struct pcap_reader *reader, uint16_t major, uint16_t minor, struct err *err)
{
    if (major == DGUX_MAJOR && minor == 0) {
        reader->lengths = PCAP_LEN_FIRST;
        return 0;
    }
    if (major != 2 || minor > 4) {
        return err_set(err, ERR_UNSUPPORTED,
                       "pcap version %u.%u cannot be read (2.0 to 2.4 and 543.0 can)", major,
                       minor);
    }
    /* The lengths were interchanged in 2.3, but not by all who wrote 2.3. */
    if (minor == 3) {
        reader->lengths = PCAP_GREATER_IS_LEN;
    } else {
        reader->lengths = minor < 3 ? PCAP_LEN_FIRST : PCAP_CAPLEN_FIRST;
    }
    return 0;
}

static void set_limits(struct pcap_reader *reader, uint32_t snaplen, bool modified)
{
    if (snaplen > INT32_MAX) {
        snaplen = 0; /* nonsense: as libpcap, no limit */
    }
    if (snaplen > 0 && modified && reader->iface.link_type == LINK_ETHERNET) {
        snaplen = snaplen > INT32_MAX - COOKED_BYTES ? INT32_MAX : snaplen + COOKED_BYTES;
    }
    reader->iface.snaplen = snaplen;
    reader->caplen_max = snaplen > PCAP_SNAPLEN_MAX ? snaplen : PCAP_SNAPLEN_MAX;
    if (snaplen == 0 || reader->caplen_max > PACKET_MAX_BYTES) {
        reader->caplen_max = PACKET_MAX_BYTES;
    }
}

int pcap_reader_init(struct pcap_reader *reader, const uint8_t *header, struct err *err)
{
    uint32_t magic = get_le32(header);
    struct pcap_reader r = {.header_bytes = PCAP_RECORD_HEADER_BYTES};

    if (!is_magic(magic)) {
        magic = get_be32(header);
        r.swapped = true;
    }
    if (!is_magic(magic)) {
        return err_set(err, ERR_DAMAGED, "no pcap file: it starts with %08" PRIx32, magic);
    }
    if (magic == PCAP_MAGIC_KUZNETZOV) {
        r.header_bytes = MODIFIED_HEADER_BYTES;
    }
    r.fraction_ns = magic == PCAP_MAGIC_NANOSECONDS ? 1 : 1000;
    r.iface.ts_digits = magic == PCAP_MAGIC_NANOSECONDS ? 9 : 6;

    uint16_t major = r.swapped ? get_be16(header + 4) : get_le16(header + 4);
    uint16_t minor = r.swapped ? get_be16(header + 6) : get_le16(header + 6);
    int rc = set_version(&r, major, minor, err);
    if (rc < 0) {
        return rc;
    }
    r.iface.link_type = pcap_link_type(word(&r, header + 20));
    set_limits(&r, word(&r, header + 16), magic == PCAP_MAGIC_KUZNETZOV);
    r.offset = PCAP_FILE_HEADER_BYTES;
    *reader = r;
    return 0;
}

static int refuse_length(const struct pcap_reader *reader, uint32_t caplen, struct err *err)
{
    if (reader->caplen_max == PACKET_MAX_BYTES) {
        return err_set(err, ERR_LIMIT,
                       "the packet at byte %" PRIu64 " claims %" PRIu32 " bytes; the limit is %u",
                       reader->offset, caplen, PACKET_MAX_BYTES);
    }
    return err_set(err, ERR_DAMAGED,
                   "damaged at byte %" PRIu64 ": a packet of %" PRIu32
                   " bytes in a file whose longest is %" PRIu32,
                   reader->offset, caplen, reader->iface.snaplen);
}

int pcap_reader_next(struct pcap_reader *reader, struct bytes_reader *in, struct packet_view *out,
                     struct err *err)
{
    const uint8_t *p = in->p;
    size_t left = bytes_left(in);

    if (left < reader->header_bytes) {
        reader->need = reader->header_bytes;
        return 0;
    }
    uint32_t caplen = word(reader, p + 8);
    uint32_t len = word(reader, p + 12);
    if (reader->lengths == PCAP_LEN_FIRST ||
        (reader->lengths == PCAP_GREATER_IS_LEN && caplen > len)) {
        uint32_t first = caplen;
        caplen = len;
        len = first;
    }
    if (caplen > reader->caplen_max) {
        return refuse_length(reader, caplen, err);
    }
    size_t total = (size_t)reader->header_bytes + caplen;
    if (left < total) {
        reader->need = total;
        return 0;
    }
    if (reader->iface.snaplen > 0 && caplen > reader->iface.snaplen) {
        caplen = reader->iface.snaplen;
        reader->n_cut++;
    }
    *out = (struct packet_view){
        .time_ns = (uint64_t)word(reader, p) * 1000000000u +
                   (uint64_t)word(reader, p + 4) * reader->fraction_ns,
        .caplen = caplen,
        .len = len,
        .data = p + reader->header_bytes,
    };
    in->p = p + total;
    reader->offset += total;
    return 1;
}
