/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of link types: those of libpcap (pcap_datalink_val_to_name), so that a user meets the same
 * word in list-interfaces, in a session and in a packet. Pure, since the names of the numbers in
 * files are fixed (https://www.tcpdump.org/linktypes.html).
 */
#pragma once

#include <stdint.h>

/* "EN10MB" for LINKTYPE_ 1; NULL for numbers without a name. */
const char *link_type_name(uint32_t link_type);

#define LINK_TYPE_TEXT_MAX 32

/* The name, or "LINKTYPE_147" where there is none. */
void link_type_text(uint32_t link_type, char out[LINK_TYPE_TEXT_MAX]);
