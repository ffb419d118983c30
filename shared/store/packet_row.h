/* SPDX-License-Identifier: Apache-2.0
 *
 * A packet as columns: what `query --json`, the JSON, CSV and SQLite exports and SQL show of it, in
 * this order and under these names. The table packet_columns is the only list of them. Decoding
 * happens once, in packet_row_make; the encoders below write one line of NDJSON or CSV into a
 * buffer. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/packet/link_type.h"
#include "shared/packet/summary.h"
#include "shared/store/scan.h"

enum packet_column {
    COLUMN_SESSION,
    COLUMN_NUMBER,
    COLUMN_TIME,
    COLUMN_INTERFACE,
    COLUMN_CAPLEN,
    COLUMN_LEN,
    COLUMN_LINK_TYPE,
    COLUMN_SRC,
    COLUMN_DST,
    COLUMN_SPORT,
    COLUMN_DPORT,
    COLUMN_PROTO,
    COLUMN_FLAGS,
    COLUMN_INFO,
    PACKET_COLUMNS,
};

struct packet_column_record {
    const char *name;
    bool is_number;
};

extern const struct packet_column_record packet_columns[PACKET_COLUMNS];

/* One value: text, "" = unknown; or, where the column is a number, number, UINT64_MAX = unknown. */
struct packet_cell {
    const char *text;
    uint64_t number;
};

#define PACKET_ROW_TEXT_MAX 64

/* Zeroed before its first use, then used again for each packet: what seldom changes is kept. */
struct packet_row {
    const struct scan_packet *packet; /* borrowed */
    struct packet_cell cells[PACKET_COLUMNS];
    struct decoded decoded;
    uint64_t second; /* that `time` was made for */
    uint32_t link_type_number;
    char time[TEXT_NUMBER_MAX];
    char link_type[LINK_TYPE_TEXT_MAX];
    char src[PACKET_ROW_TEXT_MAX];
    char dst[PACKET_ROW_TEXT_MAX];
    char proto[PACKET_ROW_TEXT_MAX];
    char flags[PACKET_ROW_TEXT_MAX];
    char info[SUMMARY_MAX];
};

/* Decodes. The cells are valid until the next call and as long as the packet is. */
void packet_row_make(struct packet_row *row, const struct scan_packet *packet);

/* One object and a newline. Unknown values are null; bytes that are not UTF-8 become U+FFFD.
 * with_data: "data" with the captured bytes in hex. */
void packet_row_json(struct buf *out, const struct packet_row *row, bool with_data);

/* RFC 4180: names, then a line a packet, CRLF at the ends; unknown values are empty. */
void packet_row_csv_header(struct buf *out, bool with_data);
void packet_row_csv(struct buf *out, const struct packet_row *row, bool with_data);
