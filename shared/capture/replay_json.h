/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replay did so far, as JSON: the object of `replay --json`. Pure.
 */
#pragma once

#include "shared/capture/replay_posix.h"

struct json_t;

/* {"DONE", "bytes", "duration_ns", "speed", "not_sent": by reason, "gap_error", "lateness",
 * "earlier", "clock_steps", "schedule_moved_ns"}; done: what the packets are called that were sent
 * or shown. New reference. */
struct json_t *replay_report_json(const struct replay_report *report, double speed,
                                  const char *done);
/* {"name", "waits", "dropped"}: an interface that was sent on, how often it was full and waited
 * for, and what it dropped itself. New reference. */
struct json_t *replay_interface_json(const char *name, uint64_t waits, uint64_t dropped);
/* From the first packet to the last. */
uint64_t replay_elapsed_ns(const struct replay_report *report);
/* Packets that were not sent, whatever the reason. */
uint64_t replay_count_not_sent(const struct replay_report *report);
