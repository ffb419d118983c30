/* SPDX-License-Identifier: Apache-2.0
 *
 * One packet as `query` and `view` show it on standard output: a line in the words of tcpdump -nn,
 * with the interface where there are several, or an object of `query --json`; and its bytes, if
 * they are wanted.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/store/packet_row.h"

/* Zeroed but for the wishes before its first use. */
struct packet_print {
    FILE *out;
    bool json;
    bool show_data;
    bool with_node;      /* objects only: their "node", in front of it */
    bool with_interface; /* packets come from several */
    struct buf line;
    struct packet_row row;
};

void packet_print_deinit(struct packet_print *print);

/* -EPIPE when nobody reads any more, ERR_IO or ERR_FULL when it cannot be written. */
int packet_print(struct packet_print *print, const struct scan_packet *packet, struct err *err);

/* The same of an object of `query --json`, which a node answered. */
struct json_t; /* jansson's json_t */
int packet_print_object(struct packet_print *print, const struct json_t *packet, struct err *err);

/* A line of summary_hex; arg is the FILE. */
void packet_print_hex_line(const char *text, void *arg);

/* The error of the stream after a failed write, as above. */
int packet_print_failed(struct err *err);
