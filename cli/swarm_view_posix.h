/* SPDX-License-Identifier: Apache-2.0
 *
 * `swarm:all` for view and packetrecorder-extcap: which interfaces of which nodes that is, how
 * their clocks stand (asked again while it runs, by a thread), and the consumer that merges them.
 */
#pragma once

#include "cli/live_view_posix.h"
#include "cli/swarm_merge_posix.h"

#define SWARM_ALL "swarm:all"
/* A packet waits at most so long for earlier ones of other nodes. */
#define SWARM_HOLD_NS UINT64_C(200000000)
/* While the view runs its tick is to come this often. */
#define SWARM_TICK_MS 20

struct swarm_view;

/* Asks the node for the interfaces of all that are up and not the loopback: ERR_LIMIT when they are
 * more than LIVE_VIEW_LINKS_MAX, ERR_NOT_FOUND for none. spec: endpoint, key and ca_file count.
 * application: of the section. The sink is moved, also when it fails. */
int swarm_view_open(const struct live_view_spec *spec, const char *application,
                    struct swarm_sink *sink, struct swarm_view **out, struct err *err);
/* Puts interfaces, consumer and its statistics into the spec; borrowed. */
void swarm_view_use(const struct swarm_view *swarm, struct live_view_spec *spec);
void swarm_view_close(struct swarm_view *swarm); /* takes NULL; after the view has finished */
