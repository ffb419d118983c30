/* SPDX-License-Identifier: Apache-2.0
 *
 * Several handles of one store in one process. The first one that writes holds the writer's lock
 * and makes the group; its shares stand in the group, so that they know of each other what the lock
 * keeps from other processes: who deletes at the moment, and who still needs the reserve. Between
 * the catalogue's connections SQLite's own locks and its busy handler do the rest.
 */
#include "shared/store/store_handle.h"

#include <pthread.h>
#include <string.h>

#include "shared/base/mem.h"

struct store_group {
    pthread_mutex_t deleting;
    pthread_mutex_t lock; /* for the counters */
    unsigned handles;     /* the one that holds the writer's lock, and its shares */
    unsigned reserving;   /* writers that want the reserve */
};

void store_group_make(struct store *store)
{
    struct store_group *group = x_alloc(sizeof *group);

    pthread_mutex_init(&group->deleting, NULL);
    pthread_mutex_init(&group->lock, NULL);
    group->handles = 1;
    store->group = group;
}

static void group_join(struct store *store, struct store_group *group)
{
    pthread_mutex_lock(&group->lock);
    group->handles++;
    pthread_mutex_unlock(&group->lock);
    store->group = group;
}

void store_group_leave(struct store *store)
{
    struct store_group *group = store->group;

    if (group == NULL) {
        return;
    }
    pthread_mutex_lock(&group->lock);
    unsigned left = --group->handles;
    pthread_mutex_unlock(&group->lock);
    store->group = NULL;
    if (left > 0) {
        /* Without the lock of the first one its shares would write beside another program. */
        REQUIRE(store->lock_fd < 0);
        return;
    }
    pthread_mutex_destroy(&group->deleting);
    pthread_mutex_destroy(&group->lock);
    mem_free(group);
}

void store_group_lock(const struct store *store)
{
    if (store->group != NULL) {
        pthread_mutex_lock(&store->group->deleting);
    }
}

void store_group_unlock(const struct store *store)
{
    if (store->group != NULL) {
        pthread_mutex_unlock(&store->group->deleting);
    }
}

void store_reserve_hold(const struct store *store)
{
    if (store->group != NULL) {
        pthread_mutex_lock(&store->group->lock);
        store->group->reserving++;
        pthread_mutex_unlock(&store->group->lock);
    }
    store_reserve_make(store);
}

void store_reserve_release(const struct store *store)
{
    unsigned left = 0;

    if (store->group != NULL) {
        pthread_mutex_lock(&store->group->lock);
        left = --store->group->reserving;
        pthread_mutex_unlock(&store->group->lock);
    }
    if (left == 0) {
        store_reserve_drop(store);
    }
}

static int unlock_share(struct store *store, uint8_t *catalogue_key, struct err *err)
{
    struct store_descriptor d;
    char *path = store_file(store, "store");
    int r = store_descriptor_read(path, &d, err);

    mem_free(path);
    if (r < 0) {
        return r;
    }
    if (d.encrypted != store->encrypted || memcmp(d.id, store->id, sizeof d.id) != 0 ||
        (d.encrypted && store_descriptor_open(&d, store->master, catalogue_key) < 0)) {
        return err_set(err, ERR_KEY, "the store '%s' was replaced or got another key: open it anew",
                       store->path);
    }
    return 0;
}

static int open_share(struct store *store, struct err *err)
{
    uint8_t *catalogue_key = seal_alloc(SEAL_KEY_BYTES);
    int r = unlock_share(store, catalogue_key, err);

    r = r < 0 ? r
              : catalogue_open(store->path, store->encrypted ? catalogue_key : NULL,
                               store->mode == STORE_READ ? 0 : CATALOGUE_CREATE, &store->catalogue,
                               err);
    seal_free(catalogue_key);
    return r;
}

int store_share(struct store *store, enum store_mode mode, struct store **out, struct err *err)
{
    REQUIRE(mode == STORE_READ || store->group != NULL);
    struct store *share = x_alloc(sizeof *share);

    share->path = x_strdup(store->path);
    share->dir = x_strdup(store->dir);
    share->mode = mode;
    share->lock_fd = -1;
    share->encrypted = store->encrypted;
    share->kdf = store->kdf;
    memcpy(share->id, store->id, sizeof share->id);
    if (store->master != NULL) {
        share->master = seal_alloc(SEAL_KEY_BYTES);
        memcpy(share->master, store->master, SEAL_KEY_BYTES);
    }
    int r = open_share(share, err);
    if (r == 0 && mode != STORE_READ) {
        group_join(share, store->group);
    }
    if (r < 0) {
        store_close(share);
        return r;
    }
    *out = share;
    return 0;
}

void store_rest(struct store *store)
{
    REQUIRE(store->group == NULL);
    catalogue_close(&store->catalogue);
}
