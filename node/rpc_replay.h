/* SPDX-License-Identifier: Apache-2.0
 *
 * RPC methods replay.*.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_replay_handlers;
