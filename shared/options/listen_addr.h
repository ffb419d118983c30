/* SPDX-License-Identifier: Apache-2.0
 *
 * Where to listen, as it is typed: "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:8080",
 * "localhost:8080", ":8080" (all addresses). Pure: names are not looked up, so that a configuration
 * can be checked elsewhere; one that is not localhost counts as beyond this host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"

#define LISTEN_HOST_MAX 256

struct listen_addr {
    char host[LISTEN_HOST_MAX]; /* without brackets; "" = all addresses */
    uint16_t port;              /* 0 = any free one */
    bool is_loopback;
};

/* ERR_USAGE with the way out. */
int listen_addr_parse(const char *text, struct listen_addr *out, struct err *err);

/* True when both could not be bound at a time: the same port, and the same host or all addresses.
 */
bool listen_addr_clash(const struct listen_addr *a, const struct listen_addr *b);

/* "ADDR:PORT=IFACE[,FILTER]" of --pcapng-listen. Filter NULL: all packets; texts are owned. */
struct pcapng_listen {
    struct listen_addr addr;
    char *interface;
    char *filter;
};

int pcapng_listen_parse(const char *text, struct pcapng_listen *out, struct err *err);
void pcapng_listen_deinit(struct pcapng_listen *listen);
