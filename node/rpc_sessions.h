/* SPDX-License-Identifier: Apache-2.0
 *
 * RPC methods session.list, query and delete.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_sessions_handlers;
