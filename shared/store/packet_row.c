/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/packet_row.h"

#include <string.h>

#define NS_PER_SECOND 1000000000u
#define NS_DIGITS     9
/* Where the digits of the fraction stand in a formatted time. */
#define FRACTION_AT 20

const struct packet_column_record packet_columns[PACKET_COLUMNS] = {
    [COLUMN_SESSION] = {"session", false},
    [COLUMN_NUMBER] = {"number", true},
    [COLUMN_TIME] = {"time", false},
    [COLUMN_INTERFACE] = {"interface", false},
    [COLUMN_CAPLEN] = {"caplen", true},
    [COLUMN_LEN] = {"len", true},
    [COLUMN_LINK_TYPE] = {"link_type", false},
    [COLUMN_SRC] = {"src", false},
    [COLUMN_DST] = {"dst", false},
    [COLUMN_SPORT] = {"sport", true},
    [COLUMN_DPORT] = {"dport", true},
    [COLUMN_PROTO] = {"proto", false},
    [COLUMN_FLAGS] = {"flags", false},
    [COLUMN_INFO] = {"info", false},
};

/* Most packets fall into the second of the one before: only the fraction is written anew. */
static void make_time(struct packet_row *row, uint64_t ns)
{
    uint64_t second = ns / NS_PER_SECOND;
    uint32_t fraction = (uint32_t)(ns % NS_PER_SECOND);

    if (row->time[0] == '\0' || row->second != second) {
        text_format_time(ns, row->time);
        row->second = second;
        return;
    }
    for (int i = NS_DIGITS - 1; i >= 0; i--) {
        row->time[FRACTION_AT + i] = (char)('0' + fraction % 10);
        fraction /= 10;
    }
}

static void make_link_type(struct packet_row *row, uint32_t link_type)
{
    if (link_type == UINT32_MAX) { /* the scan does not know the interface */
        row->link_type[0] = '\0';
    } else if (row->link_type[0] == '\0' || row->link_type_number != link_type) {
        link_type_text(link_type, row->link_type);
        row->link_type_number = link_type;
    }
}

void packet_row_make(struct packet_row *row, const struct scan_packet *packet)
{
    const struct packet_view *view = &packet->view;
    struct decoded *d = &row->decoded;

    decode_packet(view, packet->iface->link_type, d);
    make_time(row, view->time_ns);
    make_link_type(row, packet->iface->link_type);
    decode_src(d, row->src, sizeof row->src);
    decode_dst(d, row->dst, sizeof row->dst);
    decode_proto_name(d, row->proto, sizeof row->proto);
    decode_tcp_flags(d, row->flags, sizeof row->flags);
    summary_info(view, d, row->info, sizeof row->info);
    row->packet = packet;

    struct packet_cell *cells = row->cells;
    cells[COLUMN_SESSION].text = packet->session->id;
    cells[COLUMN_NUMBER].number = packet->number;
    cells[COLUMN_TIME].text = row->time;
    cells[COLUMN_INTERFACE].text = packet->iface->name;
    cells[COLUMN_CAPLEN].number = view->caplen;
    cells[COLUMN_LEN].number = view->len;
    cells[COLUMN_LINK_TYPE].text = row->link_type;
    cells[COLUMN_SRC].text = row->src;
    cells[COLUMN_DST].text = row->dst;
    cells[COLUMN_SPORT].number = d->has_ports ? d->sport : UINT64_MAX;
    cells[COLUMN_DPORT].number = d->has_ports ? d->dport : UINT64_MAX;
    cells[COLUMN_PROTO].text = row->proto;
    cells[COLUMN_FLAGS].text = row->flags;
    cells[COLUMN_INFO].text = row->info;
}
