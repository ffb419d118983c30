/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of the parts of a node. node_uv.c opens them in its order, tells them all in the same
 * order to drain when the node is to end, and closes them one after the other from the last to the
 * first. A part
 * is added by a record in parts.c and its member in node.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "node/node.h"

struct node_part {
    const char *name;
    /* Sets the part's member of *node. */
    int (*open)(struct node *node, struct err *err);
    /* NULL: nothing to drain. Calls done once, at the monotonic deadline at the latest, now or
     * later. */
    void (*drain)(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
    /* Calls closed once, now or later; the member is NULL then. Only after an open that succeeded.
     */
    void (*close)(struct node *node, void (*closed)(struct node *node));
    /* SIGHUP; NULL: nothing to read again. On failure what was in force stays so. */
    int (*reload)(struct node *node, struct err *err);
};

extern const struct node_part node_parts[];
extern const size_t n_node_parts;
