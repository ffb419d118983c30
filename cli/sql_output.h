/* SPDX-License-Identifier: Apache-2.0
 *
 * How results of SQL look: an aligned table on a terminal, tab-separated lines elsewhere, or with
 * --json an array of objects for each statement that gives rows. Blobs are hex.
 */
#pragma once

#include <stdbool.h>

#include "shared/store/sql_sqlite.h"

enum sql_style { SQL_STYLE_TABS, SQL_STYLE_TABLE, SQL_STYLE_JSON };

/* Writes to stdout. */
struct sql_output *sql_output_new(enum sql_style style);
/* After an error too: what was gathered is printed. Takes NULL. */
void sql_output_free(struct sql_output *output);
