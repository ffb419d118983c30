/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_timer.h"

#include <stddef.h>

#include "shared/base/mem.h"

void swim_timers_deinit(struct swim_timers *timers)
{
    for (uint32_t i = 0; i < timers->n; i++) {
        timers->heap[i]->at = 0;
    }
    mem_free(timers->heap);
    *timers = (struct swim_timers){.n_armed = timers->n_armed};
}

static bool is_before(const struct swim_timer *a, const struct swim_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->token < b->token;
}

static void place(struct swim_timers *timers, struct swim_timer *timer, uint32_t i)
{
    timers->heap[i] = timer;
    timer->at = i + 1;
}

/* Towards the root, from the hole at i. */
static void sift_up(struct swim_timers *timers, struct swim_timer *timer, uint32_t i)
{
    while (i > 0 && is_before(timer, timers->heap[(i - 1) / 2])) {
        place(timers, timers->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(timers, timer, i);
}

/* Towards the leaves, from the hole at i. */
static void sift_down(struct swim_timers *timers, struct swim_timer *timer, uint32_t i)
{
    for (uint32_t child = 2 * i + 1; child < timers->n; child = 2 * i + 1) {
        if (child + 1 < timers->n && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], timer)) {
            break;
        }
        place(timers, timers->heap[child], i);
        i = child;
    }
    place(timers, timer, i);
}

static void settle(struct swim_timers *timers, struct swim_timer *timer, uint32_t i)
{
    if (i > 0 && is_before(timer, timers->heap[(i - 1) / 2])) {
        sift_up(timers, timer, i);
    } else {
        sift_down(timers, timer, i);
    }
}

static void grow(struct swim_timers *timers)
{
    if (timers->n == timers->cap) {
        timers->cap = timers->cap == 0 ? 16 : timers->cap * 2;
        timers->heap = x_realloc(timers->heap, timers->cap * sizeof(struct swim_timer *));
    }
}

void swim_timer_arm(struct swim_timers *timers, struct swim_timer *timer, uint64_t due_ns)
{
    uint32_t i = timer->at - 1;

    if (timer->at == 0) {
        grow(timers);
        i = timers->n++;
    }
    timer->due_ns = due_ns;
    timer->token = ++timers->n_armed;
    settle(timers, timer, i);
}

void swim_timer_cancel(struct swim_timers *timers, struct swim_timer *timer)
{
    if (timer->at == 0) {
        return;
    }
    uint32_t i = timer->at - 1;
    REQUIRE(i < timers->n && timers->heap[i] == timer);
    struct swim_timer *last = timers->heap[--timers->n];
    timer->at = 0;
    if (last != timer) {
        settle(timers, last, i);
    }
}

uint64_t swim_timers_next(const struct swim_timers *timers)
{
    return timers->n == 0 ? UINT64_MAX : timers->heap[0]->due_ns;
}

struct swim_timer *swim_timers_pop(struct swim_timers *timers, uint64_t now_ns)
{
    if (timers->n == 0 || timers->heap[0]->due_ns > now_ns) {
        return NULL;
    }
    struct swim_timer *first = timers->heap[0];
    swim_timer_cancel(timers, first);
    return first;
}
