/* SPDX-License-Identifier: Apache-2.0
 *
 * What a viewer's pcapng stream holds besides packets: the head (Section Header and Interface
 * Description, with the expression in force and what was left out), and Interface Statistics Blocks
 * that tell the counters of the capture and, in comments, where in the stream the viewer stands and
 * what it has lost. A comment begins with a line for programs,
 *
 *     packetrecorder: [lost=N ]position=P
 *
 * P is the number, in the stream, of the packet that comes next; N packets before it never come.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/packet/iface.h"
#include "shared/packet/ledger.h"

struct relay_head {
    const struct iface *iface;
    const char *excluded; /* own traffic that is left out, "" = none */
    const char *node;
    const char *application;
    const char *warning; /* what a user should know of the capture, "" = nothing */
};

void relay_pcapng_head(struct buf *out, const struct relay_head *head);

struct relay_statistics {
    uint64_t now_ns; /* wall time */
    uint64_t start_ns;
    const struct ledger *ledger; /* of the stream: store = lost between capture and viewers */
    uint64_t delivered;          /* packets that this viewer was sent */
    uint64_t position;
    uint64_t lost;    /* just now; 0 = nothing to tell */
    const char *note; /* a sentence, or NULL */
    bool at_end;
};

void relay_pcapng_statistics(struct buf *out, const struct relay_statistics *statistics);
