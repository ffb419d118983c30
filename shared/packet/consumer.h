/* SPDX-License-Identifier: Apache-2.0
 *
 * Who takes the blocks of a capture: a store, a capture file, later a relay. The capture session
 * gives each consumer a thread and a bounded queue of its own (capture/lane); all functions below
 * run on that thread, in this order: begin, then block and tick, then finish. A consumer is owned
 * by whoever made it and outlives the session.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/iface.h"
#include "shared/packet/ledger.h"

struct consumer;

/* How a block comes: how full the consumer's queue is, so that it can save work when it falls
 * behind. */
struct consumer_load {
    uint32_t queued; /* blocks waiting behind this one */
    uint32_t limit;  /* the queue's size in blocks */
    bool may_wait;   /* the source is a file: falling behind loses nothing */
};

struct consumer_ops {
    const char *name; /* the stage in the loss ledger: "store", "file" */
    /* The interfaces known at the start (0 for an empty pcapng file). */
    int (*begin)(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err);
    /* The list grew; called before the first block that uses the new ones. Borrowed for the call.
     */
    int (*ifaces)(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err);
    /* One sealed block; borrowed: take a reference to keep it. A negative result ends the capture
     * with that error. A consumer that loses packets but goes on (disk full) returns 0 and counts
     * them in lost(). */
    int (*block)(struct consumer *c, struct block *block, const struct consumer_load *load,
                 struct err *err);
    /* From here on each may be NULL: nothing to do, nothing lost. */
    /* At least every 100 ms while nothing comes. now_ns is monotonic. */
    int (*tick)(struct consumer *c, uint64_t now_ns, struct err *err);
    /* The end. ledgers: one an interface; total: the session's, with what the queue lost in
     * total->store (the consumer adds its own losses when it records it). ended_ns is wall time.
     * Flushes; nothing follows. */
    int (*finish)(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                  const struct ledger *total, uint64_t ended_ns, struct err *err);
    /* Packets lost inside the consumer so far. Any thread. */
    uint64_t (*lost)(struct consumer *c);
    /* Live sessions, every ten seconds: the ledgers so far, one an interface, at wall time
     * now_ns. */
    int (*counters)(struct consumer *c, const struct ledger *ledgers, uint32_t n, uint64_t now_ns,
                    struct err *err);
};

struct consumer {
    const struct consumer_ops *ops;
};

static inline int consumer_tick(struct consumer *c, uint64_t now_ns, struct err *err)
{
    return c->ops->tick == NULL ? 0 : c->ops->tick(c, now_ns, err);
}

static inline int consumer_finish(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                                  const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    return c->ops->finish == NULL ? 0 : c->ops->finish(c, ledgers, n, total, ended_ns, err);
}

static inline uint64_t consumer_lost(struct consumer *c)
{
    return c->ops->lost == NULL ? 0 : c->ops->lost(c);
}

static inline int consumer_counters(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                                    uint64_t now_ns, struct err *err)
{
    return c->ops->counters == NULL ? 0 : c->ops->counters(c, ledgers, n, now_ns, err);
}
