/* SPDX-License-Identifier: Apache-2.0
 *
 * Route of /api/v1/members.
 */
#pragma once

#include "node/route.h"

extern const struct route_group api_members_routes;
