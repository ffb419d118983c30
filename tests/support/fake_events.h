/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of node/events: events of a node are counted and thrown away. Header only; include it in
 * the one file of a test or benchmark that links without node/events.
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>

#include "node/events.h"

static atomic_uint n_events;
static char last_event[64];

/* The parameter is called as in the header; tests have a variable of that name. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
void events_publish(struct node *node, const char *type, json_t *data)
{
    (void)node;
    atomic_fetch_add(&n_events, 1);
    snprintf(last_event, sizeof last_event, "%s", type);
    json_decref(data);
}
#pragma GCC diagnostic pop
