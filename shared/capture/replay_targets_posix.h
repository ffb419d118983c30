/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a replay sends: one interface for all packets, or each packet out where it was recorded.
 * Each interface is opened once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/capture/inject_posix.h"
#include "shared/packet/iface.h"

struct replay_target {
    struct inject *inject; /* owned */
    char recorded[IFACE_NAME_MAX];
};

struct replay_targets {
    const char *only; /* borrowed; NULL: each packet goes out where it was recorded */
    bool none;        /* nothing is sent */
    struct replay_target *items;
    size_t n;
};

/* The interface for packets recorded on `iface`, opened when it is the first of them. NULL with
 * `none`. ERR_USAGE when the recording names no interface; else what inject_open says. */
int replay_target_for(struct replay_targets *targets, const struct iface *iface,
                      struct inject **out, struct err *err);
/* The same for each of n, so that a name that does not exist is no surprise in the middle. */
int replay_targets_open(struct replay_targets *targets, const struct iface *ifaces, uint32_t n,
                        struct err *err);
void replay_targets_deinit(struct replay_targets *targets);
