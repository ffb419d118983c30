/* SPDX-License-Identifier: Apache-2.0
 *
 * The routes of the server itself: GET / (is it alive?), POST /api/v1/ticket, GET /openapi.json.
 */
#pragma once

#include "node/route.h"

extern const struct route_group server_routes;
