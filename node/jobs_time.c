/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that has just started and does not know swarm time yet decides nothing by its own clock,
 * which may be far off: what the journal has, what the swarm tells and what is asked wait for the
 * first word of another member, mostly some milliseconds. A node that nobody answers goes by its
 * own clock in the end: it may be all that is left of the swarm.
 */
#include "node/gossip.h"
#include "node/jobs_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"

static void let_go_on(struct jobs *jobs)
{
    struct jobs_later *later;

    while ((later = TAILQ_FIRST(&jobs->later)) != NULL) {
        TAILQ_REMOVE(&jobs->later, later, next);
        later->go_on(later);
    }
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
    let_go_on(jobs);
    return true;
}

bool jobs_wait_for_time(struct jobs *jobs, struct jobs_later *later)
{
    if (jobs->is_ending || jobs_look_at_time(jobs)) {
        return false;
    }
    TAILQ_INSERT_TAIL(&jobs->later, later, next);
    return true;
}

void jobs_end_waiting(struct jobs *jobs)
{
    let_go_on(jobs);
}
