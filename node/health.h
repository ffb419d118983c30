/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the node well? A list of checks out of what the parts know already; nothing blocks.
 */
#pragma once

#include <stdbool.h>

struct json_t;
struct node;

/* {"status":"ok"|"failing","checks":[{"name","ok","detail"}]}; *ok says which. New reference. */
struct json_t *health_check(struct node *node, bool *ok);
