/* SPDX-License-Identifier: Apache-2.0
 *
 * Who and where, for doctor: the process that listens on a port, and the programs that belong to
 * us.
 */
#pragma once

#include "cli/doctor.h"

/* Writes "NAME (pid N)" of the process that listens on the TCP port, "" when it is not ours to
 * see. True when it is a node. */
bool doctor_port_owner(uint16_t port, char *out, size_t n);

/* packetrecorderd, Wireshark, and the extcap program in a place where Wireshark looks. */
void doctor_find_programs(struct doctor_host *host);
