/* SPDX-License-Identifier: Apache-2.0
 *
 * The file is never written in place: a new one is made beside it, synced and renamed over it, so
 * that a node that reads at that moment sees the old or the new list. Two programs that change it
 * wait for each other by a lock on the directory, which leaves no file behind and has nothing to do
 * with the lock of the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/replace_file_posix.h"
#include "shared/wire/api_key.h"
#include "shared/wire/private_file.h"

#define FILE_MAX_BYTES (1024u * 1024u)
#define TEXT_MAX       4096u
#define FILE_WORDS     "API key file"

char *api_keys_path(const char *database)
{
    return x_sprintf("%s.d/api-keys", database);
}

int api_keys_load(const char *path, struct api_keys *out, struct err *err)
{
    struct buf text = {0};
    int rc = private_file_read(path, FILE_WORDS, FILE_MAX_BYTES, &text, err);

    if (rc == ERR_NOT_FOUND) {
        *out = (struct api_keys){0};
        rc = 0;
    } else if (rc == 0) {
        rc = api_keys_decode((const char *)text.data, text.len, out, err);
        rc = rc < 0 ? err_wrap(err, "'%s'", path) : 0;
    }
    if (text.data != NULL) {
        sodium_memzero(text.data, text.len);
    }
    buf_deinit(&text);
    return rc;
}

/* A directory that root has made belongs to whom the one around it belongs: the first key is often
 * added before a node has run that runs as another user, and it must be able to read it. */
static bool give_to_owner_above(const char *dir, int fd)
{
    struct stat st;
    const char *slash = strrchr(dir, '/');
    char *above = slash == NULL  ? x_strdup(".")
                  : slash == dir ? x_strdup("/")
                                 : x_sprintf("%.*s", (int)(slash - dir), dir);
    bool good = geteuid() != 0 || (stat(above, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0);

    mem_free(above);
    return good;
}

/* The directory of the store, made where it is missing, locked. The descriptor, or negative. */
static int lock_directory(const char *dir, struct err *err)
{
    bool is_new = mkdir(dir, 0700) == 0;

    if (!is_new && errno != EEXIST) {
        return err_errno(err, errno, "cannot make '%s'", dir);
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_new ? O_NOFOLLOW : 0));
    if (fd < 0) {
        return err_errno(err, errno, "cannot open '%s'", dir);
    }
    if (is_new && !give_to_owner_above(dir, fd)) {
        int rc = err_errno(err, errno, "cannot give '%s' to its owner", dir);
        close(fd);
        return rc;
    }
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR) {
            int rc = err_errno(err, errno, "cannot lock '%s'", dir);
            close(fd);
            return rc;
        }
    }
    return fd;
}

/* What root adds must be readable by a node that runs as another user. */
static int replace(int dir, const char *path, const char *name, const char *text, struct err *err)
{
    int errnum = replace_file(dir, name, text, strlen(text), true);

    return errnum == 0 ? 0 : err_errno(err, errnum, "cannot write the API key file '%s'", path);
}

int api_keys_change(const char *path,
                    int (*change)(struct api_keys *keys, void *arg, struct err *err), void *arg,
                    struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? x_strdup(".") : x_sprintf("%.*s", (int)(slash - path), path);
    struct api_keys keys = {0};
    int fd = lock_directory(dir, err);
    int rc = fd;

    if (fd >= 0) {
        rc = api_keys_load(path, &keys, err);
        rc = rc == 0 ? change(&keys, arg, err) : rc;
    }
    if (rc >= 0) {
        char *text = api_keys_encode(&keys);
        rc = replace(fd, path, slash == NULL ? path : slash + 1, text, err);
        mem_free(text);
    }
    api_keys_free(&keys);
    if (fd >= 0) {
        close(fd);
    }
    mem_free(dir);
    return rc;
}

/* The first line of n bytes, checked, in sodium memory. */
static int take_text(const char *text, size_t n, char **out, struct err *err)
{
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];
    size_t line = 0;

    while (line < n && text[line] != '\n' && text[line] != '\r') {
        line++;
    }
    REQUIRE(sodium_init() >= 0);
    char *copy = sodium_malloc(line + 1);
    REQUIRE(copy != NULL);
    memcpy(copy, text, line);
    copy[line] = '\0';
    int rc = strlen(copy) == line ? api_key_parse(copy, id, hash, err)
                                  : err_set(err, ERR_KEY, "that is no API key");
    sodium_memzero(hash, sizeof hash);
    if (rc < 0) {
        sodium_free(copy);
        return rc;
    }
    *out = copy;
    return 0;
}

static int text_of_file(const char *path, char **out, struct err *err)
{
    struct buf text = {0};

    buf_reserve(&text, TEXT_MAX + 8192); /* so that no growth leaves a copy behind */
    int rc = private_file_read(path, FILE_WORDS, TEXT_MAX, &text, err);
    if (rc == 0) {
        rc = take_text((const char *)text.data, text.len, out, err);
        rc = rc < 0 ? err_wrap(err, "the API key file '%s'", path) : 0;
    }
    sodium_memzero(text.data, text.cap);
    buf_deinit(&text);
    return rc == ERR_NOT_FOUND ? err_set(err, ERR_KEY, "no API key file '%s'", path) : rc;
}

int api_key_text(const char *path, char **out, struct err *err)
{
    const char *value = getenv("PACKETRECORDER_API_KEY");
    const char *file = path != NULL ? path : getenv("PACKETRECORDER_API_KEY_FILE");

    *out = NULL;
    if (path == NULL && value != NULL && value[0] != '\0') {
        int rc = take_text(value, strlen(value), out, err);
        return rc < 0 ? err_wrap(err, "PACKETRECORDER_API_KEY") : 0;
    }
    return file != NULL && file[0] != '\0' ? text_of_file(file, out, err) : 0;
}
