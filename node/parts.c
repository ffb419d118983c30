/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list and what adapts the parts to it. In the order of the members of struct node.
 */
#include "node/part.h"

#include "node/work.h"
#include "shared/base/mem.h"

static int open_nothing(struct node *node, struct err *err)
{
    (void)node;
    (void)err;
    return 0;
}

static void close_nothing(struct node *node, void (*closed)(struct node *node))
{
    closed(node);
}

const struct node_part node_parts[] = {
    {.name = "(loop)", .open = open_nothing, .close = close_nothing},
};

const size_t n_node_parts = ARRAY_LEN(node_parts);
