/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as lines on standard output while they come: a consumer (shared/packet/consumer.h) around
 * the printer of `query`. Each run is flushed, so that whoever reads a pipe sees it at once.
 */
#pragma once

#include "cli/packet_print.h"
#include "shared/packet/consumer.h"

/* The wishes of `print` are copied. */
struct consumer *view_lines_new(const struct packet_print *print);
void view_lines_free(struct consumer *consumer); /* takes NULL */
