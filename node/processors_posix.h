/* SPDX-License-Identifier: Apache-2.0
 *
 * How busy this host's processors are: what of the time since the last look they were not idle.
 * The load average would also count who waits for a disk, and the minute before the node began.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct processors {
    double up_s, idle_s; /* of the last look; idle of all processors together */
    bool has_looked;
    long n; /* of the host; 0: not asked yet */
};

/* Percent, 0 to 100. False: this was the first look, or the host does not say. */
bool processors_look(struct processors *processors, uint8_t *percent);
/* The same of the text of /proc/uptime (proc_uptime(5)); n is set. */
bool processors_look_at(struct processors *processors, const char *uptime, uint8_t *percent);
