/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: a SQLite catalogue (`NAME.db`) and beside it `NAME.db.d/` with append-only segment
 * files of sealed frames. One process writes at a time (a lock file says which), any number read,
 * also while it writes. Opening repairs what a crash left: torn tails are cut, sessions that were
 * running become "recovered". A store handle belongs to one thread and writes one
 * session at a time; the writer of a session (store_writer.h) may run on another thread. A process
 * that writes several sessions at once shares its handle (store_share), one share a session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/iface.h"
#include "shared/packet/ledger.h"
#include "shared/store/clock_samples.h"

struct store;
struct store_key;

#define STORE_ID_TEXT      37 /* UUID in text, with the final zero */
#define STORE_NAME_MAX     256
#define STORE_TAGS_MAX     4096 /* bytes of the tags' JSON */
#define STORE_EXCLUDED_MAX 4096
#define STORE_ERROR_MAX    256

enum store_mode {
    STORE_READ,   /* must exist */
    STORE_WRITE,  /* must exist; takes the writer's lock */
    STORE_CREATE, /* made when it is not there; takes the writer's lock */
};

struct store_options {
    const char *path;
    enum store_mode mode;
    const struct store_key *key; /* NULL = unencrypted; borrowed for the call */
    /* The same store, opened before: its derived key is used again where it still fits. May rest;
     * NULL = none; borrowed for the call. */
    const struct store *like;
};

/* ERR_NOT_FOUND, ERR_NOT_A_STORE, ERR_VERSION, ERR_KEY (wrong, or missing, or the store is not
 * encrypted), ERR_IN_USE (names the other writer's pid), ERR_DAMAGED (says: run verify),
 * ERR_UNSUPPORTED (no SQLCipher). */
int store_open(const struct store_options *options, struct store **out, struct err *err);
void store_close(struct store *store); /* takes NULL */

/* Another handle of the same store, for another thread or another session: no key is derived and
 * nothing repaired, so it costs a millisecond. A share that writes is made of a handle that writes,
 * stands under that handle's lock and is closed before it. Any thread, while `store` is open.
 * ERR_KEY: the store got another key since `store` was opened, open it anew. */
int store_share(struct store *store, enum store_mode mode, struct store **out, struct err *err);
/* A reader's handle lets go of the catalogue, so that it is in nobody's way (a rekey wants to be
 * alone with it). It is good for store_share, store_path and store_close from now on. */
void store_rest(struct store *store);
bool store_is_encrypted(const struct store *store);
const char *store_path(const struct store *store);

/* What opening repaired, e.g. "session … recovered, 12 bytes of a torn frame cut"; "" = nothing. */
const char *store_repairs(const struct store *store);

enum store_state {
    STORE_RUNNING,
    STORE_COMPLETE,
    STORE_RECOVERED,
    STORE_DAMAGED,
    STORE_DISK_FULL,
};
const char *store_state_name(enum store_state state); /* "running", … as in JSON */

struct store_session {
    char id[STORE_ID_TEXT];
    char name[STORE_NAME_MAX];
    char node[STORE_NAME_MAX];
    char filter[IFACE_FILTER_MAX];
    char excluded[STORE_EXCLUDED_MAX]; /* the recording node's own traffic, left out; "" = none */
    char tags[STORE_TAGS_MAX];         /* JSON object as text */
    char error[STORE_ERROR_MAX];       /* why its capture ended early; "" = it did not */
    enum store_state state;
    uint64_t started_ns;
    uint64_t ended_ns;     /* 0 = still running or unknown */
    uint64_t packets;      /* what is stored now */
    uint64_t bytes;        /* captured bytes of these packets */
    uint64_t stored_bytes; /* segment bytes on disk */
    uint64_t first_ns;     /* smallest time stamp; UINT64_MAX when empty */
    uint64_t last_ns;
    struct ledger loss; /* captured, received, kernel, interface, limit, store */
    struct iface *ifaces;
    uint32_t n_ifaces;
    struct clock_samples clock; /* oldest first; none outside of a swarm */
    bool clock_is_more;         /* in a description: those since the one before alone */
    int64_t row;                /* key in the catalogue */
};

/* What it owns: ifaces and clock. */
void store_session_deinit(struct store_session *session);

/* All sessions, oldest first. *out owned by the caller, free with store_sessions_free. */
int store_sessions(struct store *store, struct store_session **out, size_t *n, struct err *err);
void store_sessions_free(struct store_session *sessions, size_t n);

/* How many there are. */
int store_count_sessions(struct store *store, uint64_t *n, struct err *err);

/* Notes why the capture of session `id` ended before it was told to; writers only. */
int store_session_failed(struct store *store, const char *id, const char *why, struct err *err);

/* A session by id, by a unique prefix of at least 8 characters, by its unique name, or "last".
 * ERR_NOT_FOUND, ERR_AMBIGUOUS. *out is one element, free with store_sessions_free(out, 1). */
int store_session_find(struct store *store, const char *text, struct store_session **out,
                       struct err *err);
