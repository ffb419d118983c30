/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/replace_file_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool give_to_owner(int dir_fd, const char *name, int fd)
{
    struct stat st;

    if (geteuid() != 0) {
        return true;
    }
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && fstat(dir_fd, &st) < 0) {
        return false;
    }
    return fchown(fd, st.st_uid, st.st_gid) == 0;
}

static bool write_whole(int fd, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = write(fd, bytes + done, n - done);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0;
}

int replace_file(int dir_fd, const char *name, const void *bytes, size_t n, bool to_owner)
{
    char fresh[REPLACE_FILE_NAME_MAX + 6];

    if (strlen(name) > REPLACE_FILE_NAME_MAX) {
        return ENAMETOOLONG;
    }
    snprintf(fresh, sizeof fresh, ".%s.new", name);
    int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    bool good = fchmod(fd, 0600) == 0 && (!to_owner || give_to_owner(dir_fd, name, fd)) &&
                write_whole(fd, bytes, n);
    int errnum = good ? 0 : errno;
    if (close(fd) < 0 && errnum == 0) {
        errnum = errno;
    }
    if (errnum == 0 && (renameat(dir_fd, fresh, dir_fd, name) < 0 || fsync(dir_fd) < 0)) {
        errnum = errno;
    }
    if (errnum != 0) {
        (void)unlinkat(dir_fd, fresh, 0);
    }
    return errnum;
}
