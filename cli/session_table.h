/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions as a table, out of the objects of `sessions --json`: those of a store here, or what a
 * node answered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_t; /* jansson's json_t */

/* with_node: their "node" in front. now_ns: running ones last until then. */
void session_table_print(const struct json_t *sessions, bool with_node, uint64_t now_ns, FILE *out);
