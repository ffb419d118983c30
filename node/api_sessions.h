/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes of /api/v1/sessions, and the answer that others give too.
 */
#pragma once

#include "node/route.h"

/* Answers with the session that the path's {id} names, or 404. */
void api_session_reply(struct exchange *ex, struct node *node);

extern const struct route_group api_sessions_routes;
