/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_lines FILE: prints the summary line of each packet of a capture file, one a line, with
 * its decoded columns before it when a second argument is given. Reads with libpcap and nothing of
 * ours but the decoder, so that decode_against_tcpdump.py compares the decoder alone.
 */
#include <stdio.h>

#include <pcap/pcap.h>

#include "shared/packet/iface.h"
#include "shared/packet/summary.h"

/* libpcap speaks DLT_ values; those that differ from LINKTYPE_ on Linux and that we decode. */
static uint32_t link_type_of(pcap_t *pcap)
{
    int dlt = pcap_datalink(pcap);
    return dlt == DLT_RAW ? LINK_RAW : (uint32_t)dlt;
}

static void put_columns(const struct decoded *d)
{
    char src[64], dst[64], proto[32], flags[16];
    decode_src(d, src, sizeof src);
    decode_dst(d, dst, sizeof dst);
    decode_proto_name(d, proto, sizeof proto);
    decode_tcp_flags(d, flags, sizeof flags);
    printf("%s %u %s %u %s [%s] l3 %u l4 %u payload %u+%u%s%s%s | ", src, d->sport, dst, d->dport,
           proto, flags, d->l3_offset, d->l4_offset, d->payload_offset, d->payload_len,
           d->fragment ? " fragment" : "", d->cut ? " cut" : "", d->bad ? " bad" : "");
}

int main(int argc, char **argv)
{
    char why[PCAP_ERRBUF_SIZE];
    pcap_t *pcap =
        argc < 2
            ? NULL
            : pcap_open_offline_with_tstamp_precision(argv[1], PCAP_TSTAMP_PRECISION_NANO, why);
    if (pcap == NULL) {
        fprintf(stderr, "decode_lines: %s\n", argc < 2 ? "which file?" : why);
        return 1;
    }
    struct pcap_pkthdr *header;
    const uint8_t *data;
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        struct packet_view packet = {.caplen = header->caplen, .len = header->len, .data = data};
        struct decoded d;
        char text[SUMMARY_MAX];
        decode_packet(&packet, link_type_of(pcap), &d);
        summary_line(&packet, &d, text, sizeof text);
        if (argc > 2) {
            put_columns(&d);
        }
        puts(text);
    }
    pcap_close(pcap);
    return 0;
}
