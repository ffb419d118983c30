/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of link types: those of libpcap (pcap_datalink_val_to_name), so that a user meets the same
 * word in list-interfaces, in a session and in a packet. Pure, since the names of the numbers in
 * files are fixed (https://www.tcpdump.org/linktypes.html).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LINK_TYPE_TEXT_MAX 32

/* "EN10MB" for LINKTYPE_ 1, "LINKTYPE_147" where there is no name. */
void link_type_text(uint32_t link_type, char out[LINK_TYPE_TEXT_MAX]);
/* And back; false when it is no such text. */
bool link_type_parse(const char *text, uint32_t *out);
