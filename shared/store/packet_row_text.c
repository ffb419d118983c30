/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows as NDJSON (RFC 8259, one object a line) and CSV (RFC 4180). Written by hand, since this is
 * the hot path of exports with millions of packets; the shape is fixed and flat.
 */
#include <string.h>

#include "shared/store/packet_row.h"

#define U64_DIGITS_MAX    20
#define UTF8_REPLACEMENT  "\xEF\xBF\xBD"
#define REPLACEMENT_BYTES 3

static const char hex_digits[] = "0123456789abcdef";

static void put_number(struct buf *out, uint64_t v)
{
    char digits[U64_DIGITS_MAX];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    buf_append(out, digits + at, sizeof digits - at);
}

static void put_hex(struct buf *out, const uint8_t *data, uint32_t n)
{
    uint8_t *at = buf_extend(out, 2 * (size_t)n);

    for (uint32_t i = 0; i < n; i++) {
        at[2 * (size_t)i] = (uint8_t)hex_digits[data[i] >> 4];
        at[2 * (size_t)i + 1] = (uint8_t)hex_digits[data[i] & 15];
    }
}

/* Bytes of the UTF-8 character at p (RFC 3629 §4), 0 when there is none. The text ends with a zero,
 * which is no continuation byte, so nothing behind it is read. */
static size_t utf8_length(const uint8_t *p)
{
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t n;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] < 0xC2 || p[0] > 0xF4) {
        return 0;
    }
    n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : low;
    high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : high;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

/* One character of a JSON string; returns how many bytes of the text it was. */
static size_t put_json_char(struct buf *out, const uint8_t *p)
{
    size_t n = utf8_length(p);

    if (n == 0) {
        buf_append(out, UTF8_REPLACEMENT, REPLACEMENT_BYTES);
        return 1;
    }
    if (*p == '"' || *p == '\\') {
        buf_put_u8(out, '\\');
        buf_put_u8(out, *p);
    } else if (*p < 0x20 || *p == 0x7F) {
        const char escaped[] = {'\\', 'u', '0', '0', hex_digits[*p >> 4], hex_digits[*p & 15]};
        buf_append(out, escaped, sizeof escaped);
    } else {
        buf_append(out, p, n);
    }
    return n;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void put_json_text(struct buf *out, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    buf_put_u8(out, '"');
    while (*p != '\0') {
        const uint8_t *start = p;
        while (is_plain(*p)) {
            p++;
        }
        buf_append(out, start, (size_t)(p - start));
        if (*p != '\0') {
            p += put_json_char(out, p);
        }
    }
    buf_put_u8(out, '"');
}

static void put_json_value(struct buf *out, const struct packet_row *row, int column)
{
    const struct packet_cell *cell = &row->cells[column];
    bool is_number = packet_columns[column].is_number;

    if (is_number ? cell->number == UINT64_MAX : cell->text[0] == '\0') {
        buf_append(out, "null", 4);
    } else if (is_number) {
        put_number(out, cell->number);
    } else {
        put_json_text(out, cell->text);
    }
}

void packet_row_json(struct buf *out, const struct packet_row *row, bool with_data)
{
    for (int i = 0; i < PACKET_COLUMNS; i++) {
        buf_append(out, i == 0 ? "{\"" : ",\"", 2);
        buf_put_str(out, packet_columns[i].name);
        buf_append(out, "\":", 2);
        put_json_value(out, row, i);
    }
    if (with_data) {
        buf_put_str(out, ",\"data\":\"");
        put_hex(out, row->packet->view.data, row->packet->view.caplen);
        buf_put_u8(out, '"');
    }
    buf_append(out, "}\n", 2);
}

static void put_csv_text(struct buf *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buf_put_str(out, text);
        return;
    }
    buf_put_u8(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            buf_put_u8(out, '"');
        }
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, '"');
}

void packet_row_csv_header(struct buf *out, bool with_data)
{
    for (int i = 0; i < PACKET_COLUMNS; i++) {
        buf_put_str(out, i == 0 ? "" : ",");
        buf_put_str(out, packet_columns[i].name);
    }
    buf_put_str(out, with_data ? ",data\r\n" : "\r\n");
}

void packet_row_csv(struct buf *out, const struct packet_row *row, bool with_data)
{
    for (int i = 0; i < PACKET_COLUMNS; i++) {
        const struct packet_cell *cell = &row->cells[i];
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        if (!packet_columns[i].is_number) {
            put_csv_text(out, cell->text);
        } else if (cell->number != UINT64_MAX) {
            put_number(out, cell->number);
        }
    }
    if (with_data) {
        buf_put_u8(out, ',');
        put_hex(out, row->packet->view.data, row->packet->view.caplen);
    }
    buf_append(out, "\r\n", 2);
}
