/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes of /api/v1/sessions.
 */
#pragma once

#include "node/route.h"

extern const struct route_group api_sessions_routes;
