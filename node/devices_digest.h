/* SPDX-License-Identifier: Apache-2.0
 *
 * One number for a list of devices, which the other nodes of the swarm are told: while it is the
 * same, the list that they know is still true. What is shown of a device is in it but its link
 * types, which are known only after it was opened. Pure.
 */
#pragma once

#include <stdint.h>

#include "shared/capture/interfaces_pcap.h"

/* The same for the same devices in any order; never 0, which is "not known". */
uint64_t devices_digest(const struct interface_list *list);
