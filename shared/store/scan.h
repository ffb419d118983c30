/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading packets back: query, exports, replay and SQL all walk a scan. It narrows by time and by
 * the index, decodes only the frames that may hold a match, then matches packet by packet with the
 * BPF program. One session comes in the order it was recorded; with time_order the packets of all
 * sessions come in order of their time stamps.
 */
#pragma once

#include "shared/packet/block.h"
#include "shared/store/store.h"

struct index_query;
struct scan;

struct scan_spec {
    const struct store_session *sessions; /* borrowed while the scan lives */
    size_t n;
    uint64_t from_ns;   /* first time stamp wanted */
    uint64_t to_ns;     /* last one wanted; UINT64_MAX = no end */
    const char *filter; /* NULL or "" = all */
    bool time_order;
    uint64_t after; /* recorded order, one session: only packets with a larger number */
    /* Leaves out frames that cannot hold a packet with these fields (index_query_of_fields); the
     * others come with all their packets. Borrowed for scan_new; NULL = none. */
    const struct index_query *fields;
};

struct scan_packet {
    struct packet_view view; /* valid until the next call */
    const struct store_session *session;
    const struct iface *iface; /* never NULL */
    uint64_t number;           /* in its session, from 1 */
};

/* What could not be read; nothing is skipped silently. */
struct scan_damage {
    uint64_t frames;
    uint64_t packets;      /* that the catalogue says were in them */
    uint64_t gone_packets; /* deleted by retention while the scan ran */
    uint64_t sessions; /* chosen ones in state damaged: some of it may be lost without a trace */
    char text[256];    /* the first: which session and why */
};

/* ERR_FILTER and what the catalogue says. */
int scan_new(struct store *store, const struct scan_spec *spec, struct scan **out, struct err *err);
void scan_free(struct scan *scan); /* takes NULL */

/* 1 with *out, 0 at the end, or an error. SCAN_PAUSED: see below. */
int scan_next(struct scan *scan, struct scan_packet *out, struct err *err);

/* In recorded order scan_next gives SCAN_PAUSED after so many frames without a match, so that
 * whoever has other things to do gets to them; the next call goes on. 0 = never. */
#define SCAN_PAUSED 2
void scan_pause_after(struct scan *scan, uint32_t frames);
/* One session in recorded order: the number up to which packets have been looked at. */
uint64_t scan_position(const struct scan *scan);

/* Whole frames for copying: only when the scan has no filter, no time range and no time order. *raw
 * is a run of packets (packet/block) of `session`. Not to be mixed with scan_next. */
bool scan_is_whole(const struct scan *scan);
int scan_next_run(struct scan *scan, const uint8_t **raw, size_t *n,
                  const struct store_session **session, struct err *err);
/* What all runs come to in bytes; and before the first one: leaves out the first runs that lie
 * within the first `bytes` of them as a whole, and gives back how many bytes that were. */
uint64_t scan_run_bytes(const struct scan *scan);
uint64_t scan_skip_runs(struct scan *scan, uint64_t bytes);
/* One session. Before the first run: leaves out the runs that end before packet `number`; gives the
 * number of the next one's first packet, 0 when none is left. */
uint64_t scan_skip_to(struct scan *scan, uint64_t number);
/* Number of the first packet of the run that was given last (scan_position: of its last one), and
 * of the last packet of all runs; 0 = none. */
uint64_t scan_run_first(const struct scan *scan);
uint64_t scan_last_number(const struct scan *scan);

/* Matches without their bytes: counts with as little decoding as can be. */
int scan_count(struct scan *scan, uint64_t *count, struct err *err);

const struct scan_damage *scan_damage(const struct scan *scan);
/* Packets in the frames that are candidates, and how many were read, for progress. */
void scan_progress(const struct scan *scan, uint64_t *done, uint64_t *total);
/* Frames in all, and how many the index and the time range let pass. */
void scan_frames(const struct scan *scan, uint64_t *all, uint64_t *candidates);
