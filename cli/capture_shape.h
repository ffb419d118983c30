/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether bytes that come in pieces are the capture file that they are said to be: pcapng blocks or
 * pcap records, one behind the other, each with lengths that hold together. A download looks at
 * what a node sends with it; what is inside of packets is nobody's business here. Pure; keeps no
 * bytes but the head of the block at hand.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

enum capture_shape_kind { CAPTURE_SHAPE_PCAPNG, CAPTURE_SHAPE_PCAP };

#define CAPTURE_SHAPE_HEAD_MAX 24

/* Zeroed but for the kind before the first piece. */
struct capture_shape {
    enum capture_shape_kind kind;
    uint64_t packets; /* that are whole */
    uint64_t offset;  /* of the block or record at hand, in the file */
    uint64_t body;    /* bytes of it that are still to come, behind the head */
    uint32_t length;  /* of a pcapng block, as its head says */
    uint32_t type;
    bool is_swapped;
    bool is_begun; /* the file's own head was seen */
    bool in_body;
    uint8_t head[CAPTURE_SHAPE_HEAD_MAX];
    size_t n_head;
};

/* ERR_DAMAGED, with the offset, when this cannot be such a file. */
int capture_shape_take(struct capture_shape *shape, const uint8_t *bytes, size_t n,
                       struct err *err);

/* The file may end here: its head was there, and no block or record is cut. */
bool capture_shape_is_whole(const struct capture_shape *shape);
