/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as tables of SQLite, read only and without copying anything:
 *
 *   packets(session, number, time, time_ns, iface, link_type, caplen, len, src, dst, sport, dport,
 *           proto, flags, info, data; hidden: host, port, filter)
 *   sessions(…), interfaces(…)      see shared/store/sessions_vtab_sqlite.c
 *
 * Conditions with = on session, src, dst, sport, dport, proto, host, port and filter, and with =,
 * <,
 * <=, >, >= and BETWEEN on time and time_ns, go down into a scan, which asks the index. `host` is
 * src or dst, `port` is sport or dport, `filter` is a BPF expression; these three can only be
 * compared with =, and tell so otherwise. Drivers: `packetrecorder sql`, and the loadable extension
 * for other programs, where every table opens the store that it names.
 */
#pragma once

#include "shared/store/scan.h"
#include "shared/store/sqlite.h"

/* What all scans of the tables met; for the end of a command, and for tests. */
struct packets_vtab_stats {
    struct scan_damage damage;
    uint64_t frames;     /* of the sessions asked, over all scans */
    uint64_t candidates; /* read, after time range and index */
};

/* The tables packets, sessions and interfaces of an open store, in every schema of db, ready to be
 * named. store and stats are borrowed until db is closed. */
int packets_vtab_register(sqlite3 *db, struct store *store, struct packets_vtab_stats *stats,
                          struct err *err);

/* The modules packets, packet_sessions and packet_interfaces, whose tables open the store that the
 * CREATE VIRTUAL TABLE names. A SQLite code. */
int packets_vtab_register_modules(sqlite3 *db);
