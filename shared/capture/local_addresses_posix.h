/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses of this host, all interfaces together, and word when they change: what a node needs
 * to leave its own traffic out (own_filter).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

/* More are left out and said so by `left_out`; a filter could not hold them. */
#define LOCAL_ADDRESSES_MAX 4096

struct local_addresses {
    char **items; /* owned texts "10.0.0.1", "fe80::1", sorted, each once */
    size_t n;
    size_t left_out;
};

int local_addresses_read(struct local_addresses *out, struct err *err);
void local_addresses_free(struct local_addresses *addresses);
bool local_addresses_equal(const struct local_addresses *a, const struct local_addresses *b);

/* A descriptor, non-blocking, that is readable when an address of this host came or went; what it
 * gives is to be read and thrown away (local_addresses_forget). Owned, close(2). Needs no rights.
 */
int local_addresses_watch(struct err *err);
void local_addresses_forget(int fd);
/* The same for devices of the network and their addresses. */
int local_devices_watch(struct err *err);
