/* SPDX-License-Identifier: Apache-2.0 */
#include "node/notify_posix.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un to;
static socklen_t to_length;
static int fd = -1;
static uint64_t watchdog_ms;

static uint64_t read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid())) {
        return 0;
    }
    unsigned long long value = strtoull(usec, NULL, 10);
    return value / 2000;
}

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path == NULL ? 0 : strlen(path);

    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    to.sun_family = AF_UNIX;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') {
        to.sun_path[0] = '\0';
    }
    to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    watchdog_ms = read_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(void)
{
    if (fd >= 0) {
        close(fd);
        fd = -1;
    }
}

void notify_send(const char *words)
{
    if (fd >= 0) {
        (void)sendto(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&to, to_length);
    }
}

uint64_t notify_watchdog_ms(void)
{
    return watchdog_ms;
}
