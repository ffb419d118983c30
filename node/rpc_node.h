/* SPDX-License-Identifier: Apache-2.0
 *
 * node.info, node.interfaces, node.doctor.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_node_handlers;
