/* SPDX-License-Identifier: Apache-2.0
 *
 * One-use tickets: a browser cannot send a header with a WebSocket, so it fetches a ticket with its
 * key and puts that into the URL, where it is worthless once it was used or half a minute old. The
 * table is bounded; a full one refuses. No clock: times are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/auth.h"

#define TICKETS_MAX 1024 /* open at once */

struct tickets;

struct tickets *tickets_new(void);
void tickets_free(struct tickets *tickets); /* takes NULL */
/* Times are wall ones. False: TICKETS_MAX are open. */
bool tickets_make(struct tickets *tickets, const struct auth_grant *grant, uint64_t now_ns,
                  char out[AUTH_TICKET_MAX]);
/* Uses it up. False: unknown, used or too old. */
bool tickets_use(struct tickets *tickets, const char *text, uint64_t now_ns,
                 struct auth_grant *out);
