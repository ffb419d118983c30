/* SPDX-License-Identifier: Apache-2.0
 *
 * Two clocks that no system clock is touched for.
 *
 * The steady clock of a node: its wall clock at the start, driven on by the monotonic one, so that
 * no step of the wall clock moves it. All time stamps of the protocol are of steady clocks. The
 * monotonic clock must go on in a suspended machine (CLOCK_BOOTTIME), and the driver reads the wall
 * clock first, the monotonic one right after it: a stamp is then late at most, which is harmless.
 *
 * Swarm time: one clock that all members agree on within bounds that they know. A root founds a
 * timeline, which is its own steady clock plus a constant x. Whoever follows it knows it as its own
 * steady clock plus an x with a bound; it learns them from any member that follows the same root:
 * x = theta + x of the peer, bound = bound of theta + bound of the peer, cut with what it knew. So
 * for two nodes of one root the sum of their bounds holds for the difference of their swarm times.
 *
 * Which root: of those that an outside clock keeps (anchors), else of all, the least short id; but
 * one that has not been in touch with others for SWIM_CLOCK_SETTLE follows any that was, so that a
 * newcomer does not move the time of a swarm. When a root is lost, each node that followed it
 * founds a timeline that goes on from where it was, and the least of these wins.
 */
#pragma once

#include "shared/swarm/swim_offset.h"
#include "shared/swarm/swim_types.h"

#define SWIM_CLOCK_SETTLE (5000 * SWIM_MS)
#define SWIM_CLOCK_STEP                                                                            \
    20000                   /* ns: a lesser step of the wall clock is not told from reading it     \
                             */
#define SWIM_CLOCK_DOUBTS 3 /* views in a row that contradict ours, until we believe them */
/* A kernel's receive stamp is believed when it is at most so old. */
#define SWIM_CLOCK_LAG_MAX (1000 * SWIM_MS)

/* And one of what was sent, at most so old: it is read at once. */
#define SWIM_CLOCK_SENT_LAG_MAX (10 * SWIM_MS)

/* Least is best. */
enum swim_rank {
    SWIM_RANK_ANCHOR,
    SWIM_RANK_ANCHOR_NEW,
    SWIM_RANK_FREE,
    SWIM_RANK_FREE_NEW,
};

/* What a node publishes, and what it keeps. */
struct swim_clock_view {
    uint64_t root; /* a timeline: see swim_root_is_of */
    int64_t x_ns;  /* swarm time minus the steady clock of whose view it is */
    uint64_t bound_ns;
    enum swim_rank rank;
};

struct swim_clock {
    uint64_t self; /* sid */
    uint64_t boot;
    bool anchor;
    uint64_t start_ns; /* monotonic, and the steady clock then */
    int64_t start_steady_ns;
    int64_t wall_ns;             /* wall clock minus steady clock, since the last step */
    uint64_t step_ns;            /* monotonic: the last step was seen, UINT64_MAX: none */
    struct swim_clock_view view; /* as of taken_ns */
    uint64_t taken_ns;           /* monotonic */
    uint64_t since_ns;           /* of the root, UINT64_MAX: nobody was met yet */
    uint64_t own_root;           /* the last that this node founded, and its x for ever */
    int64_t own_x_ns;
    uint16_t n_founded;
    uint8_t doubts;
};

/* ahead_ns: swarm time minus the wall clock, as the node's last life knew it; the timeline that it
 * founds goes on from there. 0: it knew none. */
void swim_clock_init(struct swim_clock *clock, uint64_t self, uint64_t boot, bool anchor,
                     int64_t ahead_ns, struct swim_now now);
/* Call with every input and before stamps are made: true when the wall clock has stepped since the
 * last call. Nothing needs to be done then; clock->wall_ns is what the others should be told. */
bool swim_clock_look(struct swim_clock *clock, struct swim_now now);

/* The stamp of something that is sent now: t1, t3. */
int64_t swim_clock_steady(const struct swim_clock *clock, uint64_t mono_ns);
/* The stamp of a datagram (t2, t4) that the kernel received at stamp_ns of the wall clock; 0, or
 * one that a step may have spoiled: now. */
int64_t swim_clock_received(const struct swim_clock *clock, struct swim_now now, int64_t stamp_ns);
/* The stamp (t1) of what the kernel sent at stamp_ns of the wall clock, read in the order of
 * swim_on_sent, and was made at made_ns of the steady clock; that one, where it is not believed. */
int64_t swim_clock_sent(const struct swim_clock *clock, struct swim_now now, int64_t stamp_ns,
                        int64_t made_ns);
/* Back to the monotonic clock; for swim_stamps.mono_ns of a t4. */
uint64_t swim_clock_mono(const struct swim_clock *clock, int64_t steady_ns);

/* The root is a timeline that the member founded in that life: high 32 bits of the sid, 20 bits of
 * the boot, a count of 12 bits that goes down. A view may only be taken, or kept, while its root is
 * of a member that is held alive or suspect (or of oneself): whoever drives this looks. */
bool swim_root_is_of(uint64_t root, uint64_t sid, uint64_t boot);

/* A peer's view, that was made after sent_ns (monotonic, of t1), with the offset to it as of now.
 * True when ours changed its root. */
bool swim_clock_take(struct swim_clock *clock, const struct swim_estimate *offset,
                     const struct swim_clock_view *peer, uint64_t sent_ns, uint64_t mono_ns);
/* The root is gone: the own clock founds one, until a better one is heard of. Swarm time goes on
 * from where it is. Nothing happens when the own clock is the root. */
void swim_clock_lose_root(struct swim_clock *clock, uint64_t mono_ns);
/* With the bound grown to now. */
struct swim_clock_view swim_clock_get(const struct swim_clock *clock, uint64_t mono_ns);
int64_t swim_clock_swarm_ns(const struct swim_clock *clock, uint64_t mono_ns);
/* Swarm time minus wall time now. */
int64_t swim_clock_correction(const struct swim_clock *clock, struct swim_now now,
                              uint64_t *bound_ns);
/* The peer's wall clock minus ours, of the offset and the wall_ns that the peer told; the bound of
 * the offset holds for it with 2 × SWIM_CLOCK_STEP more, until the peer's clock steps again. */
int64_t swim_clock_wall_offset(const struct swim_clock *clock, const struct swim_estimate *offset,
                               int64_t peer_wall_ns);

/* Bound and rank as one number of few bytes: µs, rounded up, × 4 + rank. */
uint64_t swim_clock_pack_bound(const struct swim_clock_view *view);
void swim_clock_unpack_bound(uint64_t packed, struct swim_clock_view *view);
