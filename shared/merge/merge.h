/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures of several nodes as one stream in order of time. Each source is a pcapng stream that
 * comes in pieces, cut anywhere; out goes one pcapng section (or a classic pcap file) with an
 * interface for each interface of each node, named NODE/IFACE, and the time stamps corrected by
 * what is known of each node's clock (docs/merged-files.md). No clock, no I/O: whoever drives it
 * feeds what came and writes what comes out. One copy of a packet on its way, no allocation.
 *
 * Two ways to use it:
 * - recorded: nothing goes out before every source has shown what it has next. The output depends
 *   only on what the sources hold, never on how it came, so a merge can be saved, broken and gone
 *   on with (merge_save, merge_load).
 * - live (hold_ns > 0): merge_now says what time it is, and no packet waits longer than hold_ns
 *   for those of others, so that a quiet or slow node does not hold the others up.
 *
 * Sources are hostile. A source is put in order by itself first, by a buffer that is bounded in
 * time (window_ns) and in bytes; a packet that comes later than that is written where it came, with
 * a comment, and counted ("late"). In live use so is one from the future ("early"). A source that
 * is damaged ends there, with the reason; the others do not notice. Memory is bounded: a source is
 * fed only while merge_wants says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/merge/merge_clock.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_statistics.h"

#define MERGE_SOURCES_MAX    4096u
#define MERGE_IFACES_MAX     1024u  /* described by one source; more end it */
#define MERGE_OUT_IFACES_MAX 65536u /* described in one output; then the last ones are used */
#define MERGE_NAME_MAX       64
#define MERGE_ID_MAX         40

/* Defaults of merge_opts. */
#define MERGE_WINDOW_NS  2000000000ULL
#define MERGE_HELD_BYTES (256u * 1024u * 1024u)
/* Of held_bytes a source may hold its share, but at least this, and never more. */
#define MERGE_SHARE_MIN (1u * 1024u * 1024u)
#define MERGE_SHARE_MAX (32u * 1024u * 1024u)
/* Live: a packet from further ahead of merge_now than this is early. */
#define MERGE_AHEAD_NS 1000000000ULL

struct merge_opts {
    const char *application; /* "packetrecorder 0.1.0"; borrowed for merge_new */
    const char *comment;     /* of the section; may be NULL */
    bool is_classic;         /* classic pcap with nanoseconds: one link type, no comments */
    uint64_t hold_ns;        /* live; 0 = recorded */
    uint64_t window_ns;      /* 0 = MERGE_WINDOW_NS; live: hold_ns */
    size_t held_bytes;       /* of all sources; 0 = MERGE_HELD_BYTES */
    uint32_t n_sources;      /* that are expected, to share held_bytes; 0 = 8 */
    uint64_t from_ns;        /* common time: packets from before it are left out */
    uint64_t to_ns;          /* and those from after it; 0 = none are */
};

struct merge_who {
    const char *node; /* its name; control characters and '/' become '?' */
    const char *id;   /* its id in text; may be "" */
};

enum merge_state {
    MERGE_MORE,  /* the output was filled; there may be more at once */
    MERGE_WAITS, /* for more of one source */
    MERGE_DONE,  /* every source has ended, and all of it is written */
};

/* Of one source, so far. */
struct merge_told {
    uint64_t packets; /* written */
    uint64_t bytes;   /* their captured bytes */
    uint64_t late;
    uint64_t late_max_ns;
    uint64_t early;
    uint64_t left_out; /* that a classic file cannot hold: another link type */
    uint64_t dropped;  /* by its kernel and interfaces, as far as it has told */
    uint64_t options;  /* of packets, left out: damaged or too long */
    uint64_t first_ns; /* of those written, corrected; UINT64_MAX when there is none */
    uint64_t last_ns;
    size_t held_bytes;
    bool is_ended;
    int failed;      /* why it ended before its end: an err_code, 0 = it did not */
    const char *why; /* the sentence; "" */
};

struct merge;

struct merge *merge_new(const struct merge_opts *opts);
void merge_free(struct merge *merge); /* takes NULL */

/* Another source; *out is its number. Sources with packets at the same nanosecond go by number, so
 * who wants the same output again adds them in the same order. Recorded: all before the first
 * merge_step. ERR_LIMIT. */
int merge_add(struct merge *merge, const struct merge_who *who, uint32_t *out, struct err *err);
/* A sample of its clock, in order of time; before the packets that it is about. Live: what is known
 * from now on, so each one is a step. */
void merge_add_clock(struct merge *merge, uint32_t source, const struct merge_clock_sample *sample);

/* It may be fed. */
bool merge_wants(const struct merge *merge, uint32_t source);
/* The next bytes of its stream; any number, copied. Negative, with *err: the source is damaged or
 * past a limit and has ended, as by merge_end; what was whole of it goes out. Feeding a source that
 * has ended does nothing. */
int merge_feed(struct merge *merge, uint32_t source, const uint8_t *bytes, size_t n,
               struct err *err);
/* It has no more. ERR_DAMAGED when its stream was cut in the middle of a block. */
int merge_end(struct merge *merge, uint32_t source, struct err *err);
/* Nothing from before that time (of the node's clock) will come any more, whatever is quiet. Live:
 * no more than MERGE_AHEAD_NS after merge_now is believed. */
void merge_watermark(struct merge *merge, uint32_t source, uint64_t time_ns);
/* What it lost elsewhere, as of now, for its statistics: replaces what its stream said about this
 * interface of it (its number in the stream). Ignored when it does not describe it. */
void merge_add_statistics(struct merge *merge, uint32_t source, uint32_t iface,
                          const struct pcapng_told_statistics *told);
/* Packets of it that were lost between its capture and this merge, so far: told in the statistics
 * of its first interface, beside what its stream says. */
void merge_set_lost(struct merge *merge, uint32_t source, uint64_t lost);
/* Live: the common time, never going back. */
void merge_now(struct merge *merge, uint64_t now_ns);

/* Appends what can go out, until `out` holds about max_bytes. MERGE_WAITS: *source is which one has
 * to be fed or ended. The first call writes the head. */
enum merge_state merge_step(struct merge *merge, struct buf *out, size_t max_bytes,
                            uint32_t *source);
/* Interface Statistics of all interfaces that have any: now and then in live use, and at the end.
 */
void merge_write_statistics(struct merge *merge, struct buf *out);

uint32_t merge_n_sources(const struct merge *merge);
struct merge_told merge_told(const struct merge *merge, uint32_t source);
uint64_t merge_last_ns(const struct merge *merge);    /* common time of what was written last */
uint32_t merge_n_ifaces(const struct merge *merge);   /* described in the output */
uint64_t merge_unnumbered(const struct merge *merge); /* packets past MERGE_OUT_IFACES_MAX */

/* ---- to go on elsewhere (recorded) ---- */

/* The state behind the output so far, appended to out. pieces[i]: of source i the number of the
 * feed (from 0) that has to be fed next to a merge that loads this; those before it are done. False
 * when there is no such state: a source has failed, or its interfaces take too many bytes. */
bool merge_save(const struct merge *merge, struct buf *out, uint64_t *pieces);
/* Into a new merge with the same opts, sources and clocks. ERR_DAMAGED: it is no such state; the
 * merge is then good for merge_free only. */
int merge_load(struct merge *merge, const void *bytes, size_t n, struct err *err);
