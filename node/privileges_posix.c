/* SPDX-License-Identifier: Apache-2.0 */
#include "node/privileges_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/mem.h"

#define KEPT (1ULL << CAP_NET_RAW | 1ULL << CAP_NET_ADMIN)

struct sets {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

static bool get_sets(struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) < 0) {
        return false;
    }
    sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return true;
}

static bool set_sets(const struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].effective = (uint32_t)(sets->effective >> (32 * i));
        data[i].permitted = (uint32_t)(sets->permitted >> (32 * i));
        data[i].inheritable = (uint32_t)(sets->inheritable >> (32 * i));
    }
    return syscall(SYS_capset, &header, data) == 0;
}

/* Takes CAP_SETPCAP; without it the bounding set stays, and no_new_privs stands alone. */
static void narrow_bounding_set(void)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (cap > 63 || (KEPT & 1ULL << cap) == 0) {
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        }
    }
}

static int become(const char *user, struct err *err)
{
    errno = 0;
    const struct passwd *entry = getpwnam(user);

    if (entry == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "there is no user '%s': 'useradd --system --no-create-home %s' makes one",
                       user, user);
    }
    if (entry->pw_uid == getuid() && entry->pw_uid == geteuid()) {
        return 0;
    }
    if (geteuid() != 0) {
        return err_set(err, ERR_PERMISSION,
                       "only root can become '%s': start as root, or leave --user out", user);
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(user, entry->pw_gid) < 0 ||
        setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0) {
        return err_errno(err, errno, "cannot become '%s'", user);
    }
    return 0;
}

/* What is left is permitted and in effect; nothing is handed on to a child. */
static int keep_only(struct err *err)
{
    struct sets sets;

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!get_sets(&sets)) {
        return err_errno(err, errno, "cannot read the capabilities");
    }
    sets.permitted &= KEPT;
    sets.effective = sets.permitted;
    sets.inheritable = 0;
    if (!set_sets(&sets)) {
        return err_errno(err, errno, "cannot give up capabilities");
    }
    return 0;
}

int privileges_drop(const char *user, struct err *err)
{
    narrow_bounding_set();
    int rc = user == NULL ? 0 : become(user, err);
    if (rc == 0) {
        rc = keep_only(err);
    }
    if (rc < 0) {
        return rc;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return err_errno(err, errno, "cannot set no_new_privs");
    }
#ifndef PR_SANITIZED /* LeakSanitizer looks into the process from outside */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return err_errno(err, errno, "cannot close the memory to others");
    }
#endif
    return 0;
}

bool privileges_can_capture(void)
{
    struct sets sets;

    return get_sets(&sets) && (sets.effective & 1ULL << CAP_NET_RAW) != 0;
}

void privileges_warn_of_store(const char *database)
{
    const char *slash = strrchr(database, '/');
    struct stat st;

    char *directory = slash == NULL       ? x_strdup(".")
                      : slash == database ? x_strdup("/")
                                          : x_sprintf("%.*s", (int)(slash - database), database);
    if (stat(directory, &st) < 0) {
        log_warn("the store's place '%s' is not there: 'mkdir -p %s', or nothing can be recorded",
                 directory, directory);
    } else if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0) {
        const struct passwd *owner = getpwuid(st.st_uid);
        log_warn("no right to write into '%s', so nothing can be recorded: %s'--user %s', who owns "
                 "it, or another --database",
                 directory, geteuid() == 0 ? "" : "start as root with ",
                 owner != NULL ? owner->pw_name : "OWNER");
    }
    mem_free(directory);
}
