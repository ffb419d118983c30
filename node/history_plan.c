/* SPDX-License-Identifier: Apache-2.0 */
#include "node/history_plan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

static bool has_interface(const struct store_session *session, const struct history_wish *wish)
{
    for (uint32_t i = 0; i < session->n_ifaces; i++) {
        if (strcmp(session->ifaces[i].name, wish->interface) == 0 &&
            session->ifaces[i].link_type == wish->link_type) {
            return true;
        }
    }
    return false;
}

/* The stretch of the wish that the session covers; false = none. A running one reaches on. What an
 * uplink had waiting is older than the recording that took it. */
static bool covers(const struct store_session *session, const struct history_wish *wish,
                   struct history_piece *out)
{
    uint64_t end =
        session->state == STORE_RUNNING || session->ended_ns == 0 ? UINT64_MAX : session->ended_ns;
    uint64_t begin =
        session->first_ns < session->started_ns ? session->first_ns : session->started_ns;

    if (end != UINT64_MAX && session->packets > 0 && session->last_ns > end) {
        end = session->last_ns;
    }
    out->from_ns = begin > wish->from_ns ? begin : wish->from_ns;
    out->to_ns = end < wish->to_ns ? end : wish->to_ns;
    return session->packets > 0 && out->from_ns <= out->to_ns && has_interface(session, wish);
}

struct plan {
    struct history_piece *pieces;
    size_t n;
};

static int by_time(const void *a, const void *b)
{
    const struct history_piece *x = a;
    const struct history_piece *y = b;

    return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* Adds what of the piece no other covers yet. The pieces are in order and do not overlap. */
static void add(struct plan *plan, struct history_piece piece, size_t max)
{
    struct history_piece rest = piece;
    size_t n = plan->n;

    for (size_t i = 0; i < n && rest.from_ns <= piece.to_ns; i++) {
        const struct history_piece taken = plan->pieces[i];

        if (taken.to_ns < rest.from_ns) {
            continue;
        }
        if (taken.from_ns > piece.to_ns) {
            break;
        }
        if (taken.from_ns > rest.from_ns && plan->n < max) {
            rest.to_ns = taken.from_ns - 1;
            plan->pieces[plan->n++] = rest;
        }
        if (taken.to_ns == UINT64_MAX) {
            rest.from_ns = UINT64_MAX;
            rest.to_ns = 0;
            break;
        }
        rest.from_ns = taken.to_ns + 1;
    }
    rest.to_ns = piece.to_ns;
    if (rest.from_ns <= rest.to_ns && rest.from_ns != UINT64_MAX && plan->n < max) {
        plan->pieces[plan->n++] = rest;
    }
    qsort(plan->pieces, plan->n, sizeof *plan->pieces, by_time);
}

size_t history_plan(const struct store_session *sessions, size_t n, const struct history_wish *wish,
                    struct history_piece out[HISTORY_PIECES_MAX])
{
    struct plan plan = {.pieces = out};
    struct history_piece piece;

    for (int filtered = 0; filtered < 2; filtered++) {
        for (size_t i = n; i-- > 0;) { /* the newest first: the oldest are left out */
            if ((sessions[i].filter[0] != '\0') == (filtered != 0) &&
                covers(&sessions[i], wish, &piece)) {
                piece.session = i;
                add(&plan, piece, HISTORY_PIECES_MAX);
            }
        }
    }
    return plan.n;
}
