/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the Linux kernel about one network device, without any rights.
 */
#pragma once

#include "shared/capture/interface.h"

/* Fills is_device, mac, hardware_type, mtu, gro, lro, tso and, where it is empty, the description
 * (the device's alias) of interface->name. What the kernel does not tell stays unknown; a name that
 * is no device is left alone. */
void interface_device_ask(struct interface *interface);
