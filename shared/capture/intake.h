/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the packets of all sources of a session come together: the open block, the list of
 * interfaces, the limits and the counters. Each source gets a feed, which is the sink it hands its
 * packets to; a feed renumbers the source's interfaces, filters (files only: live, the kernel does)
 * and cuts. The capture session drives it from its one capture thread and gives it blocks; full
 * ones go back the same way. Per packet it does no more than compare, count and copy. Pure.
 */
#pragma once

#include "shared/capture/limits.h"
#include "shared/capture/source.h"
#include "shared/packet/filter.h"
#include "shared/packet/ledger.h"

struct intake;

/* Takes the open block away (full, or NULL at the start; moved) and gives an empty one with room
 * for `need` bytes. NULL: the capture cannot go on, whoever gave NULL knows why. */
typedef struct block *(*intake_exchange_cb)(struct block *full, uint32_t need, void *arg);

/* What is to be known of a source's link type for which the filter makes no sense; told once each.
 */
typedef void (*intake_unmatched_cb)(const struct iface *iface, const char *why, void *arg);

/* How files are filtered: filter_set_for and filter_matches, handed in because they are libpcap's.
 */
struct intake_filtering {
    struct filter_set *set; /* borrowed; NULL = everything matches */
    const struct filter *(*compile)(struct filter_set *set, uint32_t link_type, const char **why);
    bool (*matches)(const struct filter *filter, const struct packet_view *packet);
};

struct intake_opts {
    uint32_t max_ifaces; /* more are refused with ERR_LIMIT; at most IFACES_MAX */
    struct limits limits;
    uint64_t from_ns;  /* live: packets before are thrown away, uncounted */
    uint64_t until_ns; /* live: and from then on counted as limit; 0 = never */
    intake_exchange_cb exchange;
    intake_unmatched_cb unmatched; /* may be NULL */
    void *arg;
};

enum intake_state {
    INTAKE_OPEN,    /* takes packets */
    INTAKE_REACHED, /* a limit is reached: packets are counted and thrown away */
    INTAKE_FAILED,  /* exchange gave NULL, or too many interfaces */
};

struct intake_feed {
    struct source_sink sink; /* what the source's read gets */
    struct intake *intake;
    struct source *source; /* borrowed */
    struct intake_filtering filtering;
    const struct filter **compiled; /* by the source's number of the interface; owned array */
    uint32_t *ids;                  /* the source's number of an interface to ours; owned */
    uint32_t n_ids;
    uint32_t snaplen; /* cuts packets, 0 = as they come */
    bool is_file;     /* what kernel and interface lost is not known */
};

struct intake {
    struct block *open; /* owned; NULL before the first packet and after intake_take_open */
    enum intake_state state;
    struct limits limits;
    uint64_t from_ns; /* live: what is taken is stamped at from_ns + less than span_ns */
    uint64_t span_ns;
    struct iface *ifaces; /* never moves: others may read the entries that they were told of */
    struct ledger *ledgers;
    uint64_t *early; /* by interface: packets before from_ns */
    uint32_t n_ifaces;
    uint32_t max_ifaces;
    struct err err; /* why INTAKE_FAILED, when it is not exchange that failed */
    intake_exchange_cb exchange;
    intake_unmatched_cb unmatched;
    void *arg;
};

void intake_init(struct intake *intake, const struct intake_opts *opts);
void intake_deinit(struct intake *intake);

/* Adds a source and its interfaces known so far. Live sources: filtering NULL, snaplen 0. ERR_LIMIT
 * when there are too many. */
int intake_feed_init(struct intake_feed *feed, struct intake *intake, struct source *source,
                     const struct intake_filtering *filtering, uint32_t snaplen, struct err *err);
void intake_feed_deinit(struct intake_feed *feed);

/* From now on packets are counted as `limit` and thrown away: the capture has ended, and what the
 * kernel still holds is read for the counters alone. */
void intake_refuse(struct intake *intake);

/* The open block, moved, or NULL when it is empty. */
struct block *intake_take_open(struct intake *intake);

/* Sums what the packets did; fills captured, bytes, limit and (for files) received. The others are
 * the session's to set. */
void intake_total(const struct intake *intake, struct ledger *out);
