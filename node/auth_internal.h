/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of auth share: auth_posix (keys), auth_origin (Host and Origin), auth_metrics.
 */
#pragma once

#include "node/auth.h"
#include "node/tickets.h"
#include "shared/base/log.h"

struct auth_stamp {
    uint64_t inode;
    uint64_t size;
    uint64_t mtime_ns;
};

struct auth_counters {
    uint64_t refused; /* a wrong, expired or used key or ticket */
    uint64_t missing; /* none where one is needed */
    uint64_t tickets;
    uint64_t tickets_refused;
};

struct auth {
    struct node *node;
    char *path;
    struct api_keys keys;
    struct auth_stamp stamp; /* of the file that was read */
    uint64_t looked_ns;      /* monotonic */
    uint64_t look_every_ns;  /* a second, but in tests */
    uint64_t generation;
    struct tickets *tickets;
    struct auth_counters counters;
    struct log_limit read_limit;
};
