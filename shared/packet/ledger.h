/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss ledger: every place where a packet can be lost has one 64-bit counter. A counter that
 * the platform does not offer is LEDGER_UNKNOWN ("n/a", null), never 0. Kept once a session and
 * once an interface.
 */
#pragma once

#include <stdint.h>

#define LEDGER_UNKNOWN UINT64_MAX

struct ledger {
    uint64_t captured;  /* packets that went into blocks */
    uint64_t bytes;     /* their captured bytes */
    uint64_t received;  /* packets that passed the filter: the kernel's count, or ours for files */
    uint64_t kernel;    /* lost: the kernel's ring was full */
    uint64_t interface; /* lost: interface or driver */
    uint64_t limit;     /* read after a capture limit was reached and thrown away */
    uint64_t
        store; /* lost: store queue full or disk full; session only, 0 in an interface's ledger */
};

/* Sum of two counters; unknown stays unknown. */
static inline uint64_t ledger_add(uint64_t a, uint64_t b)
{
    return a == LEDGER_UNKNOWN || b == LEDGER_UNKNOWN ? LEDGER_UNKNOWN : a + b;
}
