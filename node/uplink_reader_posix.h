/* SPDX-License-Identifier: Apache-2.0
 *
 * One reader of an uplink: a live source (shared/capture/source.h) with a queue of blocks, which
 * are shared between all readers. The loop thread pushes, the capture thread of a session reads. A
 * viewer's queue has a bound and loses its oldest blocks, counted; a lossless reader's is bounded
 * by what the sniffer may send: how far it is decides over the sniffer's credit. A settled reader
 * is a recording that says what of it is durable, and only then is a packet taken.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/capture/source.h"

/* What a block costs in a queue besides its bytes. */
#define UPLINK_BLOCK_COST 160u
/* Blocks that a settled reader keeps apart until they are durable; beyond it they are put together,
 * and are told as taken together. */
#define UPLINK_CHECKPOINTS 4096u

struct uplink_reader_opts {
    const struct iface *iface;
    const char *filter;
    uint32_t snaplen; /* 0 = as they are */
    bool lossless;
    bool settled;
    uint64_t limit_bytes; /* of the queue of one that may lose */
    /* Any thread: a lossless reader has taken something. */
    void (*changed)(void *arg);
    /* From close, on its thread: forget the reader. */
    void (*closed)(void *arg, struct source *source);
    void *arg;
};

/* ERR_FILTER, or no descriptors. Closed with source->ops->close. */
int uplink_reader_new(const struct uplink_reader_opts *opts, struct source **out, struct err *err);
/* The arg of its opts when the source is such a reader, else NULL. */
void *uplink_reader_arg(const struct source *source);

/* How far an uplink is. Arrivals number the packets of all its streams (runs of the sniffer) in one
 * row, holes included; positions are those of one stream. */
struct uplink_mark {
    uint64_t arrival;
    uint64_t position;
    uint64_t cost; /* the sum of what all messages cost so far */
};

/* Where the uplink stands when the reader comes to it; before the first push. */
void uplink_reader_begin(struct source *source, const struct uplink_mark *mark);
/* A block (a reference is taken), and where the uplink stands behind it. NULL: a message without
 * new packets. */
void uplink_reader_push(struct source *source, struct block *block, const struct uplink_mark *mark);
/* Packets lost before they came here, since the reader began; SOURCE_UNKNOWN where not known. */
void uplink_reader_lost(struct source *source, uint64_t kernel, uint64_t interface);
/* Nothing more comes; read gives ERR_CAPTURE with these words once the queue is empty. */
void uplink_reader_end(struct source *source, const char *why);

bool uplink_reader_is_lossless(const struct source *source);
/* Costs that are worked off, and the arrival of the first packet that is not taken yet. */
uint64_t uplink_reader_taken(struct source *source);
uint64_t uplink_reader_safe(struct source *source);
void uplink_reader_settle(struct source *source, uint64_t packets);
/* Packets lost in the queue. */
uint64_t uplink_reader_dropped(struct source *source);
