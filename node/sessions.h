/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store holds, and getting rid of it: the answers of /api/v1/sessions and of the RPC
 * methods session.*. A session that is recorded here at the moment is shown with its live counters,
 * which the catalogue gets only at its end. Ids are as everywhere: whole, a unique prefix of at
 * least 8 characters, a unique name, or "last". Loop thread; texts are copied.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/ask.h"

/* An array of the newest `limit` (0 = all), oldest first, as `packetrecorder sessions --json`;
 * empty while there is no store. */
void sessions_list(struct node *node, uint64_t limit, const struct asker *asker);
/* One object; ERR_NOT_FOUND, ERR_AMBIGUOUS. */
void sessions_find(struct node *node, const char *id, const struct asker *asker);
/* {"id"} of what was deleted. ERR_IN_USE while it is recorded, with what ends it. */
void sessions_delete(struct node *node, const char *id, const struct asker *asker);

struct sessions_prune {
    uint64_t max_bytes;             /* of all on disk; 0 = no bound */
    uint64_t max_age_ns;            /* since the end of a session; 0 = no bound */
    const struct json_t *keep_tags; /* an array of "K=V" and "K"; NULL: none */
};

/* {"sessions", "packets", "stored_bytes", "disk_bytes"}: what was deleted, and what the store takes
 * then. What is being recorded stays. */
void sessions_prune(struct node *node, const struct sessions_prune *what,
                    const struct asker *asker);

#define SESSIONS_PAGE_DEFAULT 100u
#define SESSIONS_PAGE_MAX     10000u

struct sessions_query {
    const char *id;
    const char *filter; /* NULL = all */
    const char *cursor; /* NULL = from the beginning */
    uint64_t from_ns;
    uint64_t to_ns;
    uint64_t limit; /* packets of the page */
    bool with_data;
};

/* A page of packets, as text: {"packets", "next", "resume", "damaged_packets", "deleted_packets"}.
 * It ends at the limit, after 4 MiB or after two seconds of searching. */
void sessions_query(struct node *node, const struct sessions_query *query,
                    const struct asker *asker);
