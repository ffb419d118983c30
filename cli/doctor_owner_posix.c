/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_owner_posix.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/daemon_exec_posix.h"
#include "shared/base/mem.h"

#define TCP_LISTEN 0x0a
#define INODES_MAX 16

/* The inodes of the sockets that listen on the port, out of /proc/net/tcp or tcp6. */
static size_t listening_inodes(const char *path, uint16_t port, unsigned long *out, size_t n)
{
    FILE *file = fopen(path, "re");
    char line[512];

    while (file != NULL && n < INODES_MAX && fgets(line, sizeof line, file) != NULL) {
        unsigned local_port;
        unsigned state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %lu",
                   &local_port, &state, &inode) == 3 &&
            local_port == port && state == TCP_LISTEN) {
            out[n++] = inode;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return n;
}

static bool has_socket(const char *pid, const unsigned long *inodes, size_t n)
{
    char path[64];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL && !found; entry = readdir(dir)) {
        char link[64];
        unsigned long inode;
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        link[length > 0 ? length : 0] = '\0';
        if (sscanf(link, "socket:[%lu]", &inode) == 1) {
            for (size_t i = 0; i < n; i++) {
                found = found || inodes[i] == inode;
            }
        }
    }
    closedir(dir);
    return found;
}

static void read_name(const char *pid, char *out, size_t n)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file != NULL) {
        if (fgets(out, (int)n, file) != NULL) {
            out[strcspn(out, "\n")] = '\0';
        }
        fclose(file);
    }
}

bool doctor_port_owner(uint16_t port, char *out, size_t n)
{
    unsigned long inodes[INODES_MAX];
    char name[64] = "";

    out[0] = '\0';
    size_t n_inodes = listening_inodes("/proc/net/tcp", port, inodes, 0);
    n_inodes = listening_inodes("/proc/net/tcp6", port, inodes, n_inodes);
    DIR *dir = n_inodes == 0 ? NULL : opendir("/proc");
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            has_socket(entry->d_name, inodes, n_inodes)) {
            read_name(entry->d_name, name, sizeof name);
            snprintf(out, n, "%s (pid %.20s)", name, entry->d_name);
            break;
        }
    }
    closedir(dir);
    /* The kernel keeps 15 bytes of a name, and packetrecorderd has as many. */
    return strcmp(name, "packetrecorderd") == 0;
}

/* The first that can be run; out is "" when there is none. */
static bool take(const char *path, char *out, size_t n)
{
    if (path[0] == '/' && access(path, X_OK) == 0) {
        snprintf(out, n, "%s", path);
        return true;
    }
    return false;
}

static bool find_in_path(const char *name, char *out, size_t n)
{
    const char *at = getenv("PATH");

    at = at != NULL ? at : "/usr/local/bin:/usr/bin:/bin:/usr/sbin";
    while (*at != '\0') {
        char path[PATH_MAX];
        size_t length = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)length, at, name);
        if (take(path, out, n)) {
            return true;
        }
        at += length + (at[length] == ':' ? 1 : 0);
    }
    return false;
}

static void find_extcap(struct doctor_host *host)
{
    static const char *const homes[] = {".local/lib/wireshark/extcap", ".config/wireshark/extcap"};
    static const char *const system_wide[] = {"/usr/lib/x86_64-linux-gnu/wireshark/extcap",
                                              "/usr/lib/aarch64-linux-gnu/wireshark/extcap",
                                              "/usr/lib/wireshark/extcap",
                                              "/usr/libexec/wireshark/extcap",
                                              "/usr/lib64/wireshark/extcap",
                                              "/usr/local/lib/wireshark/extcap"};
    const char *home = getenv("HOME");
    char path[PATH_MAX];

    for (size_t i = 0; home != NULL && i < sizeof homes / sizeof homes[0]; i++) {
        snprintf(path, sizeof path, "%s/%s/packetrecorder-extcap", home, homes[i]);
        if (take(path, host->extcap, sizeof host->extcap)) {
            return;
        }
    }
    for (size_t i = 0; i < sizeof system_wide / sizeof system_wide[0]; i++) {
        snprintf(path, sizeof path, "%s/packetrecorder-extcap", system_wide[i]);
        if (take(path, host->extcap, sizeof host->extcap)) {
            return;
        }
    }
}

void doctor_find_programs(struct doctor_host *host)
{
    char *daemon = daemon_find();

    if (!take(daemon, host->daemon, sizeof host->daemon)) {
        (void)find_in_path(daemon, host->daemon, sizeof host->daemon);
    }
    mem_free(daemon);
    if (!find_in_path("wireshark", host->wireshark, sizeof host->wireshark)) {
        (void)find_in_path("tshark", host->wireshark, sizeof host->wireshark);
    }
    find_extcap(host);
}
