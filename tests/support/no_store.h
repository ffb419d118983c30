/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of node/store_access: a node that has no store. Header only; include it in the one file
 * of a test or benchmark that links without the real one.
 */
#pragma once

#include "node/store_access.h"

int node_store_take(struct node_store *access, struct store **out, struct err *err)
{
    (void)access;
    (void)out;
    return err_set(err, ERR_NOT_FOUND, "no store");
}

void node_store_give(struct node_store *access, struct store *store)
{
    (void)access;
    (void)store;
}
