/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host knows of an interface beyond libpcap: its hardware address, speed and the system
 * it runs on, for the Interface Description. From /sys on Linux; elsewhere the system alone.
 */
#pragma once

#include "shared/packet/iface.h"

/* Fills mac, speed_bps and os of the interface that `name` says; what is not known stays. */
void iface_facts_fill(struct iface *iface);
