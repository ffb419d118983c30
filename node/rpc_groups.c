/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list of who answers RPC calls.
 */
#include "node/rpc.h"

#include "node/rpc_captures.h"
#include "node/rpc_audit.h"
#include "node/rpc_events.h"
#include "node/rpc_jobs.h"
#include "node/rpc_keys.h"
#include "node/rpc_live.h"
#include "node/rpc_node.h"
#include "node/rpc_read.h"
#include "node/rpc_replay.h"
#include "node/rpc_sessions.h"
#include "node/rpc_swarm.h"
#include "shared/base/mem.h"

const struct rpc_handler_group *const rpc_handler_groups[] = {
    &rpc_audit_handlers,  &rpc_captures_handlers, &rpc_events_handlers, &rpc_jobs_handlers,
    &rpc_keys_handlers,   &rpc_live_handlers,     &rpc_node_handlers,   &rpc_read_handlers,
    &rpc_replay_handlers, &rpc_sessions_handlers, &rpc_swarm_handlers,
};
const size_t n_rpc_handler_groups = ARRAY_LEN(rpc_handler_groups);
