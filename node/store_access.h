/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's store: readers for workers, and the writer's lock while something is recorded. The key
 * is derived once. There may be no store yet (the first capture makes it), it may be replaced and
 * it may get another key while the node runs; whoever asks next gets what is there then. All
 * functions but open and close are for worker threads and may block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/store/store.h"

struct node;
struct node_store;

/* Readers that are lent at once. */
#define STORE_READERS_MAX 4
/* Long readings (downloads) at once, each with a reader of its own. */
#define STORE_DOWNLOADS_MAX 8

/* Sets node->store. Opens the store if there is one, so that a wrong key or damage ends the start,
 * and what a crash left is repaired. */
int node_store_open(struct node *node, struct err *err);
void node_store_close(struct node *node);

/* A reader, until node_store_return. Waits while all are lent. ERR_NOT_FOUND: no store yet. */
int node_store_borrow(struct node_store *access, struct store **out, struct err *err);
/* code: how its use ended; after an error that says something of the store the reader is closed. */
void node_store_return(struct node_store *access, struct store *store, int code);

/* A reader for longer than one job. ERR_LIMIT when STORE_DOWNLOADS_MAX are out. */
int node_store_take(struct node_store *access, struct store **out, struct err *err);
void node_store_give(struct node_store *access, struct store *store);

/* use(store, arg) with a reader of its own that is closed again, so that nobody finds a connection
 * in his way afterwards. As node_store_borrow, else what `use` says. */
int node_store_peek(struct node_store *access,
                    int (*use)(struct store *store, void *arg, struct err *err), void *arg,
                    struct err *err);

/* A share for writing one session; makes the store. Holds the writer's lock until the last of them
 * is released. ERR_IN_USE: another program records. */
int node_store_hold(struct node_store *access, struct store **out, struct err *err);
void node_store_release(struct node_store *access, struct store *store);

/* Closes readers that nobody used for a while, so that a rekey is not in our way. */
void node_store_trim(struct node_store *access, uint64_t now_ns);

/* There are some that it might close, soon. */
bool node_store_has_idle(struct node_store *access);

/* Bytes of the store on disk, and free bytes of its file system (UINT64_MAX: unknown). */
void node_store_space(struct node_store *access, uint64_t *used, uint64_t *free);
/* 0 when a capture could write there now; else what is in its way. Blocks. */
int node_store_check_writable(struct node_store *access, struct err *err);
const char *node_store_path(const struct node_store *access);
/* True when a key was given: what the node makes is encrypted. */
bool node_store_has_key(const struct node_store *access);
