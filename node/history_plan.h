/* SPDX-License-Identifier: Apache-2.0
 *
 * Which recordings a viewer's history is read from: those of its interface, and where several
 * recorded at the same time only one of them, so that no packet comes twice. One without a filter
 * of its own goes before one with, since it has more. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/store/store.h"

#define HISTORY_PIECES_MAX 256

/* A stretch of time of one recording; both ends included. */
struct history_piece {
    size_t session; /* index into the sessions */
    uint64_t from_ns;
    uint64_t to_ns;
};

struct history_wish {
    const char *interface;
    uint32_t link_type; /* others cannot go into the viewer's stream */
    uint64_t from_ns;
    uint64_t to_ns; /* included */
};

/* In order of time. Returns how many; of more than HISTORY_PIECES_MAX the oldest are left out. */
size_t history_plan(const struct store_session *sessions, size_t n, const struct history_wish *wish,
                    struct history_piece out[HISTORY_PIECES_MAX]);
