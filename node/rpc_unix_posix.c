/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_unix_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/mem.h"

#define BACKLOG    1024
#define GROUPS_MAX 1024

static struct {
    int fd;
    int lock;
} bound = {-1, -1};

/* ---- making it ---- */

static int fill_address(const char *path, struct sockaddr_un *at, struct err *err)
{
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof at->sun_path) {
        return err_set(err, ERR_USAGE,
                       "'%s' is no path of a UNIX socket: it begins with '/' and has at most %zu "
                       "bytes",
                       path, sizeof at->sun_path - 1);
    }
    memcpy(at->sun_path, path, strlen(path));
    return 0;
}

static int make_parent(const char *path, const struct passwd *owner, struct err *err)
{
    char *directory = x_sprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    int rc = 0;

    if (mkdir(directory, 0755) == 0) {
        if (owner != NULL && chown(directory, owner->pw_uid, owner->pw_gid) < 0) {
            rc = err_errno(err, errno, "cannot give '%s' to '%s'", directory, owner->pw_name);
        }
    } else if (errno != EEXIST) {
        rc = err_errno(err, errno, "cannot make '%s'", directory);
    }
    mem_free(directory);
    return rc;
}

/* One node a path: the lock is held while the node lives, so that of two that start at once one
 * does not take away the other's fresh socket. */
static int take_lock(const char *path, const struct passwd *owner, int *out, struct err *err)
{
    char *name = x_sprintf("%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = 0;

    if (fd < 0) {
        rc = err_errno(err, errno, "cannot make '%s'", name);
    } else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = err_set(err, ERR_IN_USE,
                     "'%s' belongs to a node that runs: give another path with --rpc-socket", path);
    } else if (owner != NULL && fchown(fd, owner->pw_uid, owner->pw_gid) < 0) {
        rc = err_errno(err, errno, "cannot give '%s' to '%s'", name, owner->pw_name);
    }
    mem_free(name);
    if (rc < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    *out = fd;
    return 0;
}

/* Takes away a socket on which nobody answers. */
static int clear_stale(const char *path, const struct sockaddr_un *at, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look at '%s'", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(err, ERR_EXISTS, "'%s' is there and is no socket: give another path", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(err, errno, "cannot make a socket");
    }
    bool answers = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 ||
                   (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    if (answers) {
        return err_set(err, ERR_IN_USE,
                       "another program answers on '%s': give another path with --rpc-socket",
                       path);
    }
    return unlink(path) == 0 || errno == ENOENT ? 0
                                                : err_errno(err, errno, "cannot remove '%s'", path);
}

/* The mode is there from the first moment on: between bind and chmod everybody could come in. */
static int bind_and_listen(const char *path, const struct sockaddr_un *at,
                           const struct passwd *owner, int *out, struct err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = 0;

    if (fd < 0) {
        return err_errno(err, errno, "cannot make a socket");
    }
    mode_t mask = umask(0117);
    int failed = bind(fd, (const struct sockaddr *)at, sizeof *at);
    int errnum = errno;
    umask(mask);
    if (failed < 0) {
        rc = err_errno(err, errnum, "cannot make '%s'", path);
    } else if (owner != NULL && lchown(path, owner->pw_uid, owner->pw_gid) < 0) {
        rc = err_errno(err, errno, "cannot give '%s' to '%s'", path, owner->pw_name);
    } else if (listen(fd, BACKLOG) < 0) {
        rc = err_errno(err, errno, "cannot listen on '%s'", path);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int rpc_unix_bind(const char *path, bool make_directory, const char *owner, struct err *err)
{
    const struct passwd *entry = owner == NULL || geteuid() != 0 ? NULL : getpwnam(owner);
    struct sockaddr_un at;
    int lock = -1;
    int fd = -1;

    rpc_unix_release();
    int rc = fill_address(path, &at, err);
    if (rc == 0 && make_directory) {
        rc = make_parent(path, entry, err);
    }
    if (rc == 0) {
        rc = take_lock(path, entry, &lock, err);
    }
    if (rc == 0) {
        rc = clear_stale(path, &at, err);
    }
    if (rc == 0) {
        rc = bind_and_listen(path, &at, entry, &fd, err);
    }
    if (rc < 0) {
        if (lock >= 0) {
            close(lock);
        }
        return rc;
    }
    bound.fd = fd;
    bound.lock = lock;
    return 0;
}

bool rpc_unix_take(int *fd, int *lock)
{
    if (bound.fd < 0) {
        return false;
    }
    *fd = bound.fd;
    *lock = bound.lock;
    bound.fd = bound.lock = -1;
    return true;
}

void rpc_unix_release(void)
{
    if (bound.fd >= 0) {
        close(bound.fd);
        close(bound.lock);
    }
    bound.fd = bound.lock = -1;
}

void rpc_unix_remove(const char *path, int lock)
{
    char *name = x_sprintf("%s.lock", path);

    /* Where the directory is root's and we are not any more the file stays; the next node finds
     * that nobody answers. */
    (void)unlink(path);
    (void)unlink(name);
    mem_free(name);
    close(lock);
}

/* ---- who connects ---- */

static bool is_of_group(int fd, const struct ucred *peer)
{
    gid_t groups[GROUPS_MAX];
    socklen_t n = sizeof groups;
    gid_t ours = getegid();

    if (peer->gid == ours) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0) {
        return false;
    }
    for (size_t i = 0; i < n / sizeof groups[0]; i++) {
        if (groups[i] == ours) {
            return true;
        }
    }
    return false;
}

bool rpc_unix_peer(int fd, char *who, size_t size)
{
    struct ucred peer = {0};
    socklen_t n = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) {
        snprintf(who, size, "nobody");
        return false;
    }
    snprintf(who, size, "uid %u", (unsigned)peer.uid);
    return peer.uid == 0 || peer.uid == geteuid() || is_of_group(fd, &peer);
}
