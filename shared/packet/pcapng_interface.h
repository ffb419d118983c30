/* SPDX-License-Identifier: Apache-2.0
 *
 * Interface Description Blocks (draft-ietf-opsawg-pcapng §4.2) of files that others wrote: who the
 * interface is, and how its time stamps turn into nanoseconds. Driver: shared/packet/pcapng_read.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/base/err.h"
#include "shared/packet/iface.h"

/* Time stamps count units of 10^-n or 2^-n seconds (if_tsresol), from if_tsoffset seconds after
 * 1970. ns = ticks * multiply / divide >> shift + offset, exact but for the last rounding down. */
struct pcapng_clock {
    uint64_t multiply;
    uint64_t divide; /* 0: units so small that every 64-bit count of them is less than 1 ns */
    uint8_t shift;
    bool is_ns; /* ticks are nanoseconds of 1970: nothing to do */
    int64_t offset_s;
};

/* if_tsresol as it stands in the file; the default is 6 (microseconds). */
struct pcapng_clock pcapng_clock(uint8_t tsresol, int64_t offset_s);

/* Nanoseconds since 1970: what is before gives 0, what is past 64 bits gives UINT64_MAX. */
uint64_t pcapng_clock_ns(const struct pcapng_clock *clock, uint64_t ticks);

/* Reads the body of the block: all between its two total lengths. Texts too long for struct iface
 * are cut at a character. ERR_DAMAGED when the body is too short or an option that decides over
 * time stamps cannot be read; outputs are then untouched. */
int pcapng_read_interface(struct bytes_reader body, bool swapped, struct iface *iface,
                          struct pcapng_clock *clock, struct err *err);
