/* SPDX-License-Identifier: Apache-2.0
 *
 * Link types by number and name. Files and this program use LINKTYPE_ numbers, the same everywhere;
 * libpcap's handles use DLT_ numbers, which for a few types differ by system.
 */
#pragma once

#include <stdint.h>

#define LINK_TYPE_NAME_MAX 40

uint32_t link_type_from_dlt(int dlt);

/* libpcap's name without DLT_ ("EN10MB"), or "LINKTYPE_n" when it has none. */
void link_type_name(uint32_t link_type, char out[LINK_TYPE_NAME_MAX]);
