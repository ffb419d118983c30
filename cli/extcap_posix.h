/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of packetrecorder-extcap that touch the world: asking the node with a hard deadline,
 * and capturing into a FIFO with a toolbar.
 */
#pragma once

#include "cli/extcap_text.h"
#include "shared/wire/url.h"

#define EXTCAP_IFACES_MAX 512

/* Who is asked, with what. */
struct extcap_node {
    struct url_endpoint endpoint;
    char *api_key; /* sodium memory */
    const char *ca_file;
};

/* From the options; ERR_USAGE where no node is named. */
int extcap_node_open(const struct extcap_args *args, struct extcap_node *node, struct err *err);
void extcap_node_close(struct extcap_node *node);

struct extcap_list {
    struct extcap_iface items[EXTCAP_IFACES_MAX];
    size_t n;
};

/* Asks the node for its interfaces, at most limit_ms in all, name lookup included: -ETIMEDOUT
 * then, and a thread may still hang, so the process should end soon. */
int extcap_ask(const struct extcap_node *node, unsigned limit_ms, struct extcap_list *out,
               struct err *err);

/* Until the reader of the FIFO has enough, or SIGTERM or SIGINT: 0. */
int extcap_capture(const struct extcap_args *args, const struct extcap_node *node, struct err *err);
