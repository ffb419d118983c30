/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/store_handle.h"

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool store_is_encrypted(const struct store *store)
{
    return store->encrypted;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

const char *store_repairs(const struct store *store)
{
    return store->repairs;
}

static int derive_master(struct store *store, const struct store_options *o, struct err *err)
{
    const struct store_key *key = o->key;

    store->master = seal_alloc(SEAL_KEY_BYTES);
    if (store->kdf.passphrase && o->like != NULL && o->like->master != NULL &&
        seal_kdf_is_same(&o->like->kdf, &store->kdf)) {
        memcpy(store->master, o->like->master, SEAL_KEY_BYTES);
        return 0;
    }
    return seal_master(&store->kdf, key->secret, key->n, store->master, err);
}

/* Unlocks the descriptor with the user's key: the catalogue's key comes out. */
static int unlock(struct store *store, const struct store_options *o,
                  const struct store_descriptor *d, uint8_t *catalogue_key, struct err *err)
{
    const struct store_key *key = o->key;
    const uint8_t *slot = d->bytes + STORE_SLOT_AT;

    if (key == NULL) {
        return err_set(
            err, ERR_KEY,
            "the store '%s' is encrypted: give its key with --encryption-key-file FILE or "
            "PACKETRECORDER_DB_KEY",
            store->path);
    }
    seal_slot_kdf(slot, &store->kdf);
    if (store->kdf.passphrase != key->passphrase) {
        return err_set(err, ERR_KEY, "wrong key for the store '%s': it wants a %s", store->path,
                       store->kdf.passphrase ? "passphrase" : "key file with a prd_ key");
    }
    seal_free(store->master);
    store->master = NULL;
    int r = derive_master(store, o, err);
    if (r == 0 && store_descriptor_open(d, store->master, catalogue_key) < 0) {
        r = err_set(err, ERR_KEY, "wrong key for the store '%s'", store->path);
    }
    return r;
}

static int make_descriptor(struct store *store, const struct store_options *o, struct err *err)
{
    const struct store_key *key = o->key;
    struct store_descriptor d = {.encrypted = key != NULL, .created_ns = clock_wall_ns()};
    uint8_t *catalogue_key = NULL;
    char *path = store_file(store, "store");
    int r = 0;

    seal_random(d.id, sizeof d.id);
    if (key != NULL) {
        seal_kdf_new(&store->kdf, key->passphrase);
        r = derive_master(store, o, err);
        catalogue_key = seal_alloc(SEAL_KEY_BYTES);
        seal_random(catalogue_key, SEAL_KEY_BYTES);
    }
    if (r == 0) {
        store_descriptor_make(&d, &store->kdf, store->master, catalogue_key);
        r = store_descriptor_write(path, &d, err);
    }
    seal_free(catalogue_key);
    mem_free(path);
    return r;
}

/* NAME.db without NAME.db.d: somebody else's file, named by what it looks like. */
static int foreign_file(const char *path, struct err *err)
{
    unsigned char head[16] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *looks = "";

    if (fd < 0) {
        return err_errno(err, errno, "'%s'", path);
    }
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    if (n >= 4 &&
        (memcmp(head, "\x0a\x0d\x0d\x0a", 4) == 0 || memcmp(head, "\xd4\xc3\xb2\xa1", 4) == 0 ||
         memcmp(head, "\x4d\x3c\xb2\xa1", 4) == 0 || memcmp(head, "\xa1\xb2", 2) == 0)) {
        looks = " (it is a capture file: import it with packetrecorder capture -r FILE -d STORE)";
    } else if (memcmp(head, "SQLite format 3", 15) == 0) {
        looks = " (it is another program's SQLite database, or its '.d' directory is missing)";
    }
    return err_set(err, ERR_NOT_A_STORE, "'%s' is not a packetrecorder store%s", path, looks);
}

static int make_dir(struct store *store, struct err *err)
{
    if (mkdir(store->dir, 0700) < 0 && errno != EEXIST) {
        return err_errno(err, errno, "cannot make '%s'", store->dir);
    }
    store_sync_parent(store->dir);
    return 0;
}

/* True when there is nothing in the directory but what the making of a store puts there first, or
 * API keys and a node's state, which may come before the first capture. */
static bool is_unused(const struct store *store)
{
    DIR *dir = opendir(store->dir);
    const struct dirent *entry;
    bool unused = true;

    while (dir != NULL && unused && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        unused = name[0] == '.' || strcmp(name, "lock") == 0 || strcmp(name, "store.tmp") == 0 ||
                 strcmp(name, "api-keys") == 0 || strcmp(name, "node") == 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return unused;
}

static bool has_descriptor(const struct store *store)
{
    char *descriptor = store_file(store, "store");
    bool has = exists(descriptor);

    mem_free(descriptor);
    return has;
}

static int look(struct store *store, const struct store_options *o, struct err *err)
{
    bool have_dir = exists(store->dir);
    bool have = has_descriptor(store) || (have_dir && store_has_segments(store));
    int r = 0;

    if (have || (have_dir && exists(store->path))) {
        return 0;
    }
    if (exists(store->path)) {
        r = foreign_file(store->path, err);
    } else if (o->mode != STORE_CREATE) {
        r = err_set(err, ERR_NOT_FOUND, "no store '%s': packetrecorder capture -d '%s' makes one",
                    store->path, store->path);
    } else if (have_dir && !is_unused(store)) {
        r = err_set(err, ERR_NOT_A_STORE,
                    "'%s' exists and belongs to something else: use another --database",
                    store->dir);
    } else if (o->key != NULL && !PR_SQLCIPHER) {
        r = err_set(err, ERR_UNSUPPORTED,
                    "this packetrecorder was built without SQLCipher and cannot make the encrypted "
                    "store '%s': leave the key out, or use one that was built with it",
                    store->path);
    } else {
        r = make_dir(store, err);
    }
    return r;
}

/* Is there a store, or room for one? Writes nothing but the directory. */
static int look_at_place(struct store *store, const struct store_options *o, struct err *err)
{
    int r = look(store, o, err);

    /* What looks like something else may be a store that another program made while we looked; the
     * descriptor is what it makes first. */
    return r == ERR_NOT_A_STORE && has_descriptor(store) ? 0 : r;
}

/* The descriptor decides everything else: made for a new store, read for an old one. A new one is
 * made under the lock, so that two programs never make two. */
static int load_descriptor(struct store *store, const struct store_options *o,
                           struct store_descriptor *d, struct err *err)
{
    char *path = store_file(store, "store");
    int r = 0;

    if (o->mode == STORE_CREATE && !exists(path) && !exists(store->path) &&
        !store_has_segments(store)) {
        r = make_descriptor(store, o, err);
    }
    if (r == 0) {
        r = store_descriptor_read(path, d, err);
        if (r == ERR_NOT_FOUND) {
            err_set(err, r = ERR_DAMAGED,
                    "the store '%s' lacks '%s', which says how it is encrypted: bring it back from "
                    "a backup, or run packetrecorder verify, which makes it anew from the segments",
                    store->path, path);
        }
    }
    mem_free(path);
    return r;
}

/* A rekey that was interrupted left `store.new`: with the new key it is finished, with the old one
 * it is undone. */
static int open_catalogue(struct store *store, const struct store_options *o,
                          const struct store_descriptor *d, struct err *err)
{
    uint8_t *catalogue_key = seal_alloc(SEAL_KEY_BYTES);
    bool create = o->mode != STORE_READ || store->lock_fd >= 0;
    char *fresh = store_file(store, "store.new");
    struct store_descriptor next;
    int r = 0;

    if (d->encrypted) {
        r = unlock(store, o, d, catalogue_key, err);
    }
    if (r == 0) {
        r = catalogue_open(store->path, d->encrypted ? catalogue_key : NULL,
                           create ? CATALOGUE_CREATE : 0, &store->catalogue, err);
        if (r == ERR_KEY || r == ERR_NOT_A_STORE) {
            /* The descriptor beside it says whose it is. */
            r = err_set(err, ERR_DAMAGED,
                        "the catalogue '%s' is damaged: packetrecorder verify rebuilds it from the "
                        "segments",
                        store->path);
        }
    }
    if ((r == ERR_KEY || r == ERR_DAMAGED) && o->key != NULL &&
        store_descriptor_read(fresh, &next, NULL) == 0) {
        struct err again = {0};
        r = unlock(store, o, &next, catalogue_key, &again);
        if (r == 0) {
            r = catalogue_open(store->path, catalogue_key, create ? CATALOGUE_CREATE : 0,
                               &store->catalogue, &again);
        }
        store->by_new_key = r == 0;
        if (r < 0) {
            r = err_set(err, ERR_KEY,
                        "wrong key for the store '%s' (a rekey of it was interrupted: try the old "
                        "and the new key, then run rekey again)",
                        store->path);
        }
    }
    seal_free(catalogue_key);
    mem_free(fresh);
    return r;
}

/* A program that was killed while it made the catalogue has left a database without tables, perhaps
 * an empty file. Only who holds the lock makes it, so a reader takes it then. */
static int open_for_reading(struct store *store, const struct store_options *o,
                            const struct store_descriptor *d, struct err *err)
{
    struct err why = {0};
    int r = open_catalogue(store, o, d, &why);

    if (r == ERR_DAMAGED && o->mode == STORE_READ && store->lock_fd < 0) {
        (void)store_lock(store, NULL); /* where another has it, it has made it meanwhile */
        r = open_catalogue(store, o, d, NULL) == 0 ? 0 : r;
    }
    return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

static int check_key(const struct store *store, const struct store_options *o, struct err *err)
{
    if (store->encrypted || o->key == NULL || o->mode == STORE_READ) {
        return 0;
    }
    return err_set(
        err, ERR_KEY,
        "the store '%s' is not encrypted, but a key was given: use another --database for "
        "encrypted captures, or leave the key out",
        store->path);
}

/* A reader repairs too, when a crash left something to repair, nobody writes and it has the right
 * and the room. */
static int repair(struct store *store, bool rebuild, struct err *err)
{
    bool reader = store->lock_fd < 0;

    /* Also when a rebuild was interrupted, and when the file was emptied. */
    rebuild = rebuild || store_lost_sessions(store);
    if (store->catalogue.read_only || (!rebuild && !store_needs_recovery(store))) {
        return 0;
    }
    if (reader && !store_try_lock(store)) {
        return 0; /* a writer is at work: what looks unfinished is its session */
    }
    int r = rebuild ? store_rebuild(store, err) : 0;
    r = r < 0 ? r : store_recover(store, err);
    return reader && !rebuild && r == ERR_FULL ? 0 : r;
}

static int open_parts(struct store *store, const struct store_options *o, struct err *err)
{
    struct store_descriptor d = {0};
    int r = look_at_place(store, o, err);

    if (r == 0 && (o->mode != STORE_READ || !exists(store->path))) {
        r = store_lock(store, err);
    }
    r = r < 0 ? r : load_descriptor(store, o, &d, err);
    if (r < 0) {
        return r;
    }
    memcpy(store->id, d.id, sizeof store->id);
    store->encrypted = d.encrypted;
    r = check_key(store, o, err);
    bool rebuild = !exists(store->path);
    r = r < 0 ? r : open_for_reading(store, o, &d, err);
    if (r == 0 && store->encrypted && store->lock_fd >= 0) {
        r = store_rekey_finish(store, store->by_new_key, err);
    }
    r = r < 0 ? r : repair(store, rebuild, err);
    if (o->mode == STORE_READ) {
        store_unlock(store);
    } else if (r == 0) {
        store_group_make(store);
    }
    return r;
}

int store_open(const struct store_options *options, struct store **out, struct err *err)
{
    struct store *store = x_alloc(sizeof *store);

    store->path = x_strdup(options->path);
    store->dir = x_sprintf("%s.d", options->path);
    store->mode = options->mode;
    store->lock_fd = -1;
    int r = open_parts(store, options, err);
    if (r < 0) {
        store_close(store);
        return r;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->lock_fd >= 0 && store->catalogue.db != NULL) {
        catalogue_checkpoint(&store->catalogue, NULL);
    }
    catalogue_close(&store->catalogue);
    store_group_leave(store);
    store_unlock(store);
    seal_free(store->master);
    mem_free(store->path);
    mem_free(store->dir);
    mem_free(store);
}

static const char *const state_names[] = {
    [STORE_RUNNING] = "running", [STORE_COMPLETE] = "complete",   [STORE_RECOVERED] = "recovered",
    [STORE_DAMAGED] = "damaged", [STORE_DISK_FULL] = "disk_full",
};

const char *store_state_name(enum store_state state)
{
    return (size_t)state < ARRAY_LEN(state_names) ? state_names[state] : "unknown";
}

int store_sessions(struct store *store, struct store_session **out, size_t *n, struct err *err)
{
    return catalogue_sessions(&store->catalogue, 0, out, n, err);
}

int store_session_failed(struct store *store, const char *id, const char *why, struct err *err)
{
    char text[STORE_ERROR_MAX];

    snprintf(text, sizeof text, "%s", why);
    store_group_lock(store);
    int r = catalogue_put_error(&store->catalogue, id, text, err);
    store_group_unlock(store);
    return r;
}

void store_sessions_free(struct store_session *sessions, size_t n)
{
    for (size_t i = 0; sessions != NULL && i < n; i++) {
        store_session_deinit(&sessions[i]);
    }
    mem_free(sessions);
}
