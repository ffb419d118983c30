/* SPDX-License-Identifier: Apache-2.0
 *
 * Route of /api/v1/sessions/{id}/packets.
 */
#pragma once

#include "node/route.h"

extern const struct route_group api_packets_routes;
