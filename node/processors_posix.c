/* SPDX-License-Identifier: Apache-2.0 */
#include "node/processors_posix.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The kernel gives hundredths of a second: less says nothing. */
#define SHORTEST_S 0.1

bool processors_look_at(struct processors *processors, const char *uptime, uint8_t *percent)
{
    double up_s, idle_s;

    if (sscanf(uptime, "%lf %lf", &up_s, &idle_s) != 2) {
        return false;
    }
    struct processors before = *processors;
    double passed_s = up_s - before.up_s;
    if (before.has_looked && passed_s >= 0 && passed_s < SHORTEST_S) {
        return false;
    }
    processors->up_s = up_s;
    processors->idle_s = idle_s;
    processors->has_looked = true;
    if (!before.has_looked || passed_s < 0) {
        return false;
    }
    double busy = 1 - (idle_s - before.idle_s) / (passed_s * (double)before.n);
    busy = busy < 0 ? 0 : busy > 1 ? 1 : busy;
    *percent = (uint8_t)(busy * 100 + 0.5);
    return true;
}

bool processors_look(struct processors *processors, uint8_t *percent)
{
    char text[128];
    int fd = open("/proc/uptime", O_RDONLY | O_CLOEXEC);

    if (processors->n < 1) {
        processors->n = sysconf(_SC_NPROCESSORS_ONLN); /* reads a file: once */
        processors->n = processors->n < 1 ? 1 : processors->n;
    }
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    return processors_look_at(processors, text, percent);
}
