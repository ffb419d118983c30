/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys as a table, out of the objects of `keys list --json`: those of a store here, or what a
 * node answered. Never a secret.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct json_t; /* jansson's json_t */

void key_table_print(const struct json_t *keys, bool with_node, FILE *out);
