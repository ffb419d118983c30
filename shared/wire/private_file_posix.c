/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES 4096

static bool read_all(int fd, size_t max, struct buf *out)
{
    for (;;) {
        buf_reserve(out, STEP_BYTES);
        ssize_t n = read(fd, out->data + out->len, STEP_BYTES);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n == 0) {
            return true;
        }
        out->len += n > 0 ? (size_t)n : 0;
        if (out->len > max) {
            errno = EFBIG;
            return false;
        }
    }
}

int private_file_read(const char *path, const char *what, size_t max, struct buf *out,
                      struct err *err)
{
    struct stat st;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == EACCES) {
        return err_set(err, ERR_PERMISSION,
                       "cannot read the %s '%s': it is another user's; 'chown' it and its "
                       "directory to the user that must read it",
                       what, path);
    }
    if (fd < 0) {
        return err_errno(err, errno, "cannot read the %s '%s'", what, path);
    }
    bool is_known = fstat(fd, &st) == 0;
    if (is_known && !S_ISREG(st.st_mode)) {
        rc = err_set(err, ERR_KEY, "the %s '%s' is no regular file", what, path);
    } else if (is_known && (st.st_mode & 077) != 0) {
        rc = err_set(err, ERR_KEY,
                     "the %s '%s' can be read by others than its owner: chmod 600 '%s'", what, path,
                     path);
    } else if (!is_known || !read_all(fd, max, out)) {
        rc = err_errno(err, errno, "cannot read the %s '%s'", what, path);
    }
    close(fd);
    return rc;
}
