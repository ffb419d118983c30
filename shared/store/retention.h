/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves the store, so that the disk is really freed. The rows go first, in one transaction
 * that notes which files are doomed; then the wrapped key in each file's header is overwritten and
 * the file unlinked. So at every instant the catalogue names what is there and nothing else, and
 * after a crash retention_finish does the rest.
 */
#pragma once

#include "shared/store/store.h"

/* Deletes the oldest closed segments of any session until `bytes` more fit under the quota (with
 * quota 0: until at least `bytes` were freed). Sessions that lost their last segment go too, but
 * for the one with row `keep` and those that are still being written. ERR_FULL when nothing is
 * left. The caller owns the catalogue. */
int retention_make_room(struct store *store, uint64_t quota_bytes, uint64_t bytes, int64_t keep,
                        struct err *err);

/* Deletes the files that are doomed. The caller holds the lock. */
int retention_finish(struct store *store, struct err *err);

/* A whole session with its key. Opened for writing. */
int store_delete_session(struct store *store, const struct store_session *session, struct err *err);

struct store_prune {
    uint64_t max_bytes;           /* of all on disk; 0 = no bound */
    uint64_t before_ns;           /* sessions that ended before; 0 = no bound */
    const char *const *keep_tags; /* "K=V" or "K": sessions that are kept whatever happens */
    size_t n_keep_tags;
};

struct store_pruned {
    uint64_t sessions;
    uint64_t packets;
    uint64_t bytes;
};

/* Deletes whole sessions, oldest first, but for those that are being written. `gone` (or NULL) is
 * told of each. */
int store_prune(struct store *store, const struct store_prune *rule,
                void (*gone)(const struct store_session *session, void *arg), void *arg,
                struct store_pruned *out, struct err *err);

/* Bytes on disk: catalogue, its log, segments. */
uint64_t store_disk_bytes(const struct store *store);
/* The same of a store that is not open; 0 when there is none. */
uint64_t store_path_disk_bytes(const char *path);
