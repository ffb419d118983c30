/* SPDX-License-Identifier: Apache-2.0 */
#include "node/gossip_state_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/replace_file_posix.h"

#define FILE_MAX  4096u
#define RING_HEAD "packetrecorder keyring 1"
#define VARIANT   sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* ---- files ---- */

/* All of a small private file. ERR_NOT_FOUND: there is none. */
static int read_file(const struct gossip_state *state, const char *name, char *out, size_t room,
                     struct err *err)
{
    struct stat st;
    int fd = openat(state->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return err_errno(err, errno, "cannot read '%s/%s'", state->path, name);
    }
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, out, room - 1) : -1;
    int errnum = errno;
    close(fd);
    if (n < 0) {
        return err_errno(err, errnum, "cannot read '%s/%s'", state->path, name);
    }
    if ((st.st_mode & 077) != 0) {
        sodium_memzero(out, room);
        return err_set(err, ERR_PERMISSION,
                       "'%s/%s' can be read by others than its owner: 'chmod 600' it, and make a "
                       "new key if somebody may have (remove the file)",
                       state->path, name);
    }
    out[n] = '\0';
    return 0;
}

static int write_file(const struct gossip_state *state, const char *name, const char *text,
                      struct err *err)
{
    int errnum = replace_file(state->dir_fd, name, text, strlen(text), false);

    return errnum == 0 ? 0 : err_errno(err, errnum, "cannot write '%s/%s'", state->path, name);
}

/* ---- the node's key ---- */

static int make_key(struct gossip_state *state, struct err *err)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    char text[64];

    randombytes_buf(seed, sizeof seed);
    sodium_bin2base64(text, sizeof text - 1, seed, sizeof seed, VARIANT);
    (void)crypto_sign_seed_keypair(state->public_key, state->secret_key, seed);
    text[strlen(text) + 1] = '\0';
    text[strlen(text)] = '\n';
    int rc = write_file(state, "node.key", text, err);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    return rc;
}

static int load_key(struct gossip_state *state, struct err *err)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    char text[FILE_MAX];
    size_t n = 0;

    int rc = read_file(state, "node.key", text, sizeof text, err);
    if (rc == ERR_NOT_FOUND) {
        return make_key(state, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (sodium_base642bin(seed, sizeof seed, text, strlen(text), "\n", &n, NULL, VARIANT) != 0 ||
        n != sizeof seed) {
        rc = err_set(err, ERR_DAMAGED,
                     "'%s/node.key' is no key of a node; without the file the node makes a new one "
                     "and is another member",
                     state->path);
    } else {
        (void)crypto_sign_seed_keypair(state->public_key, state->secret_key, seed);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    return rc;
}

/* ---- the boot ---- */

static int load_boot(struct gossip_state *state, struct err *err)
{
    char text[FILE_MAX];
    char *end;

    int rc = read_file(state, "boot", text, sizeof text, err);
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    errno = 0;
    state->boot = strtoull(text, &end, 10);
    if (errno != 0 || end == text || strcmp(end, "\n") != 0) {
        return err_set(err, ERR_DAMAGED,
                       "'%s/boot' is no number; remove the file if this host's clock is right",
                       state->path);
    }
    return 0;
}

int gossip_state_put_boot(const struct gossip_state *state, uint64_t boot, struct err *err)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64 "\n", boot);
    return write_file(state, "boot", text, err);
}

/* ---- the ring ---- */

static const char *const state_words[] = {"installed", "active", "retiring"};

static bool take_key_line(struct gossip_ring *ring, const char *text, const char *word,
                          int64_t until_s)
{
    struct swim_key *key = &ring->keys.keys[ring->keys.n];
    size_t n = 0;

    if (ring->keys.n == SWIM_KEYS_MAX ||
        sodium_base642bin(key->key, sizeof key->key, text, strlen(text), NULL, &n, NULL, VARIANT) !=
            0 ||
        n != sizeof key->key) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(state_words); i++) {
        if (strcmp(word, state_words[i]) == 0) {
            key->state = (uint8_t)i;
            key->id = swim_key_id(key->key);
            ring->until_s[ring->keys.n++] = until_s;
            return true;
        }
    }
    return false;
}

static bool take_line(struct gossip_ring *ring, const char *line)
{
    char text[64];
    char word[16];
    int64_t until_s;
    size_t n = 0;

    if (strcmp(line, RING_HEAD) == 0) {
        return true;
    }
    if (sscanf(line, "cluster %63s", text) == 1) {
        return sodium_base642bin(ring->keys.cluster_id, SWIM_CLUSTER_BYTES, text, strlen(text),
                                 NULL, &n, NULL, VARIANT) == 0 &&
               n == SWIM_CLUSTER_BYTES;
    }
    if (sscanf(line, "file %8" SCNx32, &ring->file_id) == 1 ||
        sscanf(line, "since %" SCNu64, &ring->since_ms) == 1) {
        return true;
    }
    bool good = sscanf(line, "key %63s %15s %" SCNd64, text, word, &until_s) == 3 &&
                take_key_line(ring, text, word, until_s);
    sodium_memzero(text, sizeof text);
    return good;
}

static bool is_whole(const struct gossip_ring *ring)
{
    return ring->keys.n > 0 && swim_keyring_active(&ring->keys) != NULL;
}

static int load_ring(struct gossip_state *state, struct err *err)
{
    char text[FILE_MAX] = "";
    bool good = true;

    int rc = read_file(state, "keyring", text, sizeof text, err);
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    good = strncmp(text, RING_HEAD "\n", sizeof RING_HEAD) == 0;
    for (char *line = text; good && *line != '\0';) {
        char *end = strchr(line, '\n');
        good = end != NULL;
        if (good) {
            *end = '\0';
            good = take_line(&state->ring, line);
            line = end + 1;
        }
    }
    sodium_memzero(text, sizeof text);
    if (!good || !is_whole(&state->ring)) {
        return err_set(err, ERR_DAMAGED,
                       "'%s/keyring' is damaged; without the file the node begins with the key of "
                       "--cluster-key-file",
                       state->path);
    }
    state->has_ring = true;
    return 0;
}

int gossip_state_put_ring(const struct gossip_state *state, const struct gossip_ring *ring,
                          struct err *err)
{
    struct buf out = {0};
    char text[64];

    sodium_bin2base64(text, sizeof text, ring->keys.cluster_id, SWIM_CLUSTER_BYTES, VARIANT);
    buf_reserve(&out, FILE_MAX); /* it never grows, so nothing of it is left behind */
    buf_printf(&out, RING_HEAD "\ncluster %s\nfile %08" PRIx32 "\nsince %" PRIu64 "\n", text,
               ring->file_id, ring->since_ms);
    for (uint32_t i = 0; i < ring->keys.n; i++) {
        const struct swim_key *key = &ring->keys.keys[i];
        sodium_bin2base64(text, sizeof text, key->key, sizeof key->key, VARIANT);
        buf_printf(&out, "key %s %s %" PRId64 "\n", text, state_words[key->state],
                   ring->until_s[i]);
    }
    buf_put_u8(&out, 0);
    int rc = write_file(state, "keyring", (const char *)out.data, err);
    sodium_memzero(out.data, out.len);
    sodium_memzero(text, sizeof text);
    buf_deinit(&out);
    return rc;
}

/* ---- orders ---- */

int gossip_state_get_orders(const struct gossip_state *state, char *text, size_t room,
                            struct err *err)
{
    text[0] = '\0';
    int rc = read_file(state, "orders", text, room, err);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int gossip_state_put_orders(const struct gossip_state *state, const char *text, struct err *err)
{
    return write_file(state, "orders", text, err);
}

/* ---- swarm time ---- */

bool gossip_state_get_time(const struct gossip_state *state, struct gossip_kept_time *out)
{
    char text[FILE_MAX];
    struct err err = {0};
    int n = 0;

    return read_file(state, "time", text, sizeof text, &err) == 0 &&
           sscanf(text, "%36s %" SCNd64 " %" SCNu64 "\n%n", out->kernel, &out->ahead_ns,
                  &out->kept_ns, &n) == 3 &&
           (size_t)n == strlen(text);
}

int gossip_state_put_time(const struct gossip_state *state, const struct gossip_kept_time *kept,
                          struct err *err)
{
    char text[GOSSIP_KERNEL_TEXT + 64];

    snprintf(text, sizeof text, "%s %" PRId64 " %" PRIu64 "\n", kept->kernel, kept->ahead_ns,
             kept->kept_ns);
    return write_file(state, "time", text, err);
}

/* ---- the directory ---- */

static int make_directory(const char *path, struct err *err)
{
    char *text = x_strdup(path);
    int rc = 0;

    for (char *at = strchr(text + 1, '/'); rc == 0; at = strchr(at + 1, '/')) {
        if (at != NULL) {
            *at = '\0';
        }
        if (mkdir(text, 0700) < 0 && errno != EEXIST) {
            rc = err_errno(err, errno, "cannot make the directory '%s' (--state-dir)", text);
        }
        if (at == NULL) {
            break;
        }
        *at = '/';
    }
    mem_free(text);
    return rc;
}

static int open_directory(struct gossip_state *state, struct err *err)
{
    int rc = make_directory(state->path, err);

    if (rc < 0) {
        return rc;
    }
    state->dir_fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->dir_fd < 0) {
        return err_errno(err, errno, "cannot open the directory '%s' (--state-dir)", state->path);
    }
    state->lock_fd = openat(state->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state->lock_fd < 0) {
        return err_errno(err, errno, "cannot write in the directory '%s' (--state-dir)",
                         state->path);
    }
    if (flock(state->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return err_set(err, ERR_IN_USE,
                       "another node has the directory '%s': give this one its own --state-dir",
                       state->path);
    }
    return 0;
}

int gossip_state_open(const char *path, struct gossip_state *state, struct err *err)
{
    *state = (struct gossip_state){.dir_fd = -1, .lock_fd = -1, .path = x_strdup(path)};
    int rc = open_directory(state, err);
    if (rc == 0) {
        rc = load_key(state, err);
    }
    if (rc == 0) {
        rc = load_boot(state, err);
    }
    if (rc == 0) {
        rc = load_ring(state, err);
    }
    if (rc < 0) {
        gossip_state_close(state);
    }
    return rc;
}

void gossip_state_close(struct gossip_state *state)
{
    if (state->path == NULL) {
        return;
    }
    if (state->lock_fd >= 0) {
        close(state->lock_fd);
    }
    if (state->dir_fd >= 0) {
        close(state->dir_fd);
    }
    mem_free(state->path);
    sodium_memzero(state, sizeof *state);
}
