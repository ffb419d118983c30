/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a node of the swarm is, as it is typed for --join and --advertise-addr: "10.0.0.5",
 * "10.0.0.5:7946", "node.example:7000", "fd00::5", "[fd00::5]:7946". Pure: names are not looked up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"

#define SWARM_PORT          7946 /* where none is given */
#define SWARM_HOST_MAX      256
#define SWARM_ADVERTISE_MAX 4

struct swarm_addr {
    char host[SWARM_HOST_MAX]; /* without brackets */
    uint16_t port;             /* 0: none was given */
    bool is_numeric;           /* an address, no name */
};

/* ERR_USAGE with the way out. */
int swarm_addr_parse(const char *text, struct swarm_addr *out, struct err *err);
