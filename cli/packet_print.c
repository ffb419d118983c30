/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/packet_print.h"

#include <errno.h>

#include "cli/output.h"
#include "shared/base/text.h"

void packet_print_deinit(struct packet_print *print)
{
    buf_deinit(&print->line);
}

int packet_print_failed(struct err *err)
{
    if (errno == EPIPE) {
        err_set(err, -EPIPE, "nobody reads standard output any more");
        return -EPIPE;
    }
    return err_errno(err, errno, "writing to standard output");
}

void packet_print_hex_line(const char *text, void *arg)
{
    FILE *out = arg;

    fputs(text, out);
    putc('\n', out);
}

static void make_text(struct packet_print *print, const struct scan_packet *packet)
{
    char time[TEXT_NUMBER_MAX];
    char summary[SUMMARY_MAX];
    struct decoded decoded;

    decode_packet(&packet->view, packet->iface->link_type, &decoded);
    summary_line(&packet->view, &decoded, summary, sizeof summary);
    text_format_time(packet->view.time_ns, time);
    buf_put_str(&print->line, time);
    buf_put_u8(&print->line, ' ');
    if (print->with_interface) {
        output_put_name(&print->line, packet->iface->name);
        buf_put_u8(&print->line, ' ');
    }
    buf_put_str(&print->line, summary);
    buf_put_u8(&print->line, '\n');
}

int packet_print(struct packet_print *print, const struct scan_packet *packet, struct err *err)
{
    buf_reset(&print->line);
    if (print->json) {
        packet_row_make(&print->row, packet);
        packet_row_json(&print->line, &print->row, print->show_data);
    } else {
        make_text(print, packet);
    }
    fwrite(print->line.data, 1, print->line.len, print->out);
    if (print->show_data && !print->json) {
        summary_hex(packet->view.data, packet->view.caplen, packet_print_hex_line, print->out);
    }
    return ferror(print->out) ? packet_print_failed(err) : 0;
}
