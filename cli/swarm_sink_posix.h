/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the one stream of a swarm goes: a capture file, or lines on standard output.
 */
#pragma once

#include "cli/packet_print.h"
#include "cli/swarm_merge_posix.h"

/* As file_output_open: pcapng, "-" is standard output. */
int swarm_sink_file(const char *path, struct swarm_sink **out, struct err *err);
struct swarm_sink *swarm_sink_lines(const struct packet_print *print);
