/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes one session into a store: a consumer of blocks. Gathers blocks into frames (up to about 1
 * MiB or 500 ms), indexes, compresses and seals them on worker threads, appends them to segments in
 * order and enters them in the catalogue at least every second, so that a crash loses no more than
 * that. A full disk is a state: the session is shown as disk_full, lost packets are counted, and
 * writing goes on in a new segment when there is room (or stops, or drops the oldest, as the rule
 * says).
 */
#pragma once

#include "shared/packet/consumer.h"
#include "shared/store/protocol.h"
#include "shared/store/store.h"

enum store_compression {
    STORE_COMPRESS_AUTO, /* zstd while the writer keeps up, raw when it does not */
    STORE_COMPRESS_ON,   /* always */
    STORE_COMPRESS_OFF,  /* never */
};

enum store_full_rule {
    STORE_FULL_WAIT,        /* count what is lost, go on when there is room */
    STORE_FULL_STOP,        /* end the capture with ERR_FULL; always so for files */
    STORE_FULL_DROP_OLDEST, /* delete the store's oldest segments to make room */
};

#define STORE_CLOCK_MOST 4 /* samples that are new at one look */

struct store_session_spec {
    const char *name;     /* NULL = none; ERR_EXISTS is not raised: names need not be unique */
    const char *node;     /* host name */
    const char *filter;   /* NULL = none */
    const char *excluded; /* what was left out of it as the node's own traffic; NULL = nothing */
    const char *tags;     /* JSON object text, NULL = {} */
    /* A session that has ended goes on, in further segments and with the packets behind those that
     * it has; of the rest only what says how counts. NULL = a new one. */
    const char *resume;
    uint64_t started_ns;
    enum store_compression compression;
    enum store_full_rule full_rule;
    /* Of the whole store on disk; the oldest segments go first. At least STORE_QUOTA_MIN; 0 = none.
     */
    uint64_t quota_bytes;
    /* How the clock of the packets' stamps stands; NULL = nobody knows. Asked at the begin, ten
     * times a second and at the end (is_last), on the writer's thread, for what is new; gives how
     * many samples it has put into `out`. Does not wait. */
    uint32_t (*clock)(void *arg, bool is_last, struct clock_sample out[STORE_CLOCK_MOST]);
    void *clock_arg;
};

/* Below this the catalogue alone would push out every packet. */
#define STORE_QUOTA_MIN (8u * 1024u * 1024u)

/* ERR_USAGE for a quota that is too small, and what the catalogue says.
 * The session is in the catalogue, running, when this returns; its id is in `id` (STORE_ID_TEXT
 * bytes). Of one that is resumed: ERR_NOT_FOUND, ERR_IN_USE while it is written; its interfaces
 * must be the first of the new ones, or begin gives ERR_EXISTS. The store was opened for writing
 * and must outlive the consumer, and its handle is not used by anyone else until store_writer_free:
 * a second session gets a share of its own. */
int store_writer_new(struct store *store, const struct store_session_spec *spec,
                     struct consumer **out, char *id, struct err *err);
void store_writer_free(
    struct consumer *consumer); /* takes NULL; after finish, or instead of it on failure */

/* How long packets are on their way through a writer: from the sealing of a frame's first block
 * until the frame stands in its segment. Up to 0.4 s of it is gathering, where little comes.
 * Bucket i counts what took at most store_delay_bounds_us[i]; what took longer is in `count` alone.
 */
#define STORE_DELAY_BUCKETS 12
extern const uint32_t store_delay_bounds_us[STORE_DELAY_BUCKETS];

struct store_delays {
    uint64_t buckets[STORE_DELAY_BUCKETS]; /* not cumulative */
    uint64_t count;
    uint64_t sum_ns;
};

/* Packets and bytes stored so far, and the state; any thread. */
struct store_writer_stats {
    uint64_t packets;
    uint64_t bytes;
    uint64_t stored_bytes;
    uint64_t durable; /* packets that survive the machine */
    uint64_t lost;    /* given up by the writer: disk full */
    enum store_state state;
    struct protocol_tally protocols; /* of the stored packets */
    struct store_delays delays;
};
void store_writer_stats(struct consumer *consumer, struct store_writer_stats *out);
