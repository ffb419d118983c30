/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recording_clock_posix.h"

#include "node/gossip.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* A burst of pings and its answers, on a LAN. */
#define MEASURING_NS (150ull * 1000000)
/* Between two looks a clock that is only slewed moves by less: 500 ppm of some tenths of a second.
 */
#define STEP_NS (500 * 1000)
/* Both clocks were read within so long, or it is tried again. */
#define READING_NS (20 * 1000)
#define READINGS   8

void recording_clock_init(struct recording_clock *clock, struct node *node, uint64_t reference)
{
    *clock = (struct recording_clock){.node = node, .reference = reference};
    pthread_mutex_init(&clock->lock, NULL);
}

void recording_clock_deinit(struct recording_clock *clock)
{
    clock_samples_deinit(&clock->samples);
    pthread_mutex_destroy(&clock->lock);
}

static void read_both(uint64_t *wall_ns, uint64_t *boot_ns)
{
    for (int i = 0; i < READINGS; i++) {
        uint64_t before = clock_boot_ns();
        *wall_ns = clock_wall_ns();
        *boot_ns = clock_boot_ns();
        if (*boot_ns - before <= READING_NS) {
            *boot_ns = before + (*boot_ns - before) / 2;
            return;
        }
    }
}

static void measure(const struct recording_clock *clock)
{
    gossip_clock_measure(clock->node->gossip, &clock->reference, clock->reference != 0);
}

static void take(const struct recording_clock *clock, struct clock_sample *out)
{
    struct gossip_clock now;
    struct swim_wall_offset peer;

    (void)gossip_clock_get(clock->node->gossip, NULL, 0, &now); /* also when it leaves at the end */
    *out = (struct clock_sample){.time_ns = now.time_ns,
                                 .offset_ns = now.offset_ns,
                                 .bound_ns = now.bound_ns,
                                 .root = now.root};
    if (clock->reference != 0 && gossip_clock_of(clock->node->gossip, clock->reference, &peer)) {
        out->peer = clock->reference;
        out->peer_ns = -peer.offset_ns;
        out->peer_bound_ns = peer.bound_ns;
    }
}

/* Swarm time did not move when the clock was set, at some moment since the last look: no stamp of
 * before is later than the clock would be now, and none of after earlier than it was at that look,
 * as moved. */
static uint32_t take_step(const struct recording_clock *clock, int64_t moved_ns,
                          struct clock_sample out[2])
{
    take(clock, &out[1]);
    out[0] = out[1];
    out[0].time_ns = clock->looked_ns;
    out[0].offset_ns -= moved_ns;
    out[0].peer_ns -= out[0].peer != 0 ? moved_ns : 0;
    out[1].time_ns = clock->looked_ns + (uint64_t)moved_ns;
    out[1].is_step = true;
    return 2;
}

/* True: a sample is to be taken now. */
static bool is_due(struct recording_clock *clock, uint64_t boot_ns)
{
    if (clock->due_ns == 0) {
        return true;
    }
    if (clock->reference != 0 && boot_ns - clock->followed_ns >= RECORDING_CLOCK_REFERENCE_NS) {
        clock->followed_ns = boot_ns;
        measure(clock);
    }
    if (boot_ns < clock->due_ns) {
        return false;
    }
    if (clock->measured_ns == 0) {
        clock->measured_ns = boot_ns;
        measure(clock);
    }
    return boot_ns - clock->measured_ns >= MEASURING_NS;
}

/* The first is taken as well as it is known, and at once again, measured. */
static void plan_next(struct recording_clock *clock, uint64_t boot_ns)
{
    clock->due_ns = clock->due_ns == 0 ? boot_ns : boot_ns + RECORDING_CLOCK_EVERY_NS;
    clock->measured_ns = 0;
}

uint32_t recording_clock_look(void *arg, bool is_last, struct clock_sample out[STORE_CLOCK_MOST])
{
    struct recording_clock *clock = arg;
    uint64_t wall_ns;
    uint64_t boot_ns;
    uint32_t n = 0;

    if (clock->node->gossip == NULL) {
        return 0;
    }
    read_both(&wall_ns, &boot_ns);
    int64_t gap_ns = (int64_t)(wall_ns - boot_ns);
    int64_t moved_ns = clock->due_ns == 0 ? 0 : gap_ns - clock->gap_ns;
    if (moved_ns > STEP_NS || moved_ns < -STEP_NS) {
        n = take_step(clock, moved_ns, out);
    }
    clock->gap_ns = gap_ns;
    clock->looked_ns = wall_ns;
    if (is_last || is_due(clock, boot_ns)) {
        take(clock, &out[n++]);
        plan_next(clock, boot_ns);
    }
    pthread_mutex_lock(&clock->lock);
    for (uint32_t i = 0; i < n; i++) {
        clock_samples_add(&clock->samples, &out[i]);
    }
    pthread_mutex_unlock(&clock->lock);
    return n;
}

void recording_clock_show(struct recording_clock *clock, struct clock_samples *out)
{
    pthread_mutex_lock(&clock->lock);
    clock_samples_join(out, &clock->samples);
    pthread_mutex_unlock(&clock->lock);
}
