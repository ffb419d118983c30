/* SPDX-License-Identifier: Apache-2.0
 *
 * Interfaces as a table, out of the objects of `list-interfaces --json`: those of this host, or
 * what a node answered. Their warnings go to standard error.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct json_t; /* jansson's json_t */

void interface_table_print(const struct json_t *interfaces, bool with_node, FILE *out);
