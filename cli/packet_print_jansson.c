/* SPDX-License-Identifier: Apache-2.0
 *
 * The same lines, out of an object of `query --json` that a node answered.
 */
#include "cli/packet_print.h"

#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/packet/link_type.h"

static void put_field(struct buf *line, const json_t *packet, const char *name)
{
    const char *text = field_text(packet, name);

    output_put_name(line, text == NULL ? "" : text);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of "data", owned by the caller; NULL when there is none, or no hex. */
static uint8_t *bytes_of(const json_t *packet, size_t *n)
{
    const char *hex = field_text(packet, "data");
    size_t length = hex == NULL ? 0 : strlen(hex);

    if (length == 0 || length % 2 != 0) {
        return NULL;
    }
    uint8_t *bytes = x_alloc(length / 2);
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(hex[i]);
        int low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0) {
            mem_free(bytes);
            return NULL;
        }
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    *n = length / 2;
    return bytes;
}

/* The words are made here, of the bytes, as they are made of a store's; without the bytes there is
 * only what the node says of them. */
static void put_summary(struct buf *line, const json_t *packet, const uint8_t *bytes, size_t n)
{
    const char *link_type = field_text(packet, "link_type");
    uint64_t len = field_count(packet, "len");
    uint32_t number = 0;

    if (bytes == NULL || link_type == NULL || !link_type_parse(link_type, &number)) {
        put_field(line, packet, "info");
        return;
    }
    const struct packet_view view = {
        .data = bytes,
        .caplen = (uint32_t)n,
        .len = len > UINT32_MAX ? (uint32_t)n : (uint32_t)len,
    };
    char summary[SUMMARY_MAX];
    struct decoded decoded;
    decode_packet(&view, number, &decoded);
    summary_line(&view, &decoded, summary, sizeof summary);
    buf_put_str(line, summary);
}

int packet_print_object(struct packet_print *print, const json_t *packet, struct err *err)
{
    size_t n = 0;

    if (print->json) {
        return output_json_line(print->out, json_incref((json_t *)(uintptr_t)packet), err);
    }
    uint8_t *bytes = bytes_of(packet, &n);
    buf_reset(&print->line);
    put_field(&print->line, packet, "time");
    buf_put_u8(&print->line, ' ');
    if (print->with_node) {
        put_field(&print->line, packet, "node");
        buf_put_u8(&print->line, ' ');
    }
    if (print->with_interface) {
        put_field(&print->line, packet, "interface");
        buf_put_u8(&print->line, ' ');
    }
    put_summary(&print->line, packet, bytes, n);
    buf_put_u8(&print->line, '\n');
    fwrite(print->line.data, 1, print->line.len, print->out);
    if (print->show_data && bytes != NULL) {
        summary_hex(bytes, (uint32_t)n, packet_print_hex_line, print->out);
    }
    mem_free(bytes);
    return ferror(print->out) ? packet_print_failed(err) : 0;
}
