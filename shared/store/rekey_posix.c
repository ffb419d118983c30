/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/rekey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/adopt.h"

struct rekey {
    struct store *store;
    struct seal_kdf kdf;
    uint8_t *master;        /* of the new key */
    uint8_t *catalogue_key; /* new */
};

enum slot_step { SLOT_ADD, SLOT_WIPE_OLD };

static const uint32_t slot_at[] = {SEGMENT_SLOT_A, SEGMENT_SLOT_B};

static bool opens(const uint8_t *header, uint32_t slot, const uint8_t *master, uint8_t *key)
{
    return seal_slot_read(header + slot, master, header, SEGMENT_BOUND_BYTES, key) == 0;
}

/* Puts the new wrapping into the slot that the old key does not use. */
static int add_slot(const struct rekey *k, uint8_t *header)
{
    uint8_t *key = seal_alloc(SEAL_KEY_BYTES);
    int old = opens(header, slot_at[0], k->store->master, key)   ? 0
              : opens(header, slot_at[1], k->store->master, key) ? 1
                                                                 : -1;

    if (old >= 0) {
        seal_slot_write(header + slot_at[1 - old], &k->kdf, k->master, key, header,
                        SEGMENT_BOUND_BYTES);
        segment_header_finish(header, slot_at[old]);
    }
    seal_free(key);
    return old >= 0 ? 0 : ERR_DAMAGED;
}

static int wipe_old_slot(const struct rekey *k, uint8_t *header)
{
    uint8_t *key = seal_alloc(SEAL_KEY_BYTES);
    int mine = opens(header, slot_at[0], k->master, key)   ? 0
               : opens(header, slot_at[1], k->master, key) ? 1
                                                           : -1;

    if (mine >= 0) {
        memset(header + slot_at[1 - mine], 0, SEAL_SLOT_BYTES);
        segment_header_finish(header, slot_at[mine]);
    }
    seal_free(key);
    return mine >= 0 ? 0 : ERR_DAMAGED;
}

/* 1 when it was done, 0 for a segment whose header no key opens: it does not hold up the others, it
 * is as lost as before. */
static int one_segment(const struct rekey *k, const char *file, enum slot_step step,
                       struct err *err)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    char *path = store_file(k->store, file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, header, sizeof header, 0);
    int r = 1;

    if (n == (ssize_t)sizeof header) {
        segment_header_mend(header);
    }
    if (n < 0) {
        r = err_errno(err, errno, "segment '%s'", file);
    } else if (n != (ssize_t)sizeof header || segment_header_read(header, &h) < 0 ||
               (step == SLOT_ADD ? add_slot(k, header) : wipe_old_slot(k, header)) < 0) {
        r = 0;
    } else if (pwrite(fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
               fdatasync(fd) < 0) {
        r = err_errno(err, errno, "cannot write segment '%s'", file);
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path);
    return r;
}

static int all_segments(const struct rekey *k, enum slot_step step, uint64_t *n_done,
                        struct err *err)
{
    char **files = NULL;
    size_t n = 0;
    int r = adopt_list_files(k->store, &files, &n, err);

    *n_done = 0;
    for (size_t i = 0; i < n && r >= 0; i++) {
        r = one_segment(k, files[i], step, err);
        *n_done += r > 0;
    }
    adopt_free_files(files, n);
    return r < 0 ? r : 0;
}

static int write_new_descriptor(const struct rekey *k, struct err *err)
{
    struct store_descriptor d = {.encrypted = true, .created_ns = clock_wall_ns()};
    char *path = store_file(k->store, "store.new");

    memcpy(d.id, k->store->id, sizeof d.id);
    store_descriptor_make(&d, &k->kdf, k->master, k->catalogue_key);
    int r = store_descriptor_write(path, &d, err);
    mem_free(path);
    return r;
}

static int promote_descriptor(const struct store *store, struct err *err)
{
    char *fresh = store_file(store, "store.new");
    char *path = store_file(store, "store");
    int r = rename(fresh, path) < 0 ? err_errno(err, errno, "cannot rename '%s'", fresh) : 0;

    store_sync_dir(store->dir);
    mem_free(fresh);
    mem_free(path);
    return r;
}

/* A file that says: a rekey is under way. */
static char *marker_path(const struct store *store)
{
    return store_file(store, "rekey.unfinished");
}

static int set_marker(const struct store *store, struct err *err)
{
    char *path = marker_path(store);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int r = fd < 0 ? err_errno(err, errno, "cannot make '%s'", path) : 0;

    if (fd >= 0) {
        close(fd);
        store_sync_dir(store->dir);
    }
    mem_free(path);
    return r;
}

static void clear_marker(const struct store *store)
{
    char *path = marker_path(store);

    unlink(path);
    mem_free(path);
}

static int steps(struct rekey *k, uint64_t *segments, struct err *err)
{
    uint64_t wiped;
    int r = set_marker(k->store, err);

    r = r < 0 ? r : write_new_descriptor(k, err);
    r = r < 0 ? r : all_segments(k, SLOT_ADD, segments, err);
    r = r < 0 ? r : catalogue_rekey(&k->store->catalogue, k->catalogue_key, err);
    r = r < 0 ? r : promote_descriptor(k->store, err);
    r = r < 0 ? r : all_segments(k, SLOT_WIPE_OLD, &wiped, err);
    if (r == 0) {
        clear_marker(k->store);
        seal_free(k->store->master);
        k->store->master = k->master;
        k->store->kdf = k->kdf;
        k->master = NULL;
    }
    return r;
}

int store_rekey(struct store *store, const struct store_key *key, uint64_t *segments,
                struct err *err)
{
    struct rekey k = {.store = store};

    *segments = 0;
    if (!store->encrypted) {
        return err_set(err, ERR_KEY,
                       "the store '%s' is not encrypted, so it has no key to change: import its "
                       "packets into an encrypted one (export, then capture -r)",
                       store->path);
    }
    k.master = seal_alloc(SEAL_KEY_BYTES);
    k.catalogue_key = seal_alloc(SEAL_KEY_BYTES);
    seal_kdf_new(&k.kdf, key->passphrase);
    seal_random(k.catalogue_key, SEAL_KEY_BYTES);
    int r = seal_master(&k.kdf, key->secret, key->n, k.master, err);
    r = r < 0 ? r : steps(&k, segments, err);
    seal_free(k.master);
    seal_free(k.catalogue_key);
    return r;
}

int store_rekey_finish(struct store *store, bool by_new_key, struct err *err)
{
    struct rekey k = {.store = store, .kdf = store->kdf, .master = store->master};
    char *marker = marker_path(store);
    char *fresh = store_file(store, "store.new");
    uint64_t wiped;
    int r = 0;

    if (access(marker, F_OK) == 0) {
        if (by_new_key) {
            r = promote_descriptor(store, err);
        }
        /* Without the new key the catalogue never took it: the rekey did not happen, and what it
         * left behind in the headers goes. Else the old wrappings go. */
        r = r < 0 ? r : all_segments(&k, SLOT_WIPE_OLD, &wiped, err);
        if (r == 0 && !by_new_key) {
            unlink(fresh);
        }
        if (r == 0) {
            clear_marker(store);
        }
    }
    mem_free(marker);
    mem_free(fresh);
    return r;
}
