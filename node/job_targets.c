/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_targets.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "node/jobs.h"
#include "shared/base/mem.h"

struct gathering {
    struct node *node;
    const struct job_selector *selector;
    struct job_targets *out;
    size_t cap;
};

static void take_member(const struct gossip_member *member, void *arg)
{
    struct gathering *g = arg;
    struct tags tags = {0};

    if (g->selector->by == JOB_SELECTS_TAGS) {
        gossip_tags_of(g->node->gossip, member, &tags);
    }
    if (member->is_banned || !job_selects(g->selector, member->sid, &tags)) {
        return;
    }
    if (member->is_self) {
        g->out->has_self = true;
        return;
    }
    if (member->state == GOSSIP_LEFT && g->selector->by != JOB_SELECTS_NODES) {
        return;
    }
    if (g->out->n == g->cap) {
        g->cap = g->cap == 0 ? 16 : 2 * g->cap;
        g->out->list = x_realloc(g->out->list, g->cap * sizeof *g->out->list);
    }
    struct job_target *target = &g->out->list[g->out->n++];
    *target = (struct job_target){.sid = member->sid, .is_gone = member->state >= GOSSIP_DEAD};
    snprintf(target->name, sizeof target->name, "%s", member->label);
}

void job_targets_of(struct node *node, const struct job_selector *selector, struct job_targets *out)
{
    struct gathering g = {.node = node, .selector = selector, .out = out};

    *out = (struct job_targets){0};
    if (node->gossip == NULL) {
        out->has_self = job_selects(selector, 0, &node->tags);
        return;
    }
    gossip_members(node->gossip, take_member, &g);
}

void job_targets_deinit(struct job_targets *targets)
{
    mem_free(targets->list);
    *targets = (struct job_targets){0};
}

void job_rows_label(struct node *node, struct job_rows *rows)
{
    struct gossip_roll *roll = node->gossip == NULL ? NULL : gossip_roll_new(node->gossip);

    for (uint32_t i = 0; roll != NULL && i < rows->n; i++) {
        const char *label = gossip_roll_label(roll, rows->rows[i].sid);
        if (label != NULL) {
            snprintf(rows->rows[i].node, sizeof rows->rows[i].node, "%s", label);
        }
    }
    gossip_roll_free(roll);
}

/* ---- words ---- */

static int take_node(struct node *node, const char *text, struct job_selector *out, struct err *err)
{
    struct gossip_member member;
    uint64_t sid = 0;

    if (node->gossip == NULL) {
        if (strcmp(text, node->name) != 0) {
            return err_set(err, ERR_NOT_FOUND,
                           "this node is in no swarm, and not called '%.64s' but '%s'", text,
                           node->name);
        }
    } else {
        int rc = gossip_find(node->gossip, text, &member, err);
        if (rc < 0) {
            return rc;
        }
        sid = member.sid;
    }
    for (uint8_t i = 0; i < out->n; i++) {
        if (out->sids[i] == sid) {
            return 0;
        }
    }
    if (out->n == JOB_NODES_MAX) {
        return err_set(err, ERR_USAGE, "a job names %d nodes at the most; more by a tag, or all",
                       JOB_NODES_MAX);
    }
    out->sids[out->n++] = sid;
    return 0;
}

static int take_nodes(struct node *node, const json_t *nodes, struct job_selector *out,
                      struct err *err)
{
    int rc = 0;

    out->by = JOB_SELECTS_NODES;
    for (size_t i = 0; i < json_array_size(nodes) && rc == 0; i++) {
        const char *text = json_string_value(json_array_get(nodes, i));
        if (strcmp(text, "all") == 0) {
            *out = (struct job_selector){.by = JOB_SELECTS_ALL};
            return 0;
        }
        rc = take_node(node, text, out, err);
    }
    return rc;
}

static int take_tags(const json_t *select, struct job_selector *out, struct err *err)
{
    out->by = JOB_SELECTS_TAGS;
    for (size_t i = 0; i < json_array_size(select); i++) {
        const char *text = json_string_value(json_array_get(select, i));
        int rc = tag_check(text, err);
        if (rc < 0) {
            return rc;
        }
        if (out->n == JOB_TAGS_MAX) {
            return err_set(err, ERR_USAGE, "\"select\" has at most %d tags KEY=VALUE",
                           JOB_TAGS_MAX);
        }
        snprintf(out->tags[out->n++], JOB_TAG_MAX + 1, "%s", text);
    }
    return 0;
}

int job_selector_of(struct node *node, const json_t *nodes, const json_t *select,
                    struct job_selector *out, struct err *err)
{
    *out = (struct job_selector){0};
    if (nodes != NULL && select != NULL) {
        return err_set(err, ERR_USAGE, "\"nodes\" and \"select\" exclude each other");
    }
    if (nodes != NULL) {
        return take_nodes(node, nodes, out, err);
    }
    if (select != NULL) {
        return take_tags(select, out, err);
    }
    *out = (struct job_selector){.by = JOB_SELECTS_NODES, .n = 1, .sids = {jobs_self(node->jobs)}};
    return 0;
}
