/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of `replay` share: its options, where packets come
 * from (replay_feed) and what is said at the end (replay_summary).
 */
#pragma once

#include <stdio.h>

#include "cli/option_groups.h"
#include "shared/capture/replay_posix.h"
#include "shared/capture/replay_targets_posix.h"
#include "shared/store/scan.h"

struct replay_args {
    struct store_args store;
    struct option_list sessions;
    const char *read;
    const char *interface;
    const char *filter;
    double speed;
    uint64_t count;
    uint64_t loop; /* 0 = for ever */
    bool display_only;
};

/* What goes to the shower of a packet. */
struct replay_shown {
    const struct scan_packet *packet;
    bool with_interface;
};

/* Feeds all packets of the store or file once, as often as asked, into replay. 0, or an error;
 * ERR_PARTLY with a sentence when something could not be read. */
int replay_feed_store(struct command_context *ctx, const struct replay_args *args,
                      struct replay_targets *targets, struct replay *replay);
int replay_feed_file(struct command_context *ctx, const struct replay_args *args,
                     struct replay_targets *targets, struct replay *replay);

/* Prints what was done on `out`, in words or with `json`. ERR_PARTLY when packets were left out. */
int replay_summary(FILE *out, bool json, const struct replay_args *args,
                   const struct replay_targets *targets, const struct replay_report *report,
                   struct err *err);
