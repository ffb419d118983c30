/* SPDX-License-Identifier: Apache-2.0
 *
 * RPC methods live.open, live.read and live.close: an interface followed by asking again and again.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_live_handlers;
