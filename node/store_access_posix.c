/* SPDX-License-Identifier: Apache-2.0
 *
 * A reader that rests (`root`) keeps the derived key; what is lent are shares of it. Whether it is
 * still the store that stands under the name is asked of the file system at each lending: a store
 * that was moved away and replaced has another inode. Two locks: `opening` is held while a store is
 * opened, which may repair and take long; `lock` only for the lists.
 */
#include "node/store_access.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/node.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/store_key.h"

#define IDLE_NS (2u * 1000000000ull)

struct reader {
    struct store *store;
    uint64_t idle_since_ns;
    uint64_t generation; /* of the root that it is a share of */
};

struct node_store {
    char *path;
    struct store_key *key;
    pthread_mutex_t opening;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    /* Under `opening`. */
    struct store *root; /* resting; NULL: not opened yet */
    dev_t root_dev;
    ino_t root_ino;
    struct store *writer; /* holds the writer's lock; NULL: nothing is recorded */
    unsigned n_held;
    /* Under `lock`. */
    struct reader idle[STORE_READERS_MAX];
    unsigned n_idle;
    struct reader lent[STORE_READERS_MAX]; /* store NULL: free */
    unsigned n_lent;
    unsigned n_taken;
    uint64_t generation; /* of root: readers of an older one are not lent again */
};

static int load_key(struct node_store *a, const struct node_options *o, struct err *err)
{
    if (o->encryption_key != NULL && o->encryption_key_file != NULL) {
        return err_set(err, ERR_USAGE,
                       "--encryption-key and --encryption-key-file exclude each other");
    }
    if (o->encryption_key != NULL) {
        return store_key_from_text(o->encryption_key, &a->key, err);
    }
    return o->encryption_key_file != NULL
               ? store_key_from_file(o->encryption_key_file, &a->key, err)
               : 0;
}

static void drop_idle(struct node_store *a)
{
    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < a->n_idle; i++) {
        store_close(a->idle[i].store);
    }
    a->n_idle = 0;
    a->generation++;
    pthread_mutex_unlock(&a->lock);
}

static void drop_root(struct node_store *a)
{
    drop_idle(a);
    store_close(a->root);
    a->root = NULL;
}

/* Under `opening`. The file that stands under the name is opened, if it is not already. */
static int refresh_root(struct node_store *a, struct err *err)
{
    struct stat st;
    bool there = stat(a->path, &st) == 0;

    if (a->root != NULL && there && st.st_dev == a->root_dev && st.st_ino == a->root_ino) {
        return 0;
    }
    struct store *store = NULL;
    const struct store_options options = {
        .path = a->path, .mode = STORE_READ, .key = a->key, .like = a->root};
    int r = store_open(&options, &store, err);
    drop_root(a);
    if (r == ERR_NOT_FOUND) {
        return err_set(err, r, "there is no store '%s' yet: the first capture makes it", a->path);
    }
    if (r < 0) {
        return r;
    }
    if (store_repairs(store)[0] != '\0') {
        log_warn("store '%s': %s", a->path, store_repairs(store));
    }
    if (stat(a->path, &st) == 0) {
        a->root_dev = st.st_dev;
        a->root_ino = st.st_ino;
    }
    store_rest(store);
    a->root = store;
    return 0;
}

/* A share of the root; once more with a fresh root when that one is of no use any more. */
static int open_reader(struct node_store *a, struct reader *out, struct err *err)
{
    pthread_mutex_lock(&a->opening);
    int r = refresh_root(a, err);
    if (r == 0) {
        r = store_share(a->root, STORE_READ, &out->store, err);
        if (r < 0) {
            drop_root(a);
            r = refresh_root(a, err);
            r = r < 0 ? r : store_share(a->root, STORE_READ, &out->store, err);
        }
    }
    out->generation = a->generation;
    pthread_mutex_unlock(&a->opening);
    return r;
}

int node_store_open(struct node *node, struct err *err)
{
    struct node_store *a = x_alloc(sizeof *a);
    struct reader first = {0};

    a->path = x_strdup(node->options->database);
    pthread_mutex_init(&a->opening, NULL);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->returned, NULL);
    node->store = a;
    int r = load_key(a, node->options, err);
    if (r == 0) {
        struct err why = {0};
        r = open_reader(a, &first, &why);
        store_close(first.store);
        if (r == ERR_NOT_FOUND) {
            r = 0;
        } else if (r < 0 && err != NULL) {
            *err = why;
        }
    }
    if (r < 0) {
        node_store_close(node);
    }
    return r;
}

void node_store_close(struct node *node)
{
    struct node_store *a = node->store;

    if (a == NULL) {
        return;
    }
    REQUIRE(a->n_lent == 0 && a->n_taken == 0 && a->n_held == 0);
    drop_root(a);
    store_key_free(a->key);
    pthread_mutex_destroy(&a->opening);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->returned);
    mem_free(a->path);
    mem_free(a);
    node->store = NULL;
}

/* True when the store under the name is the one whose readers stand idle. */
static bool idle_is_current(struct node_store *a)
{
    struct stat st;

    pthread_mutex_lock(&a->opening);
    bool current = a->root != NULL && stat(a->path, &st) == 0 && st.st_dev == a->root_dev &&
                   st.st_ino == a->root_ino;
    pthread_mutex_unlock(&a->opening);
    return current;
}

static bool pop_idle(struct node_store *a, struct reader *out)
{
    pthread_mutex_lock(&a->lock);
    bool any = a->n_idle > 0;
    if (any) {
        *out = a->idle[--a->n_idle];
    }
    pthread_mutex_unlock(&a->lock);
    return any;
}

static void lend(struct node_store *a, const struct reader *reader)
{
    size_t i = 0;

    while (a->lent[i].store != NULL) {
        i++;
    }
    a->lent[i] = *reader;
}

int node_store_borrow(struct node_store *a, struct store **out, struct err *err)
{
    struct reader reader = {0};

    pthread_mutex_lock(&a->lock);
    while (a->n_lent == STORE_READERS_MAX) {
        pthread_cond_wait(&a->returned, &a->lock);
    }
    a->n_lent++;
    pthread_mutex_unlock(&a->lock);
    int r = idle_is_current(a) && pop_idle(a, &reader) ? 0 : open_reader(a, &reader, err);
    pthread_mutex_lock(&a->lock);
    if (r == 0) {
        lend(a, &reader);
        *out = reader.store;
    } else {
        a->n_lent--;
        pthread_cond_signal(&a->returned);
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

/* What is wrong with the question says nothing of the store. */
static bool is_sound(int code)
{
    return code >= 0 || code == ERR_NOT_FOUND || code == ERR_AMBIGUOUS || code == ERR_FILTER ||
           code == ERR_USAGE || code == ERR_LIMIT || code == ERR_UNSUPPORTED;
}

void node_store_return(struct node_store *a, struct store *store, int code)
{
    size_t i = 0;

    pthread_mutex_lock(&a->lock);
    while (a->lent[i].store != store) {
        i++;
        REQUIRE(i < STORE_READERS_MAX);
    }
    bool keep =
        is_sound(code) && a->lent[i].generation == a->generation && a->n_idle < STORE_READERS_MAX;
    if (keep) {
        a->lent[i].idle_since_ns = clock_monotonic_ns();
        a->idle[a->n_idle++] = a->lent[i];
    }
    a->lent[i].store = NULL;
    a->n_lent--;
    pthread_cond_signal(&a->returned);
    pthread_mutex_unlock(&a->lock);
    if (!keep) {
        store_close(store);
    }
}

int node_store_take(struct node_store *a, struct store **out, struct err *err)
{
    pthread_mutex_lock(&a->lock);
    bool full = a->n_taken == STORE_DOWNLOADS_MAX;
    a->n_taken += !full;
    pthread_mutex_unlock(&a->lock);
    if (full) {
        return err_set(err, ERR_LIMIT, "%d downloads are under way: try again later",
                       STORE_DOWNLOADS_MAX);
    }
    struct reader reader = {0};
    int r = open_reader(a, &reader, err);
    if (r < 0) {
        pthread_mutex_lock(&a->lock);
        a->n_taken--;
        pthread_mutex_unlock(&a->lock);
        return r;
    }
    *out = reader.store;
    return 0;
}

void node_store_give(struct node_store *a, struct store *store)
{
    store_close(store);
    pthread_mutex_lock(&a->lock);
    a->n_taken--;
    pthread_mutex_unlock(&a->lock);
}

int node_store_peek(struct node_store *a,
                    int (*use)(struct store *store, void *arg, struct err *err), void *arg,
                    struct err *err)
{
    struct reader reader = {0};
    int r = open_reader(a, &reader, err);

    if (r == 0) {
        r = use(reader.store, arg, err);
        store_close(reader.store);
    }
    return r;
}

/* Under `opening`. */
static int open_writer(struct node_store *a, struct err *err)
{
    const struct store_options options = {
        .path = a->path, .mode = STORE_CREATE, .key = a->key, .like = a->root};
    int r = store_open(&options, &a->writer, err);

    if (r == 0 && store_repairs(a->writer)[0] != '\0') {
        log_warn("store '%s': %s", a->path, store_repairs(a->writer));
    }
    return r;
}

int node_store_hold(struct node_store *a, struct store **out, struct err *err)
{
    pthread_mutex_lock(&a->opening);
    int r = a->writer != NULL ? 0 : open_writer(a, err);
    r = r < 0 ? r : store_share(a->writer, STORE_WRITE, out, err);
    if (r == 0) {
        a->n_held++;
    } else if (a->n_held == 0) {
        store_close(a->writer);
        a->writer = NULL;
    }
    pthread_mutex_unlock(&a->opening);
    return r;
}

void node_store_release(struct node_store *a, struct store *store)
{
    pthread_mutex_lock(&a->opening);
    store_close(store);
    if (--a->n_held == 0) {
        store_close(a->writer);
        a->writer = NULL;
    }
    pthread_mutex_unlock(&a->opening);
}

void node_store_trim(struct node_store *a, uint64_t now_ns)
{
    struct store *old[STORE_READERS_MAX];
    unsigned n_old = 0;
    unsigned n_kept = 0;

    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < a->n_idle; i++) {
        if (now_ns - a->idle[i].idle_since_ns >= IDLE_NS) {
            old[n_old++] = a->idle[i].store;
        } else {
            a->idle[n_kept++] = a->idle[i];
        }
    }
    a->n_idle = n_kept;
    pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < n_old; i++) {
        store_close(old[i]);
    }
}

bool node_store_has_idle(struct node_store *a)
{
    pthread_mutex_lock(&a->lock);
    bool has = a->n_idle > 0;
    pthread_mutex_unlock(&a->lock);
    return has;
}

void node_store_space(struct node_store *a, uint64_t *used, uint64_t *free_bytes)
{
    char *folder = x_sprintf("%s.d", a->path);
    const char *slash = strrchr(a->path, '/');
    char *parent =
        slash == NULL ? x_strdup(".") : x_sprintf("%.*s/", (int)(slash - a->path), a->path);
    struct statvfs fs;
    bool known = statvfs(folder, &fs) == 0 || statvfs(parent, &fs) == 0;

    *used = store_path_disk_bytes(a->path);
    *free_bytes = known && fs.f_blocks > 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
    mem_free(parent);
    mem_free(folder);
}

/* By the rights and the file system, as they are now; nothing is written for it. */
static int check_writable(const char *path, int how, struct err *err)
{
    if (faccessat(AT_FDCWD, path, how, AT_EACCESS) == 0) {
        return 0;
    }
    return err_errno(err, errno, "'%s' cannot be written", path);
}

int node_store_check_writable(struct node_store *a, struct err *err)
{
    char *folder = x_sprintf("%s.d", a->path);
    const char *slash = strrchr(a->path, '/');
    char *parent =
        slash == NULL ? x_strdup(".") : x_sprintf("%.*s/", (int)(slash - a->path), a->path);
    struct stat st;
    int r = 0;

    if (stat(parent, &st) < 0) {
        r = err_errno(err, errno, "the folder of the database, '%s'", parent);
    }
    r = r < 0 ? r : check_writable(parent, W_OK | X_OK, err);
    if (r == 0 && stat(a->path, &st) == 0) {
        r = check_writable(a->path, R_OK | W_OK, err);
    }
    if (r == 0 && stat(folder, &st) == 0) {
        r = check_writable(folder, R_OK | W_OK | X_OK, err);
    }
    mem_free(parent);
    mem_free(folder);
    return r;
}

const char *node_store_path(const struct node_store *a)
{
    return a->path;
}

bool node_store_has_key(const struct node_store *a)
{
    return a->key != NULL;
}
