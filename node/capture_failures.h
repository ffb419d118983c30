/* SPDX-License-Identifier: Apache-2.0
 *
 * The recordings that ended before they were told to, because their interface was deleted, until
 * somebody mends that by recording the interface again, or an hour has passed: what /health says of
 * them. Pure; times are monotonic and come from the caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/packet/iface.h"

#define CAPTURE_FAILURES_MAX 16 /* when there are more the oldest goes */
#define CAPTURE_FAILURE_MS   3600000u

struct capture_failure {
    char interface[IFACE_NAME_MAX];
    char why[256];
    uint64_t at_ms;
};

struct capture_failures {
    struct capture_failure items[CAPTURE_FAILURES_MAX]; /* oldest first, an interface once */
    size_t n;
};

void capture_failures_note(struct capture_failures *failures, const char *interface,
                           const char *why, uint64_t now_ms);
/* The interface is recorded again. */
void capture_failures_mended(struct capture_failures *failures, const char *interface);
/* The newest that is not too old, NULL for none; *n: how many there are. */
const struct capture_failure *capture_failures_newest(const struct capture_failures *failures,
                                                      uint64_t now_ms, size_t *n);
