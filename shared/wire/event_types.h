/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of the events of a node: what GET /api/v1/events and events.subscribe tell of.
 * docs/rpc.md is made out of it, events.subscribe refuses a type that is not in it, and a test
 * looks for what the node publishes in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct event_type {
    const char *name;
    const char *what;
};

extern const struct event_type event_types[];
extern const size_t n_event_types;

bool event_type_is_known(const char *name);
