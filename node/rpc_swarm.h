/* SPDX-License-Identifier: Apache-2.0
 *
 * swarm.members, swarm.join, swarm.leave, swarm.forget, swarm.keys.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_swarm_handlers;
