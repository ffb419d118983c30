/* SPDX-License-Identifier: Apache-2.0
 *
 * Interface Statistics Blocks (draft-ietf-opsawg-pcapng §4.6) of files and streams that others
 * wrote: how many packets an interface received and where some were lost. Driver:
 * shared/packet/pcapng_read. Pure.
 */
#pragma once

#include <stdbool.h>

#include "shared/base/bytes.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_interface.h"

#define PCAPNG_COMMENT_MAX 256

struct pcapng_told_statistics {
    struct pcapng_statistics numbers; /* UINT64_MAX = not told; times in ns */
    char comment[PCAPNG_COMMENT_MAX]; /* the first one, cut at a byte; "" = none */
};

/* Reads the body of the block: all between its two total lengths. `clock` is the interface's.
 * ERR_DAMAGED when it is too short or its options cannot be walked; *out is then untouched. */
int pcapng_read_statistics(struct bytes_reader body, bool swapped, const struct pcapng_clock *clock,
                           struct pcapng_told_statistics *out);
