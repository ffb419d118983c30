/* SPDX-License-Identifier: Apache-2.0
 *
 * Wireshark's toolbar while packetrecorder-extcap captures: two pipes that Wireshark made. Nothing
 * here ever waits: a toolbar that does not read loses messages, and is told how many.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct extcap_toolbar;

/* NULL for a path that was not given. Opens what can be opened now; the rest with each update. */
struct extcap_toolbar *extcap_toolbar_new(const char *control_in, const char *control_out);
void extcap_toolbar_free(struct extcap_toolbar *toolbar); /* takes NULL */

/* A line for the log. Any thread. */
void extcap_toolbar_log(struct extcap_toolbar *toolbar, const char *text);

/* The counters, shown when they have changed; reads what came from Wireshark. */
void extcap_toolbar_update(struct extcap_toolbar *toolbar, uint64_t received, uint64_t lost);
