/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_file_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/base/replace_file_posix.h"

static int open_directory(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fd : err_errno(err, errno, "cannot open the directory '%s'", dir);
}

static int make_directory(const char *dir, struct err *err)
{
    char *text = x_strdup(dir);
    int rc = 0;

    for (char *at = text + 1; rc == 0; at++) {
        bool is_end = *at == '\0';
        if (*at != '/' && !is_end) {
            continue;
        }
        *at = '\0';
        if (mkdir(text, 0700) < 0 && errno != EEXIST) {
            rc = err_errno(err, errno, "cannot make the directory '%s'", text);
        }
        if (is_end) {
            break;
        }
        *at = '/';
    }
    mem_free(text);
    return rc;
}

static int read_all(int fd, struct buf *out)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > JOB_FILE_MAX) {
        return EFBIG;
    }
    if (!buf_try_reserve(out, (size_t)st.st_size + 1)) {
        return ENOMEM;
    }
    for (;;) {
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        out->len += n > 0 ? (size_t)n : 0;
        if (n == 0 || out->len == out->cap) {
            return 0;
        }
    }
}

int job_file_read(const char *dir, struct buf *out, struct err *err)
{
    char *path = x_sprintf("%s/" JOB_FILE, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int errnum = fd < 0 ? errno : read_all(fd, out);
    int rc = 0;

    if (fd >= 0) {
        close(fd);
    }
    if (errnum != 0 && errnum != ENOENT) {
        rc = err_errno(err, errnum, "cannot read the journal of jobs '%s'", path);
    }
    mem_free(path);
    return rc;
}

int job_file_write(const char *dir, const struct buf *bytes, struct err *err)
{
    int rc = make_directory(dir, err);
    int fd = rc < 0 ? rc : open_directory(dir, err);

    if (fd < 0) {
        return fd;
    }
    int errnum = replace_file(fd, JOB_FILE, bytes->data, bytes->len, false);
    close(fd);
    return errnum == 0
               ? 0
               : err_errno(err, errnum, "cannot write the journal of jobs '%s/" JOB_FILE "'", dir);
}

int job_file_put_aside(const char *dir, struct err *err)
{
    int fd = open_directory(dir, err);
    int rc = 0;

    if (fd < 0) {
        return fd;
    }
    if (renameat(fd, JOB_FILE, fd, JOB_FILE ".damaged") < 0 && errno != ENOENT) {
        rc = err_errno(err, errno, "cannot put '%s/" JOB_FILE "' aside", dir);
    }
    close(fd);
    return rc;
}
