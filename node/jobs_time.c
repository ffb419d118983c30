/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that has just started and does not know swarm time yet decides nothing by its own clock,
 * which may be far off: what the journal has, what the swarm tells and what is asked wait for the
 * first word of another member, mostly some milliseconds. A node that nobody answers goes by its
 * own clock in the end: it may be all that is left of the swarm. And who is to say when a job
 * begins waits for some seconds more in a swarm that is just being founded: its time may still
 * step.
 */
#include "node/gossip.h"
#include "node/jobs_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"

#define LOOK_NS 100000000ull /* between two looks while somebody waits */

/* Since boot; not after now: swarm time is settled. */
static uint64_t settles_ns(const struct jobs *jobs)
{
    struct gossip *gossip = jobs->node->gossip;

    return gossip == NULL ? 0 : gossip_time_settles_ns(gossip);
}

static struct jobs_later *first_ready(struct jobs *jobs, bool is_settled)
{
    struct jobs_later *later;

    TAILQ_FOREACH (later, &jobs->later, next) {
        if (jobs->is_ending || is_settled || !later->wants_settled) {
            return later;
        }
    }
    return NULL;
}

void jobs_let_go_on(struct jobs *jobs)
{
    if (TAILQ_EMPTY(&jobs->later)) {
        return;
    }
    bool is_settled = settles_ns(jobs) <= clock_boot_ns();
    struct jobs_later *later;
    /* An answer may end a connection, and others' waiting with it: from the start. */
    while ((later = first_ready(jobs, is_settled)) != NULL) {
        jobs_wait_no_more(jobs, later);
        later->go_on(later);
    }
}

uint64_t jobs_later_due_ns(struct jobs *jobs)
{
    if (TAILQ_EMPTY(&jobs->later)) {
        return UINT64_MAX;
    }
    /* The first word of a swarm that is older settles it at once. */
    uint64_t soon_ns = clock_boot_ns() + LOOK_NS;
    uint64_t due_ns = settles_ns(jobs);
    return due_ns < soon_ns ? due_ns : soon_ns;
}

bool jobs_look_at_time(struct jobs *jobs)
{
    struct gossip *gossip = jobs->node->gossip;

    if (jobs->is_timed || jobs->is_ending) {
        return jobs->is_timed;
    }
    bool knows = gossip == NULL || gossip_knows_time(gossip);
    if (!knows && clock_boot_ns() < jobs->untimed_ns) {
        return false;
    }
    if (!knows) {
        log_warn("no other node has told this one what time it is: jobs go by this host's clock");
    }
    jobs->is_timed = true;
    jobs_begin_again(jobs);
    jobs_let_go_on(jobs);
    jobs_arm_timer(jobs);
    return true;
}

bool jobs_wait_for_time(struct jobs *jobs, struct jobs_later *later)
{
    if (jobs->is_ending) {
        return false;
    }
    bool is_known = jobs_look_at_time(jobs);
    if (is_known && !(later->wants_settled && settles_ns(jobs) > clock_boot_ns())) {
        return false;
    }
    TAILQ_INSERT_TAIL(&jobs->later, later, next);
    jobs_arm_timer(jobs);
    return true;
}

void jobs_wait_no_more(struct jobs *jobs, struct jobs_later *later)
{
    TAILQ_REMOVE(&jobs->later, later, next);
}
