/* SPDX-License-Identifier: Apache-2.0
 *
 * What the virtual tables of the store share: how a table comes to its store, and how errors reach
 * SQLite. Private to the store.
 */
#pragma once

#include <stdbool.h>

#include "shared/store/packets_vtab_sqlite.h"

/* Client data of a module. store NULL: each table opens the one that its argument names. */
struct store_module {
    struct store *store;
    struct packets_vtab_stats *stats; /* NULL: damage is an error of the statement */
};

/* The first member is SQLite's. */
struct store_vtab {
    sqlite3_vtab base;
    struct store *store;
    bool owns_store;
    bool skips_damage; /* argument skip-damaged */
    struct packets_vtab_stats *stats;
};

/* xConnect and xCreate with the table's columns. */
int store_vtab_connect(sqlite3 *db, const struct store_module *module, int argc,
                       const char *const *argv, const char *schema, sqlite3_vtab **out,
                       char **error);
/* xDisconnect and xDestroy. */
int store_vtab_disconnect(sqlite3_vtab *base);

/* Leaves the sentence with the table; returns SQLITE_ERROR. */
int store_vtab_fail(sqlite3_vtab *vtab, const struct err *err);

extern const sqlite3_module packets_module;
extern const sqlite3_module sessions_module;
extern const sqlite3_module interfaces_module;
