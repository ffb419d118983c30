/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/adopt.h"

/* Never over an older one: nothing is lost, not even what is broken. */
static int set_aside(const char *path, struct err *err)
{
    uint64_t now_s = clock_wall_ns() / 1000000000u;
    char *aside = x_sprintf("%s.damaged-%" PRIu64, path, now_s);

    for (unsigned i = 2; access(aside, F_OK) == 0; i++) {
        mem_free(aside);
        aside = x_sprintf("%s.damaged-%" PRIu64 "-%u", path, now_s, i);
    }
    int r = rename(path, aside) < 0 && errno != ENOENT
                ? err_errno(err, errno, "cannot put '%s' aside", path)
                : 0;
    mem_free(aside);
    return r;
}

/* The first segment with a whole header tells whether and how the store is encrypted. */
static int look_at_segments(const struct store *store, bool *sealed, uint8_t header[],
                            struct err *err)
{
    char **files = NULL;
    size_t n = 0;
    int r = adopt_list_files(store, &files, &n, err);
    bool found = false;

    for (size_t i = 0; i < n && !found; i++) {
        char *path = store_file(store, files[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct segment_header h;
        found = fd >= 0 &&
                pread(fd, header, SEGMENT_HEADER_BYTES, 0) == (ssize_t)SEGMENT_HEADER_BYTES &&
                segment_header_read(header, &h) == 0;
        if (found) {
            *sealed = h.sealed;
        }
        if (fd >= 0) {
            close(fd);
        }
        mem_free(path);
    }
    adopt_free_files(files, n);
    if (r == 0 && !found) {
        r = err_set(err, ERR_DAMAGED,
                    "'%s' holds no segment with a whole header: nothing can be saved", store->dir);
    }
    return r;
}

/* A new descriptor for the same key: same derivation, a fresh catalogue key. */
static int new_descriptor(struct store *store, const struct store_key *key, struct err *err)
{
    static const uint32_t slots[] = {SEGMENT_SLOT_A, SEGMENT_SLOT_B};
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct store_descriptor d = {.created_ns = clock_wall_ns()};
    int r = look_at_segments(store, &d.encrypted, header, err);

    if (r < 0) {
        return r;
    }
    if (d.encrypted && key == NULL) {
        return err_set(err, ERR_KEY, "the segments in '%s' are encrypted: give their key",
                       store->dir);
    }
    uint8_t *secret = seal_alloc(SEAL_KEY_BYTES);
    uint8_t *master = seal_alloc(SEAL_KEY_BYTES);
    struct seal_kdf kdf = {0};
    bool opened = !d.encrypted;
    for (size_t i = 0; i < ARRAY_LEN(slots) && !opened; i++) {
        seal_slot_kdf(header + slots[i], &kdf);
        opened =
            seal_slot_used(header + slots[i]) && kdf.passphrase == key->passphrase &&
            seal_master(&kdf, key->secret, key->n, master, NULL) == 0 &&
            seal_slot_read(header + slots[i], master, header, SEGMENT_BOUND_BYTES, secret) == 0;
    }
    if (opened) {
        char *path = store_file(store, "store");
        seal_random(d.id, sizeof d.id);
        seal_random(secret, SEAL_KEY_BYTES); /* from here on the catalogue's key */
        store_descriptor_make(&d, &kdf, master, secret);
        r = set_aside(path, err);
        r = r < 0 ? r : store_descriptor_write(path, &d, err);
        mem_free(path);
    } else {
        r = err_set(err, ERR_KEY, "the key does not open the segments in '%s'", store->dir);
    }
    seal_free(secret);
    seal_free(master);
    return r;
}

int store_salvage(const struct store_options *options, struct store **out, struct err *err)
{
    struct store probe = {.lock_fd = -1};
    struct store_options again = *options;
    struct stat st;

    probe.path = x_strdup(options->path);
    probe.dir = x_sprintf("%s.d", options->path);
    int r = stat(probe.dir, &st) == 0
                ? 0
                : err_set(err, ERR_NOT_A_STORE, "'%s' has no segments beside it", options->path);
    r = r < 0 ? r : store_lock(&probe, err);
    if (r == 0) {
        r = new_descriptor(&probe, options->key, err);
    }
    if (r == 0) {
        static const char *const beside[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < ARRAY_LEN(beside) && r == 0; i++) {
            char *path = x_sprintf("%s%s", probe.path, beside[i]);
            r = set_aside(path, err);
            mem_free(path);
        }
    }
    store_unlock(&probe);
    mem_free(probe.path);
    mem_free(probe.dir);
    again.mode = STORE_WRITE;
    return r < 0 ? r : store_open(&again, out, err);
}
