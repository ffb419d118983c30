/* SPDX-License-Identifier: Apache-2.0
 *
 * The pcapng blocks in an answer of live.read, one packet after the other. What another member
 * sends is hostile: nothing is believed that was not checked, and nothing is allocated. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/block.h"

/* Counters of the far capture, in its statistics; UINT64_MAX = none were told. */
struct remote_feed {
    uint32_t link_type; /* that it has to have */
    uint64_t kernel;
    uint64_t interface;
};

struct remote_bytes {
    const uint8_t *at;
    size_t left;
};

/* 1 with *packet, borrowed and such as block_append takes; 0 at the end; ERR_DAMAGED: no such
 * blocks, or of another link type. */
int remote_feed_next(struct remote_feed *feed, struct remote_bytes *bytes,
                     struct packet_view *packet, struct err *err);
