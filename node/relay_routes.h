/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /connections/{iface}: the WebSocket that packets are looked at and transmitted with.
 */
#pragma once

#include "node/route.h"

extern const struct route_group relay_routes;
