/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a job is for, as this node sees the swarm now.
 */
#pragma once

#include "node/job_fan.h"
#include "shared/jobs/job_status.h"

struct job_targets {
    struct job_target *list; /* owned, without this node */
    size_t n;
    bool has_self;
};

/* Those that are known of it, the dead too. Of a node without a swarm: itself. */
void job_targets_of(struct node *node, const struct job_selector *selector,
                    struct job_targets *out);
void job_targets_deinit(struct job_targets *targets);
/* The nodes of the rows are called as all others are shown (gossip_member.label). */
void job_rows_label(struct node *node, struct job_rows *rows);

/* From the words of who asks: "all", or names and ids; or tags. NULL and NULL: this node alone.
 * ERR_NOT_FOUND, ERR_AMBIGUOUS, ERR_USAGE. */
struct json_t;
int job_selector_of(struct node *node, const struct json_t *nodes, const struct json_t *select,
                    struct job_selector *out, struct err *err);
