/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/store_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"

#define DESCRIPTOR_MAGIC "PRSTORE1"
/* Over everything before it: a damaged slot is not taken for a wrong key. */
#define SLOT_HASH_AT (STORE_SLOT_AT + SEAL_SLOT_BYTES)
#define LOCK_WAIT_MS 300
#define LOCK_STEP_MS 20

char *store_file(const struct store *store, const char *file)
{
    return x_sprintf("%s/%s", store->dir, file);
}

static int parse(const char *path, struct store_descriptor *d, struct err *err)
{
    const uint8_t *p = d->bytes;

    if (memcmp(p, DESCRIPTOR_MAGIC, 8) != 0) {
        return err_set(err, ERR_NOT_A_STORE,
                       "'%s' is not the description of a packetrecorder store", path);
    }
    if (get_le64(p + 64) != XXH3_64bits(p, 64)) {
        return err_set(err, ERR_DAMAGED, "'%s' is damaged", path);
    }
    if (get_le16(p + 8) > STORE_FORMAT) {
        return err_set(err, ERR_VERSION,
                       "'%s' has store format %u; this program reads up to %u: use a newer "
                       "packetrecorder",
                       path, get_le16(p + 8), STORE_FORMAT);
    }
    if (get_le64(p + SLOT_HASH_AT) != XXH3_64bits(p, SLOT_HASH_AT)) {
        return err_set(err, ERR_DAMAGED, "the key slot in '%s' is damaged", path);
    }
    d->encrypted = (p[12] & 1) != 0;
    memcpy(d->id, p + 16, sizeof d->id);
    d->created_ns = get_le64(p + 32);
    return 0;
}

int store_descriptor_read(const char *path, struct store_descriptor *d, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_errno(err, errno, "'%s'", path);
    }
    ssize_t n = pread(fd, d->bytes, sizeof d->bytes, 0);
    close(fd);
    if (n != (ssize_t)sizeof d->bytes) {
        return err_set(err, ERR_DAMAGED, "'%s' is cut off", path);
    }
    return parse(path, d, err);
}

void store_descriptor_make(struct store_descriptor *d, const struct seal_kdf *kdf,
                           const uint8_t *master, const uint8_t *catalogue_key)
{
    uint8_t *p = d->bytes;

    memset(p, 0, sizeof d->bytes);
    memcpy(p, DESCRIPTOR_MAGIC, 8);
    put_le16(p + 8, STORE_FORMAT);
    p[12] = d->encrypted ? 1 : 0;
    memcpy(p + 16, d->id, sizeof d->id);
    put_le64(p + 32, d->created_ns);
    put_le64(p + 64, XXH3_64bits(p, 64));
    if (d->encrypted) {
        seal_slot_write(p + STORE_SLOT_AT, kdf, master, catalogue_key, p, STORE_BOUND_BYTES);
    }
    put_le64(p + SLOT_HASH_AT, XXH3_64bits(p, SLOT_HASH_AT));
}

int store_descriptor_open(const struct store_descriptor *d, const uint8_t *master,
                          uint8_t *catalogue_key)
{
    return seal_slot_read(d->bytes + STORE_SLOT_AT, master, d->bytes, STORE_BOUND_BYTES,
                          catalogue_key);
}

int store_descriptor_write(const char *path, const struct store_descriptor *d, struct err *err)
{
    char *hidden = x_sprintf("%s.tmp", path);
    int fd = open(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = 0;

    if (fd < 0) {
        r = err_errno(err, errno, "cannot write '%s'", hidden);
    } else {
        ssize_t n = write(fd, d->bytes, sizeof d->bytes);
        if (n != (ssize_t)sizeof d->bytes || fsync(fd) < 0) {
            r = err_errno(err, n < 0 ? errno : ENOSPC, "cannot write '%s'", hidden);
        }
        close(fd);
    }
    if (r == 0 && rename(hidden, path) < 0) {
        r = err_errno(err, errno, "cannot rename '%s'", hidden);
    }
    if (r == 0 && store_sync_parent(path) < 0) {
        r = err_errno(err, errno, "cannot make the name '%s' durable", path);
    }
    if (r < 0) {
        unlink(hidden);
    }
    mem_free(hidden);
    return r;
}

int store_sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0) {
        close(fd);
    }
    return r;
}

int store_sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? x_strdup(".") : x_sprintf("%.*s/", (int)(slash - path), path);
    int r = store_sync_dir(dir);

    mem_free(dir);
    return r;
}

/* A reader that repairs holds the lock for a moment, so a writer asks more than once. */
static bool lock_within(int fd, int wait_ms)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (wait_ms <= 0) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_MS * 1000000L}, NULL);
        wait_ms -= LOCK_STEP_MS;
    }
    return true;
}

static int lock(struct store *store, int wait_ms, struct err *err)
{
    char *path = store_file(store, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int r = 0;

    if (fd < 0) {
        r = err_errno(err, errno, "cannot lock '%s'", path);
    } else if (!lock_within(fd, wait_ms)) {
        char who[32] = "?";
        ssize_t n = pread(fd, who, sizeof who - 1, 0);
        who[n > 0 ? n : 0] = '\0';
        who[strcspn(who, "\n")] = '\0';
        close(fd);
        r = err_set(err, ERR_IN_USE,
                    "the store '%s' is in use: process %s writes to it; wait for it or stop it, or "
                    "use another --database",
                    store->path, who);
    } else {
        char pid[32];
        int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
        /* The text is for people; the lock is what counts, so a full disk does not matter here. */
        if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n) {
            r = 0;
        }
        store->lock_fd = fd;
    }
    mem_free(path);
    return r;
}

int store_lock(struct store *store, struct err *err)
{
    return lock(store, LOCK_WAIT_MS, err);
}

bool store_try_lock(struct store *store)
{
    return lock(store, 0, NULL) == 0;
}

void store_unlock(struct store *store)
{
    if (store->lock_fd >= 0) {
        if (ftruncate(store->lock_fd, 0) < 0) {
            errno = 0; /* nothing to be done: the next holder overwrites the text */
        }
        close(store->lock_fd);
        store->lock_fd = -1;
    }
}

void store_reserve_make(const struct store *store)
{
    char *path = store_file(store, "reserve");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0) {
        if (posix_fallocate(fd, 0, STORE_RESERVE_BYTES) != 0) {
            unlink(path);
        }
        close(fd);
    }
    mem_free(path);
}

void store_reserve_drop(const struct store *store)
{
    char *path = store_file(store, "reserve");

    unlink(path);
    mem_free(path);
}
