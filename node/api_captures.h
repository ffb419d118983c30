/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes of /api/v1/captures.
 */
#pragma once

#include "node/route.h"

extern const struct route_group api_captures_routes;
