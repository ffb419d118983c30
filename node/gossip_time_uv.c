/* SPDX-License-Identifier: Apache-2.0
 *
 * Swarm time from life to life. A node that was killed and is back begins with its own clock until
 * it has met another member; where the clocks of hosts differ, a job would begin or end at the
 * wrong moment meanwhile. So what was agreed on is kept, as that which the kernel's clock since
 * boot is behind it; after a boot of the kernel, or a day, it says nothing. A node whose clock
 * something outside keeps goes by that, and not by what a swarm once made of it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_offset.h"

#define S_NS         UINT64_C(1000000000)
#define LOOK_NS      S_NS    /* between two looks, where nothing was agreed on yet: each turn */
#define MOVED_NS     5000000 /* so much later it is written again; a clock drifts that in minutes */
#define AGAIN_NS     (3600 * S_NS) /* at least so often */
#define OLD_NS       (24 * 3600 * S_NS)
#define FOUNDERS_MAX 16 /* are asked at each look */
#define KERNEL_ID    "/proc/sys/kernel/random/boot_id"

struct keep {
    uv_work_t request;
    struct gossip *gossip;
    struct gossip_kept_time time;
};

static bool read_kernel(char out[GOSSIP_KERNEL_TEXT])
{
    int fd = open(KERNEL_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, GOSSIP_KERNEL_TEXT - 1);

    if (fd >= 0) {
        close(fd);
    }
    out[n < 0 ? 0 : n] = '\0';
    return n == GOSSIP_KERNEL_TEXT - 1 && strpbrk(out, " \n") == NULL;
}

int64_t gossip_time_load(struct gossip *g, bool is_kept)
{
    struct gossip_kept_time *kept = &g->kept_time;
    struct gossip_kept_time last;
    int64_t ahead_ns;

    if (!read_kernel(kept->kernel)) {
        log_debug("'" KERNEL_ID "' cannot be read: swarm time is not kept from life to life");
        kept->kernel[0] = '\0';
        return 0;
    }
    if (is_kept || !gossip_state_get_time(&g->state, &last) ||
        strcmp(last.kernel, kept->kernel) != 0) {
        return 0;
    }
    struct swim_now now = gossip_now();
    if (last.ahead_ns <= -SWIM_STAMP_MAX || last.ahead_ns >= SWIM_STAMP_MAX ||
        now.mono_ns < last.kept_ns || now.mono_ns - last.kept_ns > OLD_NS ||
        __builtin_sub_overflow((int64_t)now.mono_ns, now.wall_ns, &ahead_ns) ||
        __builtin_add_overflow(ahead_ns, last.ahead_ns, &ahead_ns)) {
        return 0;
    }
    *kept = last;
    g->has_kept_time = true;
    return ahead_ns;
}

static void run_keep(uv_work_t *request)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct err err = {0};

    if (gossip_state_put_time(&keep->gossip->state, &keep->time, &err) < 0) {
        log_warn("%s: after a restart this node has to hear from the others what time it is",
                 err.text);
    }
}

static void on_kept(uv_work_t *request, int status)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct gossip *g = keep->gossip;

    (void)status;
    gossip_lock(g);
    g->is_keeping_time = false;
    gossip_unlock(g);
    mem_free(keep);
}

static void keep_time(struct gossip *g)
{
    struct keep *keep = x_alloc(sizeof *keep);

    keep->gossip = g;
    keep->time = g->kept_time;
    g->is_keeping_time = uv_queue_work(&g->loop, &keep->request, run_keep, on_kept) == 0;
    if (!g->is_keeping_time) {
        mem_free(keep);
    }
}

/* Who waits for it (gossip_knows_time) looks when it is told of records. */
static void tell_once(struct gossip *g)
{
    if (!g->knows_time && g->is_awaited) {
        g->kv_is_new = true;
        uv_async_send(&g->tell);
    }
    g->knows_time = true;
}

/* Probes take their time to tell a new swarm's nodes of the one timeline that they will all follow;
 * so each asks some of those that are not known to, until it is settled. */
static void found_together(struct gossip *g)
{
    struct swim_now now = gossip_now();
    uint64_t sids[FOUNDERS_MAX];

    if (now.mono_ns >= g->found_due_ns && swim_time_settles_ns(g->swim) > now.mono_ns) {
        g->found_due_ns = now.mono_ns + LOOK_NS;
        uint32_t n = swim_time_others(g->swim, &g->time_at, sids, FOUNDERS_MAX);
        (void)swim_burst(g->swim, now, sids, n);
    }
}

void gossip_time_look(struct gossip *g)
{
    struct gossip_kept_time *kept = &g->kept_time;
    uint64_t bound_ns;

    if (g->time_due_ns != 0 && clock_boot_ns() < g->time_due_ns) {
        return;
    }
    found_together(g);
    if (!swim_time_is_agreed(g->swim)) {
        return;
    }
    tell_once(g);
    struct swim_now now = gossip_now();
    int64_t ahead_ns =
        swim_time_correction(g->swim, now, &bound_ns) + (now.wall_ns - (int64_t)now.mono_ns);
    g->time_due_ns = now.mono_ns + LOOK_NS;
    if (kept->kernel[0] == '\0' || g->is_keeping_time ||
        (g->has_kept_time && llabs(ahead_ns - kept->ahead_ns) < MOVED_NS &&
         now.mono_ns - kept->kept_ns < AGAIN_NS)) {
        return;
    }
    kept->ahead_ns = ahead_ns;
    kept->kept_ns = now.mono_ns;
    g->has_kept_time = true;
    keep_time(g);
}

bool gossip_knows_time(struct gossip *g)
{
    gossip_lock(g);
    bool knows = g->knows_time || g->has_kept_time || g->n_seeds == 0;
    g->is_awaited = !knows;
    gossip_unlock(g);
    return knows;
}

uint64_t gossip_time_settles_ns(struct gossip *g)
{
    gossip_lock(g);
    uint64_t settles_ns = g->has_left ? 0 : swim_time_settles_ns(g->swim);
    gossip_unlock(g);
    return settles_ns;
}
