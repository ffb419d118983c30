/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/file_output_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"

static int open_file(const char *path, bool *is_made)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags | O_EXCL, 0600);

    *is_made = fd >= 0;
    return fd >= 0 || errno != EEXIST ? fd : open(path, flags, 0600);
}

int file_output_open(struct file_output *out, const char *path, struct err *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    struct stat st;
    bool is_made = false;
    int fd = is_stdout ? STDOUT_FILENO : open_file(path, &is_made);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int errnum = errno;
        if (fd >= 0 && !is_stdout) {
            close(fd);
        }
        return err_errno(err, errnum, "cannot write '%s'", path);
    }
    *out = (struct file_output){
        .fd = fd,
        .path = x_strdup(path),
        .is_regular = S_ISREG(st.st_mode),
        .is_stdout = is_stdout,
        .is_made = is_made,
    };
    return 0;
}

static int begin(struct file_output *out, struct err *err)
{
    if (out->is_begun || out->is_stdout || !out->is_regular) {
        return 0;
    }
    (void)fchmod(out->fd, 0600); /* one that was there may be open to others; may not be ours */
    if (ftruncate(out->fd, 0) < 0) {
        return err_errno(err, errno, "cannot write '%s'", out->path);
    }
    out->is_begun = true;
    return 0;
}

static int failed(struct file_output *out, int errnum, struct err *err)
{
    if (errnum == EPIPE) {
        err_set(err, -EPIPE, "nobody reads '%s' any more", out->path);
        return -EPIPE;
    }
    return err_errno(err, errnum, "cannot write '%s'", out->path);
}

/* After a failure: only whole packets stay. */
static void cut_back(struct file_output *out, const uint8_t *data, size_t written,
                     file_output_whole_cb whole)
{
    size_t good = whole(data, written);

    out->bytes += good;
    if (out->is_regular && good < written) {
        off_t end = lseek(out->fd, -(off_t)(written - good), SEEK_CUR);
        if (end >= 0) {
            (void)!ftruncate(out->fd, end);
        }
    }
}

int file_output_write(struct file_output *out, const void *data, size_t n,
                      file_output_whole_cb whole, struct err *err)
{
    const uint8_t *bytes = data;
    size_t written = 0;
    int code = begin(out, err);

    if (code < 0) {
        return code;
    }
    while (written < n) {
        ssize_t got = write(out->fd, bytes + written, n - written);
        if (got >= 0) {
            written += (size_t)got;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = out->fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            int errnum = errno;
            cut_back(out, bytes, written, whole);
            return failed(out, errnum, err);
        }
    }
    out->bytes += n;
    return 0;
}

int file_output_check(struct file_output *out, struct err *err)
{
    struct pollfd reader = {.fd = out->fd};

    if (out->fd >= 0 && !out->is_regular && poll(&reader, 1, 0) == 1 &&
        (reader.revents & POLLERR) != 0) {
        return failed(out, EPIPE, err);
    }
    return 0;
}

int file_output_close(struct file_output *out, struct err *err)
{
    int code = 0;

    if (out->fd >= 0 && out->is_made && !out->is_begun && out->is_regular) {
        (void)unlink(out->path);
    }
    if (out->fd >= 0 && !out->is_stdout && close(out->fd) < 0) {
        code = failed(out, errno, err);
    }
    mem_free(out->path);
    *out = (struct file_output){.fd = -1};
    return code;
}
