/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences of the extcap interface (https://www.wireshark.org/docs/wsdg_html_chunked/
 * ChCaptureExtcap.html): `word {key=value}{key=value}`, one a line. Pure.
 */
#pragma once

#include <stddef.h>

#include "cli/extcap_args.h"
#include "shared/base/buf.h"

/* An interface of the node. */
struct extcap_iface {
    char name[128];
    char description[128];
    char link_type[32]; /* "EN10MB", "" = unknown */
};

/* Numbers of the controls in the toolbar. */
enum extcap_control_number {
    EXTCAP_CONTROL_RECEIVED,
    EXTCAP_CONTROL_LOST,
    EXTCAP_CONTROL_LOG,
};

/* node: whose interfaces they are, "" = none is set up. */
void extcap_put_interfaces(struct buf *out, const char *node, const struct extcap_iface *ifaces,
                           size_t n);

/* The link type by name; Ethernet where it is not known. */
void extcap_put_dlts(struct buf *out, const char *link_type);

/* What the dialog of `interface` offers; args hold what the file and the environment say. */
void extcap_put_config(struct buf *out, const struct extcap_args *args);

/* The values of --remote-interface. */
void extcap_put_reloaded(struct buf *out, const struct extcap_iface *ifaces, size_t n);
