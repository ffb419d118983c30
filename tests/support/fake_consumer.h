/* SPDX-License-Identifier: Apache-2.0
 *
 * A consumer for tests of lanes and sessions: it counts what it gets, can be held up, slowed down
 * and made to fail. Header only; include it in one test.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/packet/consumer.h"

struct fake_consumer {
    struct consumer consumer;
    pthread_mutex_t gate; /* held by the test: every block waits */
    unsigned slow_us;     /* a block takes so long */
    int fail_begin;
    int fail_at_block; /* the block with this number (from 1) fails; 0 = none */
    /* what happened; read after the end, or the atomics at any time */
    atomic_int blocks;
    atomic_int ticks;
    atomic_int counters;
    atomic_int finished;
    uint64_t packets;
    uint64_t bytes;
    uint32_t n_ifaces;
    uint64_t last_ns; /* time stamps have to rise, as the tests send them */
    bool in_order;
    struct ledger total;
    char calls[16]; /* first letters: b(egin) i(faces) f(inish) */
};

static struct fake_consumer *fake_of(struct consumer *c)
{
    return container_of(c, struct fake_consumer, consumer);
}

static void note_call(struct fake_consumer *fake, char letter)
{
    size_t n = strlen(fake->calls);

    if (n + 1 < sizeof fake->calls) {
        fake->calls[n] = letter;
    }
}

static int fake_begin(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    struct fake_consumer *fake = fake_of(c);

    (void)ifaces;
    fake->n_ifaces = n;
    note_call(fake, 'b');
    return fake->fail_begin == 0 ? 0 : err_set(err, fake->fail_begin, "begin failed");
}

static int fake_ifaces(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    struct fake_consumer *fake = fake_of(c);

    (void)ifaces;
    (void)err;
    fake->n_ifaces = n;
    note_call(fake, 'i');
    return 0;
}

static int fake_block(struct consumer *c, struct block *block, const struct consumer_load *load,
                      struct err *err)
{
    struct fake_consumer *fake = fake_of(c);
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct packet_view packet;

    (void)load;
    pthread_mutex_lock(&fake->gate);
    pthread_mutex_unlock(&fake->gate);
    if (fake->slow_us > 0) {
        usleep(fake->slow_us);
    }
    if (atomic_fetch_add(&fake->blocks, 1) + 1 == fake->fail_at_block) {
        return err_set(err, ERR_FULL, "block failed");
    }
    while (block_next(&cursor, &packet) == 1) {
        fake->in_order =
            fake->in_order && packet.time_ns >= fake->last_ns && packet.iface < fake->n_ifaces;
        fake->last_ns = packet.time_ns;
        fake->packets++;
        fake->bytes += packet.caplen;
    }
    return 0;
}

static int fake_tick(struct consumer *c, uint64_t now_ns, struct err *err)
{
    (void)now_ns;
    (void)err;
    atomic_fetch_add(&fake_of(c)->ticks, 1);
    return 0;
}

static int fake_counters(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                         uint64_t now_ns, struct err *err)
{
    (void)ledgers;
    (void)n;
    (void)now_ns;
    (void)err;
    atomic_fetch_add(&fake_of(c)->counters, 1);
    return 0;
}

static int fake_finish(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                       const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    struct fake_consumer *fake = fake_of(c);

    (void)ledgers;
    (void)n;
    (void)ended_ns;
    (void)err;
    fake->total = *total;
    note_call(fake, 'f');
    atomic_fetch_add(&fake->finished, 1);
    return 0;
}

static const struct consumer_ops fake_consumer_ops = {
    .name = "fake",
    .begin = fake_begin,
    .ifaces = fake_ifaces,
    .block = fake_block,
    .tick = fake_tick,
    .finish = fake_finish,
    .counters = fake_counters,
};

static void fake_consumer_init(struct fake_consumer *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->consumer.ops = &fake_consumer_ops;
    fake->in_order = true;
    pthread_mutex_init(&fake->gate, NULL);
}
