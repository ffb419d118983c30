/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/export_file_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"

/* Of the name in the hidden name, so that this one is not too long for the file system. */
#define NAME_BYTES_MAX 200
#define ATTEMPTS       100

static int write_failed(const struct export_file *f, int errnum, struct err *err)
{
    if (errnum == EPIPE) {
        return err_set(err, -EPIPE, "nobody reads '%s' any more", f->path);
    }
    return err_errno(err, errnum, "cannot write '%s'", f->path);
}

static int write_all(struct export_sink *sink, const void *data, size_t n, struct err *err)
{
    struct export_file *f = container_of(sink, struct export_file, sink);
    const uint8_t *p = data;

    while (n > 0) {
        ssize_t got = write(f->fd, p, n);
        if (got >= 0) {
            p += got;
            n -= (size_t)got;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = f->fd, .events = POLLOUT};
            (void)poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return write_failed(f, errno, err);
        }
    }
    return 0;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int open_hidden(struct export_file *f, struct err *err)
{
    const char *name = name_of(f->path);
    int dir_bytes = (int)(name - f->path);
    int errnum = EEXIST;

    for (int i = 0; i < ATTEMPTS && errnum == EEXIST; i++) {
        char attempt[16] = "";
        if (i > 0) {
            snprintf(attempt, sizeof attempt, "-%d", i);
        }
        f->hidden = x_sprintf("%.*s.%.*s.part-%ld%s", dir_bytes, f->path, NAME_BYTES_MAX, name,
                              (long)getpid(), attempt);
        f->fd = open(f->hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (f->fd >= 0) {
            return 0;
        }
        errnum = errno;
        mem_free(f->hidden);
        f->hidden = NULL;
    }
    return err_errno(err, errnum, "cannot make '%s'", f->path);
}

bool export_makes_file(const char *path)
{
    struct stat st;

    return strcmp(path, "-") != 0 && (stat(path, &st) < 0 || S_ISREG(st.st_mode));
}

static int open_straight(struct export_file *f, struct err *err)
{
    f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return f->fd < 0 ? err_errno(err, errno, "cannot write '%s'", f->path) : 0;
}

static int exists(const char *path, struct err *err)
{
    return err_set(err, ERR_EXISTS, "'%s' exists: --force replaces it", path);
}

int export_file_open(struct export_file *f, const char *path, bool force, bool needs_name,
                     struct err *err)
{
    struct stat st;

    *f = (struct export_file){
        .sink.write = write_all,
        .fd = -1,
        .path = path,
        .is_stdout = strcmp(path, "-") == 0,
        .force = force,
    };
    bool straight = !export_makes_file(path);
    if (needs_name && straight) {
        return err_set(err, ERR_USAGE, "this format needs a file with a name, not '%s'", path);
    }
    if (f->is_stdout) {
        f->fd = STDOUT_FILENO;
        return 0;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_USAGE, "'%s' is a directory: give the name of a file", path);
    }
    if (straight) {
        return open_straight(f, err);
    }
    if (name_of(path)[0] == '\0') {
        return err_set(err, ERR_USAGE, "'%s' is not the name of a file", path);
    }
    if (!force && lstat(path, &st) == 0) {
        return exists(path, err);
    }
    return open_hidden(f, err);
}

/* The name itself has to be durable too. */
static int sync_directory(const char *path)
{
    int dir_bytes = (int)(name_of(path) - path);
    char *dir = dir_bytes == 0 ? x_strdup(".") : x_sprintf("%.*s", dir_bytes, path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd >= 0 && fsync(fd) < 0 && errno != EINVAL ? errno : 0;

    if (fd >= 0) {
        close(fd);
    }
    mem_free(dir);
    return r;
}

/* Without force a file that came up meanwhile stays. File systems without RENAME_NOREPLACE have
 * link(2), or neither; then the look at the start must do. */
static int give_name(const struct export_file *f)
{
    if (f->force) {
        return rename(f->hidden, f->path) < 0 ? errno : 0;
    }
    if (renameat2(AT_FDCWD, f->hidden, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    if (link(f->hidden, f->path) == 0) {
        return unlink(f->hidden) < 0 ? errno : 0;
    }
    if (errno == EEXIST) {
        return errno;
    }
    return rename(f->hidden, f->path) < 0 ? errno : 0;
}

static void release(struct export_file *f)
{
    if (f->fd >= 0 && !f->is_stdout) {
        close(f->fd);
    }
    f->fd = -1;
    mem_free(f->hidden);
    f->hidden = NULL;
    buf_deinit(&f->sink.buf);
}

void export_file_abandon(struct export_file *f)
{
    if (f->hidden != NULL) {
        unlink(f->hidden);
    }
    release(f);
}

int export_file_commit(struct export_file *f, uint64_t *bytes, struct err *err)
{
    struct stat st = {0};
    int errnum = 0;
    int r = export_sink_flush(&f->sink, err);

    if (r == 0 && f->hidden == NULL) {
        *bytes = f->sink.written;
        if (!f->is_stdout && close(f->fd) < 0) {
            r = write_failed(f, errno, err);
        }
        f->fd = -1;
        release(f);
        return r;
    }
    if (r == 0 && (fstat(f->fd, &st) < 0 || fsync(f->fd) < 0)) {
        r = write_failed(f, errno, err);
    }
    if (r == 0 && (errnum = give_name(f)) != 0) {
        r = errnum == EEXIST ? exists(f->path, err)
                             : err_errno(err, errnum, "cannot name '%s'", f->path);
    }
    if (r == 0 && (errnum = sync_directory(f->path)) != 0) {
        r = err_errno(err, errnum, "cannot make the name '%s' durable", f->path);
    }
    if (r < 0) {
        export_file_abandon(f);
        return r;
    }
    *bytes = (uint64_t)st.st_size;
    release(f);
    return 0;
}
