/* SPDX-License-Identifier: Apache-2.0
 *
 * events.subscribe.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_events_handlers;
