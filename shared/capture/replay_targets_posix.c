/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/replay_targets_posix.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

static int open_target(struct replay_targets *targets, const char *name, const char *recorded,
                       struct inject **out, struct err *err)
{
    struct inject *inject = NULL;
    int r = inject_open(name, &inject, err);

    if (r < 0) {
        return targets->only != NULL
                   ? r
                   : err_wrap(err, "the recorded interface (another one can be chosen)");
    }
    targets->items = x_realloc(targets->items, (targets->n + 1) * sizeof *targets->items);
    struct replay_target *target = &targets->items[targets->n++];
    *target = (struct replay_target){.inject = inject};
    snprintf(target->recorded, sizeof target->recorded, "%s", recorded);
    *out = inject;
    return 0;
}

int replay_target_for(struct replay_targets *targets, const struct iface *iface,
                      struct inject **out, struct err *err)
{
    const char *recorded = targets->only != NULL ? "" : iface->name;

    *out = NULL;
    if (targets->none) {
        return 0;
    }
    for (size_t i = 0; i < targets->n; i++) {
        if (strcmp(targets->items[i].recorded, recorded) == 0) {
            *out = targets->items[i].inject;
            return 0;
        }
    }
    if (targets->only == NULL && recorded[0] == '\0') {
        return err_set(err, ERR_USAGE,
                       "the recording does not say which interface it is from: name one");
    }
    return open_target(targets, targets->only != NULL ? targets->only : recorded, recorded, out,
                       err);
}

int replay_targets_open(struct replay_targets *targets, const struct iface *ifaces, uint32_t n,
                        struct err *err)
{
    struct inject *inject;
    int r = 0;

    for (uint32_t i = 0; i < n && r == 0; i++) {
        r = replay_target_for(targets, &ifaces[i], &inject, err);
    }
    return r;
}

void replay_targets_deinit(struct replay_targets *targets)
{
    for (size_t i = 0; i < targets->n; i++) {
        inject_close(targets->items[i].inject);
    }
    mem_free(targets->items);
    *targets = (struct replay_targets){0};
}
