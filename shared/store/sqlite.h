/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that names SQLite's header. The same sources are compiled twice: against the linked
 * library (SQLCipher or sqlite3), and for the loadable extension, where every call goes through the
 * host shell's function table.
 */
#pragma once

#ifdef PR_SQLITE_EXTENSION
#include <sqlite3ext.h>
extern const sqlite3_api_routines *sqlite3_api;
#else
#include <sqlite3.h>
#endif
