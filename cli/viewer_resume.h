/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a viewer of a live stream stands, so that it goes on without duplicates after its
 * connection broke. A node numbers the packets of a stream; the position is the number of the next
 * one: packets received + losses that the node told. While the node remembers the stream, the
 * viewer asks for it by `?resume=STREAM:POSITION` and the numbers alone decide. Once the node was
 * restarted or has forgotten the stream, it gives a new one, and before it what its store has
 * (`history=`); then the time stamps and lengths of the last RESUME_TAIL packets say what was there
 * already. Pure; driven by cli/viewer_link_posix.c.
 *
 *   RESUME_HISTORY ──(a statistics block tells the position)──► RESUME_LIVE
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESUME_STREAM_MAX 64
#define RESUME_TAIL       4096u /* a power of two */

struct resume_mark {
    uint64_t time_ns;
    uint32_t len;
    bool used; /* in `before`: it has come again already */
};

enum resume_phase {
    RESUME_LIVE,    /* every packet counts in the position */
    RESUME_HISTORY, /* packets out of the store, which do not */
};

/* Zeroed before its first use. */
struct resume {
    char stream[RESUME_STREAM_MAX]; /* "" = none was told */
    uint64_t position;
    enum resume_phase phase;
    bool plain;          /* live, and nothing can come twice: the fast way */
    uint64_t told_ahead; /* lost, by the numbers of the answer; the stream will tell it again */

    struct resume_mark tail[RESUME_TAIL];   /* a ring of the last packets */
    uint64_t n_tail;                        /* ever put in; the newest is n_tail - 1 */
    uint64_t tail_base;                     /* those before were forgotten */
    struct resume_mark before[RESUME_TAIL]; /* the tail when the stream changed, by time */
    uint32_t n_before;                      /* 0: nothing is dropped by time */

    uint64_t lost;       /* told by the node, in all */
    uint64_t duplicates; /* came again and were dropped */
    uint64_t from_store; /* taken out of history */
};

/* What resume_connected found. */
enum resume_way {
    RESUME_FIRST,     /* the first connection */
    RESUME_CONTINUED, /* the same stream goes on */
    RESUME_CHANGED,   /* the node has forgotten it: a new stream; or it has not come so far: begins
                         anew */
};

/* Writes "STREAM:POSITION". False when there is no stream to ask for yet. */
#define RESUME_ASK_MAX (RESUME_STREAM_MAX + 24)
bool resume_ask(const struct resume *r, char out[RESUME_ASK_MAX]);

/* The time from which a store is asked, should the stream be unknown: of the oldest packet in the
 * tail; 0 when there is none. */
uint64_t resume_history_from_ns(const struct resume *r);
/* Of the newest packet taken; 0 when there is none. */
uint64_t resume_newest_ns(const struct resume *r);

/* The answer to a request: the headers Packetrecorder-Stream and -Position (NULL = absent), and
 * whether history was asked for. The loss that the numbers tell is added to r->lost. */
enum resume_way resume_connected(struct resume *r, const char *stream, const char *position,
                                 bool asked_history);

/* The node told a loss of `lost` packets (0: only where it stands); the next packet has the number
 * `position` (UINT64_MAX = not told). A position that jumps without a loss leaves out what history
 * held already. Returns how many of the lost are news. */
uint64_t resume_told(struct resume *r, uint64_t lost, uint64_t position);

/* Finds "packetrecorder: position=P lost=N" in a comment (n bytes); either may be absent (*position
 * = UINT64_MAX, *lost = 0), in any order. False when it is not there. */
bool resume_parse_comment(const char *text, size_t n, uint64_t *lost, uint64_t *position);

/* For packets while r->plain is false. True: it is new. */
bool resume_judge(struct resume *r, uint64_t time_ns, uint32_t len);

static inline void resume_push(struct resume *r, uint64_t time_ns, uint32_t len)
{
    struct resume_mark *mark = &r->tail[r->n_tail++ & (RESUME_TAIL - 1)];

    mark->time_ns = time_ns;
    mark->len = len;
}

/* One packet came. False: it was there before, drop it. */
static inline bool resume_take(struct resume *r, uint64_t time_ns, uint32_t len)
{
    if (!r->plain) {
        return resume_judge(r, time_ns, len);
    }
    r->position++;
    resume_push(r, time_ns, len);
    return true;
}
