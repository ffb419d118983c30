/* SPDX-License-Identifier: Apache-2.0
 *
 * The timers of one core: a binary heap of records that their owners embed. Each arming has a token
 * that no other arming of this core ever had; a timer that was cancelled is out of the heap and
 * cannot act. Equal times go in the order of arming, so that runs are the same everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct swim_timer {
    uint64_t due_ns; /* monotonic */
    uint64_t token;  /* 0: never armed */
    uint32_t at;     /* place in the heap + 1; 0: not armed */
    uint8_t kind;    /* what the owner is; its own */
};

struct swim_timers {
    struct swim_timer **heap; /* owned; the records are borrowed */
    uint32_t n;
    uint32_t cap;
    uint64_t n_armed; /* ever: the last token */
};

void swim_timers_deinit(struct swim_timers *timers);
/* Arms it, or moves it when it is armed. */
void swim_timer_arm(struct swim_timers *timers, struct swim_timer *timer, uint64_t due_ns);
void swim_timer_cancel(struct swim_timers *timers, struct swim_timer *timer);
static inline bool swim_timer_is_armed(const struct swim_timer *timer)
{
    return timer->at != 0;
}
/* When the next one is due, or UINT64_MAX. */
uint64_t swim_timers_next(const struct swim_timers *timers);
/* Takes out the first that is due at `now`, or gives NULL. */
struct swim_timer *swim_timers_pop(struct swim_timers *timers, uint64_t now_ns);
