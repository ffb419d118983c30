/* SPDX-License-Identifier: Apache-2.0
 *
 * What a struct store is inside the store room; and the descriptor file `NAME.db.d/store`, which
 * stands in the clear and says how the key is derived:
 *
 *   0  magic "PRSTORE1"   8  u16 format   10 u16 0   12 u8 flags (1 = encrypted)   13.. 0
 *   16 store id (16)      32 u64 created, ns         40.. 0      64 u64 XXH3 of bytes 0..63
 *   72 key slot (104): wraps the catalogue's random key     176 u64 XXH3 of bytes 0..175
 *   184.. 0, STORE_DESCRIPTOR_BYTES in all
 *
 * During a rekey `store.new` stands beside it: see store_rekey.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/store/catalogue_sqlite.h"
#include "shared/store/seal.h"
#include "shared/store/store.h"
#include "shared/store/store_key.h"

#define STORE_FORMAT           1u
#define STORE_DESCRIPTOR_BYTES 256u
#define STORE_SLOT_AT          72u
#define STORE_BOUND_BYTES      72u
/* Kept free so that the catalogue can still say "disk full" on a full disk. */
#define STORE_RESERVE_BYTES (1024u * 1024u)

struct store_key {
    bool passphrase;
    uint8_t *secret; /* locked memory */
    size_t n;
};

struct store {
    char *path; /* NAME.db */
    char *dir;  /* NAME.db.d */
    enum store_mode mode;
    struct catalogue catalogue;
    uint8_t id[16];
    bool encrypted;
    struct seal_kdf kdf;
    uint8_t *master;           /* locked memory; NULL when unencrypted */
    int lock_fd;               /* -1: a reader, or a share */
    struct store_group *group; /* the handles that write under one lock; NULL: a reader */
    bool by_new_key;           /* opened through the descriptor of an interrupted rekey */
    char repairs[512];
};

/* "DIR/FILE", owned by the caller. */
char *store_file(const struct store *store, const char *file);

struct store_descriptor {
    bool encrypted;
    uint8_t id[16];
    uint64_t created_ns;
    uint8_t bytes[STORE_DESCRIPTOR_BYTES];
};

/* ERR_NOT_FOUND, ERR_NOT_A_STORE, ERR_VERSION, ERR_DAMAGED. */
int store_descriptor_read(const char *path, struct store_descriptor *d, struct err *err);
/* Fills d->bytes from the rest; with master and catalogue key also the slot. */
void store_descriptor_make(struct store_descriptor *d, const struct seal_kdf *kdf,
                           const uint8_t *master, const uint8_t *catalogue_key);
/* Written under a hidden name, made durable and renamed. */
int store_descriptor_write(const char *path, const struct store_descriptor *d, struct err *err);

/* Makes the names in a directory durable; and those in the directory that path stands in. */
int store_sync_dir(const char *dir);
int store_sync_parent(const char *path);

/* The catalogue's key out of the slot, by a master that is derived already. ERR_KEY. */
int store_descriptor_open(const struct store_descriptor *d, const uint8_t *master,
                          uint8_t *catalogue_key);

/* Takes the writer's lock; a reader that repairs is waited for. ERR_IN_USE names the holder. */
int store_lock(struct store *store, struct err *err);
/* The same at once or not at all. */
bool store_try_lock(struct store *store);
void store_unlock(struct store *store);

/* The reserve: made when there is room, given up when the disk is full. */
void store_reserve_make(const struct store *store);
void store_reserve_drop(const struct store *store);
/* Writers of a group share it: the last one that releases it gives it up. */
void store_reserve_hold(const struct store *store);
void store_reserve_release(const struct store *store);

/* What the handles of one process that write into one store have in common (store_share_posix.c).
 * A handle without a group is alone: the locks do nothing. */
void store_group_make(struct store *store);
void store_group_leave(struct store *store);
/* One at a time measures the disk and deletes, so that two that need room do not both make it. */
void store_group_lock(const struct store *store);
void store_group_unlock(const struct store *store);

/* True when there is a segment file at all; and when there is one, but no session. */
bool store_has_segments(const struct store *store);
bool store_lost_sessions(struct store *store);
/* True when a crash (or a running writer) left sessions unfinished. */
bool store_needs_recovery(struct store *store);
/* After a crash: closes sessions that were running, cuts torn tails, finishes deletions. Holds the
 * lock. */
int store_recover(struct store *store, struct err *err);
/* Finishes or undoes a rekey that a crash interrupted. by_new_key: the store was opened through
 * `store.new`. Holds the lock. */
int store_rekey_finish(struct store *store, bool by_new_key, struct err *err);
/* A new catalogue from the segments alone; the store's catalogue is open and empty. */
int store_rebuild(struct store *store, struct err *err);
