/* SPDX-License-Identifier: Apache-2.0
 *
 * Who changed what: a table of the catalogue, the newest STORE_AUDIT_KEPT entries. It is of the
 * store and not of a session; a catalogue that is rebuilt from its segments begins with none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/store/store.h"

#define STORE_AUDIT_KEPT 10000
#define STORE_AUDIT_TEXT 256

struct store_audit_entry {
    uint64_t time_ns;
    char who[STORE_AUDIT_TEXT];     /* "key pr_abcdefgh", "uid 0" */
    char peer[STORE_AUDIT_TEXT];    /* "10.0.0.1:40000", "unix" */
    char method[STORE_AUDIT_TEXT];  /* "capture.start" */
    char target[STORE_AUDIT_TEXT];  /* an id or a name; "" = none */
    char outcome[STORE_AUDIT_TEXT]; /* "ok", or the code of an error */
};

/* All or none of them, durable; a handle that writes. What is older than the newest
 * STORE_AUDIT_KEPT goes. */
int store_audit_add(struct store *store, const struct store_audit_entry *entries, size_t n,
                    struct err *err);
/* The newest `limit`, oldest first; *out owned by the caller (mem_free). */
int store_audit_list(struct store *store, size_t limit, struct store_audit_entry **out, size_t *n,
                     struct err *err);
