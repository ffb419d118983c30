/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets out of a store into a file that other programs read: pcapng, classic pcap, NDJSON, CSV,
 * or a plain SQLite file. One loop over a scan drives one record a format (export_writer.h). A
 * whole session goes to pcapng as the bytes that are stored; several sessions are merged in time
 * order.
 *
 * The file has a hidden name while it is being written, mode 0600, and gets its own when it is
 * complete and durable; after a failure or an interrupt nothing of it is left. It replaces a file
 * only when told to. "-" is standard output.
 */
#pragma once

#include "shared/store/scan.h"

enum export_format {
    EXPORT_PCAPNG,
    EXPORT_PCAP, /* classic, nanoseconds, one link type */
    EXPORT_JSON,
    EXPORT_CSV,
    EXPORT_SQLITE, /* unencrypted, a row a packet; cannot go to standard output */
};

/* Names by number, NULL-terminated: "pcapng", "pcap", "json", "csv", "sqlite". */
extern const char *const export_format_names[];

/* By the suffix of the name, in any case; pcapng where it says nothing. */
enum export_format export_format_of(const char *path);

/* True when a file of that name will come up at the end of an export, and there is something to
 * clean up when it is interrupted; false for standard output, pipes and devices. */
bool export_makes_file(const char *path);

struct export_spec {
    const struct store_session *sessions; /* borrowed */
    size_t n;
    uint64_t from_ns;
    uint64_t to_ns;     /* UINT64_MAX = no end */
    const char *filter; /* NULL or "" = all */
    uint64_t limit;     /* packets; 0 = all */
    uint64_t after;     /* one session: only packets with a larger number */
    bool with_data;     /* JSON and CSV: the bytes in hex; SQLite always has them */
    enum export_format format;
    const char *path;
    bool force;              /* may replace a file */
    const char *application; /* "packetrecorder 0.1.0", for the section header */
    /* Called now and then with packets done and to do; false ends it with ERR_INTERRUPTED. May be
     * NULL. */
    bool (*go_on)(void *arg, uint64_t done, uint64_t total);
    void *go_on_arg;
};

struct export_result {
    uint64_t packets;
    uint64_t packet_bytes; /* captured bytes of these packets */
    uint64_t file_bytes;
    uint64_t left_out;    /* packets that the format cannot hold */
    const char *left_why; /* why, of the last one; NULL = none */
    struct scan_damage damage;
};

/* *out is filled in on success; damage and left_out are for the caller to tell. ERR_USAGE for a
 * path that is a part of the store; ERR_EXISTS, ERR_FILTER, ERR_UNSUPPORTED (several link types in
 * a classic pcap), ERR_FULL, ERR_INTERRUPTED, -EPIPE when nobody reads a pipe any more, and what
 * the scan says. */
int export_run(struct store *store, const struct export_spec *spec, struct export_result *out,
               struct err *err);
