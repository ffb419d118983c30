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

/* Argon2id runs for a wrong key, or for slots that were tampered with. */
#define DERIVATIONS_MAX 4u

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

static bool read_header(const struct store *store, const char *file, uint8_t *header,
                        struct segment_header *h)
{
    char *path = store_file(store, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool whole =
        fd >= 0 && pread(fd, header, SEGMENT_HEADER_BYTES, 0) == (ssize_t)SEGMENT_HEADER_BYTES;

    if (whole) {
        segment_header_mend(header);
        whole = segment_header_read(header, h) == 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path);
    return whole;
}

/* What the segments tell of the key. */
struct finding {
    bool any; /* a segment with a whole header */
    bool sealed;
    bool opened;
    struct seal_kdf kdf;
    uint8_t *master; /* locked memory */
    uint8_t *secret;
    uint8_t derivation[SEAL_SLOT_KDF_BYTES]; /* of master */
    unsigned n_derivations;
};

/* Deriving is slow on purpose, so it is done once for all slots that tell the same. */
static bool opens(struct finding *f, const struct store_key *key, const uint8_t *header,
                  uint32_t at)
{
    const uint8_t *slot = header + at;
    struct seal_kdf kdf;

    seal_slot_kdf(slot, &kdf);
    if (!seal_slot_used(slot) || key == NULL || kdf.passphrase != key->passphrase) {
        return false;
    }
    if (f->n_derivations == 0 || memcmp(slot, f->derivation, sizeof f->derivation) != 0) {
        if (f->n_derivations++ == DERIVATIONS_MAX ||
            seal_master(&kdf, key->secret, key->n, f->master, NULL) < 0) {
            return false;
        }
        memcpy(f->derivation, slot, sizeof f->derivation);
        f->kdf = kdf;
    }
    return seal_slot_read(slot, f->master, header, SEGMENT_BOUND_BYTES, f->secret) == 0;
}

/* Until a segment opens: one damaged header does not stand for all. */
static int look_at_segments(const struct store *store, const struct store_key *key,
                            struct finding *f, struct err *err)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    char **files = NULL;
    size_t n = 0;
    int r = adopt_list_files(store, &files, &n, err);

    for (size_t i = 0; i < n && !f->opened; i++) {
        if (read_header(store, files[i], header, &h)) {
            f->any = true;
            f->sealed = h.sealed;
            f->opened = !h.sealed || opens(f, key, header, SEGMENT_SLOT_A) ||
                        opens(f, key, header, SEGMENT_SLOT_B);
        }
    }
    adopt_free_files(files, n);
    if (r == 0 && !f->any) {
        r = err_set(err, ERR_DAMAGED,
                    "'%s' holds no segment with a whole header: nothing can be saved", store->dir);
    } else if (r == 0 && !f->opened) {
        r = key == NULL
                ? err_set(err, ERR_KEY, "the segments in '%s' are encrypted: give their key",
                          store->dir)
                : err_set(err, ERR_KEY, "the key does not open the segments in '%s'", store->dir);
    }
    return r;
}

/* A new descriptor for the same key: same derivation, a fresh catalogue key. */
static int new_descriptor(struct store *store, const struct store_key *key, struct err *err)
{
    struct store_descriptor d = {.created_ns = clock_wall_ns()};
    struct finding f = {.master = seal_alloc(SEAL_KEY_BYTES), .secret = seal_alloc(SEAL_KEY_BYTES)};
    int r = look_at_segments(store, key, &f, err);

    if (r == 0) {
        char *path = store_file(store, "store");
        d.encrypted = f.sealed;
        seal_random(d.id, sizeof d.id);
        seal_random(f.secret, SEAL_KEY_BYTES); /* from here on the catalogue's key */
        store_descriptor_make(&d, &f.kdf, f.master, f.secret);
        r = set_aside(path, err);
        r = r < 0 ? r : store_descriptor_write(path, &d, err);
        mem_free(path);
    }
    seal_free(f.secret);
    seal_free(f.master);
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
