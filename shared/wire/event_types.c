/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/event_types.h"

#include <string.h>

#include "shared/base/mem.h"

const struct event_type event_types[] = {
    {"capture.started", "A capture has begun: `session`, `interfaces`."},
    {"capture.ended",
     "A capture has ended: `reason` is stopped, limit, failed or aborted; `packets`, `loss`."},
    {"viewer.joined", "Somebody follows an interface live."},
    {"viewer.left", "He does no longer."},
    {"viewer.lost", "He was too slow for some packets."},
    {"interface.down", "An interface that is followed fails."},
    {"interface.up", "It is there again."},
    {"uplink.up", "An uplink has connected."},
    {"uplink.down", "An uplink has gone."},
    {"uplink.unrecorded", "What an uplink sends is not recorded, and why."},
    {"uplink.cut_off", "An uplink was cut off, and why."},
    {"inject.refused", "Somebody wanted to transmit and may not."},
    {"replay.started", "A replay has begun."},
    {"replay.ended", "A replay has ended."},
    {"session.deleted", "A session was deleted."},
    {"store.full", "A capture stores nothing: disk or quota is full."},
    {"store.ok", "It stores again."},
    {"member.joined", "A member is there: `member`, `id`, `address`."},
    {"member.suspect", "A member has stopped answering."},
    {"member.alive", "A suspect answers again."},
    {"member.dead", "A member is dead."},
    {"member.left", "A member has left."},
    {"member.banned", "A member was banned."},
    {"member.unbanned", "A member is no longer banned."},
    {"member.forgotten", "A member was taken off the list."},
    {"member.clock", "A member's clock is a day ahead of this node's, or this node's behind."},
    {"swarm.isolated", "No other member answers."},
    {"swarm.connected", "One answers again."},
    {"swarm.clone", "Another process has this node's key: its state directory was copied."},
    {"swarm.foreign_key", "Somebody came with a cluster key that this node does not have."},
    {"swarm.key_refused", "A node does not know this node's cluster key."},
    {"swarm.lost", "Changes of members came too fast to tell them all: look at the members."},
    {"node.stopping", "The node ends."},
    {"lost",
     "Events are gone that the node keeps no longer: `count`; whatever types are asked for."},
};
const size_t n_event_types = ARRAY_LEN(event_types);

bool event_type_is_known(const char *name)
{
    for (size_t i = 0; i < n_event_types; i++) {
        if (strcmp(event_types[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}
