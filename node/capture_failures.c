/* SPDX-License-Identifier: Apache-2.0 */
#include "node/capture_failures.h"

#include <stdio.h>
#include <string.h>

static void take_out(struct capture_failures *failures, size_t at)
{
    failures->n--;
    memmove(&failures->items[at], &failures->items[at + 1],
            (failures->n - at) * sizeof failures->items[0]);
}

void capture_failures_mended(struct capture_failures *failures, const char *interface)
{
    for (size_t i = failures->n; i > 0; i--) {
        if (strcmp(failures->items[i - 1].interface, interface) == 0) {
            take_out(failures, i - 1);
        }
    }
}

void capture_failures_note(struct capture_failures *failures, const char *interface,
                           const char *why, uint64_t now_ms)
{
    capture_failures_mended(failures, interface);
    if (failures->n == CAPTURE_FAILURES_MAX) {
        take_out(failures, 0);
    }
    struct capture_failure *one = &failures->items[failures->n++];
    snprintf(one->interface, sizeof one->interface, "%s", interface);
    snprintf(one->why, sizeof one->why, "%s", why);
    one->at_ms = now_ms;
}

const struct capture_failure *capture_failures_newest(const struct capture_failures *failures,
                                                      uint64_t now_ms, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < failures->n; i++) {
        *n += now_ms - failures->items[i].at_ms < CAPTURE_FAILURE_MS;
    }
    return *n == 0 ? NULL : &failures->items[failures->n - 1];
}
