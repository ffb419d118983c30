/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/iface_facts_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static bool read_line(const char *interface, const char *what, char *out, size_t n)
{
    char path[256];

    if (strchr(interface, '/') != NULL ||
        (size_t)snprintf(path, sizeof path, "/sys/class/net/%s/%s", interface, what) >=
            sizeof path) {
        return false;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    /* some of these give EINVAL where they make no sense, so the read itself may fail */
    bool ok = fgets(out, (int)n, file) != NULL;
    fclose(file);
    return ok;
}

void iface_facts_fill(struct iface *iface)
{
    static const uint8_t none[6];
    struct utsname host;
    char line[64];
    unsigned mac[6];

    if (uname(&host) == 0) {
        snprintf(iface->os, sizeof iface->os, "%.100s %.100s", host.sysname, host.release);
    }
    if (read_line(iface->name, "address", line, sizeof line) &&
        sscanf(line, "%2x:%2x:%2x:%2x:%2x:%2x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) ==
            6) {
        for (size_t i = 0; i < sizeof iface->mac; i++) {
            iface->mac[i] = (uint8_t)mac[i];
        }
        iface->has_mac = memcmp(iface->mac, none, sizeof none) != 0;
    }
    if (read_line(iface->name, "speed", line, sizeof line)) {
        long mbit = strtol(line, NULL, 10);
        iface->speed_bps = mbit > 0 ? (uint64_t)mbit * 1000000u : 0;
    }
}
