/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_clock.h"

#define FOUNDED_BITS 12
#define BOOT_BITS    20
/* Times stay inside of ±SWIM_STAMP_MAX, so that two of them add up. */
#define BOUND_MAX ((uint64_t)SWIM_STAMP_MAX)

static uint64_t root_of(uint64_t sid, uint64_t boot, uint64_t n_founded)
{
    /* Boots of one node differ by few ms as by years: all bits of them count. */
    uint64_t folded = (boot ^ boot >> BOOT_BITS ^ boot >> 2 * BOOT_BITS ^ boot >> 3 * BOOT_BITS) &
                      ((1u << BOOT_BITS) - 1);
    uint64_t count = ~n_founded & ((1u << FOUNDED_BITS) - 1);

    return sid >> 32 << 32 | folded << FOUNDED_BITS | count;
}

bool swim_root_is_of(uint64_t root, uint64_t sid, uint64_t boot)
{
    return (root ^ root_of(sid, boot, 0)) >> FOUNDED_BITS == 0;
}

static void found(struct swim_clock *clock, int64_t x_ns, enum swim_rank rank, uint64_t mono_ns)
{
    clock->own_root = root_of(clock->self, clock->boot, clock->n_founded++);
    clock->own_x_ns = x_ns;
    clock->view = (struct swim_clock_view){.root = clock->own_root, .x_ns = x_ns, .rank = rank};
    clock->taken_ns = mono_ns;
    clock->doubts = 0;
}

void swim_clock_init(struct swim_clock *clock, uint64_t self, uint64_t boot, bool anchor,
                     int64_t ahead_ns, struct swim_now now)
{
    /* A wall clock of nonsense gives a steady clock that counts from nothing. */
    int64_t wall = now.wall_ns >= 0 && now.wall_ns < SWIM_STAMP_MAX / 2 ? now.wall_ns : 0;

    *clock = (struct swim_clock){.self = self,
                                 .boot = boot,
                                 .anchor = anchor,
                                 .start_ns = now.mono_ns,
                                 .start_steady_ns = wall,
                                 .step_ns = SWIM_NEVER,
                                 .since_ns = SWIM_NEVER};
    bool has_sense = ahead_ns >= -wall && ahead_ns < SWIM_STAMP_MAX / 2;
    found(clock, has_sense ? ahead_ns : 0, anchor ? SWIM_RANK_ANCHOR_NEW : SWIM_RANK_FREE_NEW,
          now.mono_ns);
    (void)swim_clock_look(clock, now);
}

int64_t swim_clock_steady(const struct swim_clock *clock, uint64_t mono_ns)
{
    uint64_t age = mono_ns > clock->start_ns ? mono_ns - clock->start_ns : 0;
    uint64_t most = (uint64_t)(SWIM_STAMP_MAX - 1 - clock->start_steady_ns);

    return clock->start_steady_ns + (int64_t)(age < most ? age : most);
}

uint64_t swim_clock_mono(const struct swim_clock *clock, int64_t steady_ns)
{
    return steady_ns > clock->start_steady_ns
               ? swim_add_saturating(clock->start_ns,
                                     (uint64_t)steady_ns - (uint64_t)clock->start_steady_ns)
               : clock->start_ns;
}

/* a − b, at the ends when it does not fit. */
static int64_t subtract(int64_t a, int64_t b)
{
    int64_t difference;

    if (__builtin_sub_overflow(a, b, &difference)) {
        return a < b ? INT64_MIN : INT64_MAX;
    }
    return difference;
}

bool swim_clock_look(struct swim_clock *clock, struct swim_now now)
{
    int64_t wall = subtract(now.wall_ns, swim_clock_steady(clock, now.mono_ns));
    int64_t moved = subtract(wall, clock->wall_ns);

    if (moved <= SWIM_CLOCK_STEP && moved >= -SWIM_CLOCK_STEP) {
        return false;
    }
    clock->wall_ns = wall;
    clock->step_ns = now.mono_ns;
    return true;
}

int64_t swim_clock_received(const struct swim_clock *clock, struct swim_now now, int64_t stamp_ns)
{
    int64_t lag = subtract(now.wall_ns, stamp_ns);
    int64_t steady = swim_clock_steady(clock, now.mono_ns);

    /* Of the future, a negative lag is a large one here. Of before the last step, it is of another
     * clock. (A step back makes it look younger than it is; later stamps only widen bounds.) */
    if (stamp_ns == 0 || (uint64_t)lag > SWIM_CLOCK_LAG_MAX || lag > steady ||
        (uint64_t)lag > now.mono_ns ||
        (clock->step_ns != SWIM_NEVER && now.mono_ns - (uint64_t)lag < clock->step_ns)) {
        return steady;
    }
    return steady - lag;
}

int64_t swim_clock_sent(const struct swim_clock *clock, struct swim_now now, int64_t stamp_ns,
                        int64_t made_ns)
{
    int64_t lag = subtract(now.wall_ns, stamp_ns);
    int64_t steady = swim_clock_steady(clock, now.mono_ns);

    /* It was made before it was sent: what is earlier is of another clock, or another datagram. A
     * wall clock that was set back in between would make it late. */
    if ((uint64_t)lag > SWIM_CLOCK_SENT_LAG_MAX || steady - lag < made_ns ||
        subtract(subtract(now.wall_ns, steady), clock->wall_ns) < -SWIM_CLOCK_STEP) {
        return made_ns;
    }
    return steady - lag;
}

/* In touch with others for long enough, by the own watch or by what was told. */
static enum swim_rank settled(enum swim_rank rank)
{
    return rank == SWIM_RANK_ANCHOR_NEW ? SWIM_RANK_ANCHOR
           : rank == SWIM_RANK_FREE_NEW ? SWIM_RANK_FREE
                                        : rank;
}

struct swim_clock_view swim_clock_get(const struct swim_clock *clock, uint64_t mono_ns)
{
    struct swim_clock_view view = clock->view;
    uint64_t age = mono_ns > clock->taken_ns ? mono_ns - clock->taken_ns : 0;

    if (view.root != clock->own_root) {
        view.bound_ns = swim_add_saturating(view.bound_ns, swim_drift_ns(age));
    }
    if (clock->since_ns != SWIM_NEVER && mono_ns > clock->since_ns &&
        mono_ns - clock->since_ns >= SWIM_CLOCK_SETTLE) {
        view.rank = settled(view.rank);
    }
    return view;
}

/* The peer's view as one of ours; false: out of all bounds. */
static bool through(const struct swim_clock *clock, const struct swim_estimate *offset,
                    const struct swim_clock_view *peer, uint64_t age_ns,
                    struct swim_clock_view *view)
{
    int64_t steady = clock->start_steady_ns;

    *view = *peer;
    if (peer->rank > SWIM_RANK_FREE_NEW ||
        __builtin_add_overflow(peer->x_ns, offset->theta_ns, &view->x_ns) ||
        view->x_ns >= SWIM_STAMP_MAX || view->x_ns <= -SWIM_STAMP_MAX || steady + view->x_ns < 0 ||
        steady + view->x_ns >= SWIM_STAMP_MAX) {
        return false;
    }
    view->bound_ns = swim_add_saturating(peer->bound_ns, swim_drift_ns(age_ns));
    view->bound_ns = swim_add_saturating(view->bound_ns, offset->bound_ns);
    return view->bound_ns < BOUND_MAX;
}

static bool is_better(const struct swim_clock_view *a, const struct swim_clock_view *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->root < b->root;
}

static void follow(struct swim_clock *clock, struct swim_clock_view view, uint64_t mono_ns)
{
    if (view.root == clock->own_root) {
        view.x_ns = clock->own_x_ns;
        view.bound_ns = 0;
    }
    clock->view = view;
    clock->taken_ns = mono_ns;
    clock->doubts = 0;
}

/* The same root: what both say. One of the two is wrong when that is nothing; it may be ours (this
 * machine was paused), and is then told so by all. */
static void agree(struct swim_clock *clock, struct swim_clock_view mine,
                  const struct swim_clock_view *peer, uint64_t mono_ns)
{
    struct swim_interval both = {mine.x_ns, mine.bound_ns};

    mine.rank = peer->rank < mine.rank ? peer->rank : mine.rank;
    if (mine.root == clock->own_root) {
        clock->view.rank = mine.rank;
        return;
    }
    if (swim_interval_meet(&both, (struct swim_interval){peer->x_ns, peer->bound_ns})) {
        mine.x_ns = both.theta_ns;
        mine.bound_ns = both.bound_ns;
    } else if (clock->doubts + 1 < SWIM_CLOCK_DOUBTS) {
        clock->doubts++;
        clock->view.rank = mine.rank;
        return;
    } else {
        mine.x_ns = peer->x_ns;
        mine.bound_ns = peer->bound_ns;
    }
    follow(clock, mine, mono_ns);
}

/* Others follow a timeline that this node founded once and gave up: it has no root that could give
 * it back its exactness, so it must lose against a newer one. */
static bool found_again(struct swim_clock *clock, struct swim_clock_view mine, enum swim_rank rank,
                        uint64_t mono_ns)
{
    if (mine.root == clock->own_root) {
        clock->view.rank = rank; /* newer already, and now of no lesser rank */
        return false;
    }
    found(clock, mine.x_ns, rank, mono_ns);
    return true;
}

bool swim_clock_take(struct swim_clock *clock, const struct swim_estimate *offset,
                     const struct swim_clock_view *peer, uint64_t sent_ns, uint64_t mono_ns)
{
    struct swim_clock_view theirs;
    struct swim_clock_view mine = swim_clock_get(clock, mono_ns);
    uint64_t age = mono_ns > sent_ns ? mono_ns - sent_ns : 0;

    if (!through(clock, offset, peer, age, &theirs)) {
        return false;
    }
    if (clock->since_ns == SWIM_NEVER) {
        clock->since_ns = mono_ns;
    }
    if (theirs.root == mine.root) {
        agree(clock, mine, &theirs, mono_ns);
        return false;
    }
    if (!is_better(&theirs, &mine)) {
        return false;
    }
    if (theirs.root != clock->own_root && swim_root_is_of(theirs.root, clock->self, clock->boot)) {
        return found_again(clock, mine, theirs.rank, mono_ns);
    }
    follow(clock, theirs, mono_ns);
    clock->since_ns = mono_ns;
    return true;
}

void swim_clock_lose_root(struct swim_clock *clock, uint64_t mono_ns)
{
    struct swim_clock_view mine = swim_clock_get(clock, mono_ns);
    bool is_new = mine.rank == SWIM_RANK_ANCHOR_NEW || mine.rank == SWIM_RANK_FREE_NEW;
    enum swim_rank rank = clock->anchor ? SWIM_RANK_ANCHOR : SWIM_RANK_FREE;

    if (mine.root != clock->own_root) {
        found(clock, mine.x_ns, is_new ? rank + 1 : rank, mono_ns);
    }
}

int64_t swim_clock_swarm_ns(const struct swim_clock *clock, uint64_t mono_ns)
{
    return swim_clock_steady(clock, mono_ns) + clock->view.x_ns;
}

int64_t swim_clock_correction(const struct swim_clock *clock, struct swim_now now,
                              uint64_t *bound_ns)
{
    *bound_ns = swim_add_saturating(swim_clock_get(clock, now.mono_ns).bound_ns, SWIM_CLOCK_STEP);
    return subtract(swim_clock_swarm_ns(clock, now.mono_ns), now.wall_ns);
}

int64_t swim_clock_wall_offset(const struct swim_clock *clock, const struct swim_estimate *offset,
                               int64_t peer_wall_ns)
{
    __int128 sum = (__int128)offset->theta_ns + peer_wall_ns - clock->wall_ns;

    return sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

uint64_t swim_clock_pack_bound(const struct swim_clock_view *view)
{
    uint64_t us = view->bound_ns / 1000 + (view->bound_ns % 1000 != 0);

    return us << 2 | (uint64_t)view->rank;
}

void swim_clock_unpack_bound(uint64_t packed, struct swim_clock_view *view)
{
    uint64_t us = packed >> 2;

    view->rank = (enum swim_rank)(packed & 3);
    view->bound_ns = us > UINT64_MAX / 1000 ? UINT64_MAX : us * 1000;
}
