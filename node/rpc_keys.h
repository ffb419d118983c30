/* SPDX-License-Identifier: Apache-2.0
 *
 * keys.add, keys.list, keys.revoke.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_keys_handlers;
