/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the loadable extension packetrecorder_sql. The reader of stores is compiled a second
 * time for it, with PR_SQLITE_EXTENSION, so that every call goes through the function table of the
 * program that loads it (shared/store/sqlite.h). In the library of our own programs this file is
 * empty.
 *
 *     .load ./packetrecorder_sql
 *     CREATE VIRTUAL TABLE temp.p USING packets('packets.db');
 *     SELECT src, count(*) FROM p GROUP BY src;
 */
#ifdef PR_SQLITE_EXTENSION
#include <sqlite3ext.h>

#include "shared/store/packets_vtab_sqlite.h"

SQLITE_EXTENSION_INIT1

/* What the reader calls; older shells lack some of it. */
#define SQLITE_OLDEST 3040000

/* The name that SQLite makes of the file's: letters alone. */
__attribute__((visibility("default"))) int
sqlite3_packetrecordersql_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

int sqlite3_packetrecordersql_init(sqlite3 *db, char **error, const sqlite3_api_routines *api)
{
    SQLITE_EXTENSION_INIT2(api);
    if (sqlite3_libversion_number() < SQLITE_OLDEST) {
        *error = sqlite3_mprintf("packetrecorder_sql needs SQLite 3.40 or newer, this is %s",
                                 sqlite3_libversion());
        return SQLITE_ERROR;
    }
    return packets_vtab_register_modules(db);
}
#endif
