/* SPDX-License-Identifier: Apache-2.0
 *
 * RPC method session.read.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_read_handlers;
