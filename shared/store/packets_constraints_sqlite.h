/* SPDX-License-Identifier: Apache-2.0
 *
 * From the WHERE and ORDER BY of a statement on `packets` to what a scan is asked. xBestIndex
 * writes the chosen constraints as text ("time>= host=", seen in EXPLAIN QUERY PLAN), xFilter reads
 * them together with their values. Private to the store.
 */
#pragma once

#include "shared/store/packets_want.h"
#include "shared/store/sqlite.h"

enum packets_sql_column {
    PACKETS_SESSION,
    PACKETS_NUMBER,
    PACKETS_TIME,
    PACKETS_TIME_NS,
    PACKETS_IFACE,
    PACKETS_LINK_TYPE,
    PACKETS_CAPLEN,
    PACKETS_LEN,
    PACKETS_SRC_COLUMN,
    PACKETS_DST_COLUMN,
    PACKETS_SPORT,
    PACKETS_DPORT,
    PACKETS_PROTO,
    PACKETS_FLAGS,
    PACKETS_INFO,
    PACKETS_DATA,
    PACKETS_HOST,
    PACKETS_PORT,
    PACKETS_FILTER,
    PACKETS_SQL_COLUMNS,
};

/* To SQLite a column has one value, so it concludes by itself that host = A AND host = B can never
 * be true; host = A AND B IN (src, dst) says it. */
#define PACKETS_SCHEMA                                                                             \
    "CREATE TABLE packets(session TEXT, number INTEGER, time TEXT, time_ns INTEGER, iface TEXT,"   \
    " link_type TEXT, caplen INTEGER, len INTEGER, src TEXT, dst TEXT, sport INTEGER,"             \
    " dport INTEGER, proto TEXT, flags TEXT, info TEXT, data BLOB, host TEXT HIDDEN,"              \
    " port INTEGER HIDDEN, \"filter\" TEXT HIDDEN)"

/* In idxNum: rows come in the order of their times. */
#define PACKETS_IN_TIME_ORDER 1

/* xBestIndex. */
int packets_best_index(sqlite3_index_info *info);

#define PACKETS_SESSIONS_MAX 4

/* Texts are borrowed from the values. */
struct packets_query {
    bool nothing; /* no row */
    size_t n_sessions;
    const char *sessions[PACKETS_SESSIONS_MAX]; /* all of them must be the row's */
    uint64_t from_ns;
    uint64_t to_ns;
    const char *filter; /* NULL = none */
    struct packets_want want;
    bool time_order;
    sqlite3_value *hidden[PACKETS_SQL_COLUMNS]; /* what host, port and filter are compared with */
};

/* xFilter's arguments. now_ns: what "-10m" is relative to. ERR_USAGE for values that make no sense.
 */
int packets_query_read(struct packets_query *out, int flags, const char *constraints,
                       sqlite3_value **values, int n_values, uint64_t now_ns, struct err *err);
