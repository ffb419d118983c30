/* SPDX-License-Identifier: Apache-2.0
 *
 * What node options must be together, beyond each value for itself: the rules of failing closed
 * that need no look at the host. Pure. The node does not start with a problem; `config check` lists
 * them all.
 */
#pragma once

#include <stdbool.h>

#include "shared/options/node_options.h"

/* `option` is the name of the one to change, `text` a sentence with the way out. */
typedef void (*node_problem_cb)(void *arg, const char *option, const char *text);

/* Calls problem for each; gives how many there are. */
size_t node_options_check(const struct node_options *options, node_problem_cb problem, void *arg);

/* True when something listens for other hosts, which needs an API key: *which is the first such
 * address. */
bool node_options_reach_out(const struct node_options *options, const char **which);
