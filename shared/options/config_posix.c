/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"

/* One byte more than may be there, so that too much is seen. */
static int read_all(int fd, char *out, size_t *n)
{
    *n = 0;
    while (*n < CONFIG_MAX_BYTES + 1) {
        ssize_t got = read(fd, out + *n, CONFIG_MAX_BYTES + 1 - *n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        *n += (size_t)got;
    }
    return 0;
}

int config_read_file(struct config *config, const char *path, struct err *err)
{
    struct stat st;
    size_t n;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_errno(err, errno, "cannot read the configuration '%s'", path);
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, ERR_USAGE, "the configuration '%s' is no regular file", path);
    }
    char *text = x_alloc(CONFIG_MAX_BYTES + 1);
    int rc = read_all(fd, text, &n);
    int errnum = errno;
    close(fd);
    if (rc < 0) {
        err_errno(err, errnum, "cannot read the configuration '%s'", path);
    } else {
        config->file = path;
        config_read_text(config, text, n);
    }
    mem_free(text);
    return rc < 0 ? err->code : 0;
}
