/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what over HTTP: API keys out of NAME.db.d/api-keys (looked at again when the file's
 * time changed, at most once a second), one-use tickets for browsers, and the names in Host and
 * Origin that are this node, so that a web page elsewhere cannot reach it through the user's
 * browser (DNS rebinding). While no key exists loopback may view and capture; once one exists
 * everybody needs one, but for what asks no right at all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/wire/api_key.h"
#include "shared/wire/http.h"

#define AUTH_TICKET_MAX    48 /* text of a ticket with its terminator */
#define AUTH_TICKET_LIFE_S 30

/* Sets node->auth. ERR_KEY when the key file is unfit: a node with unreadable keys does not start.
 */
int auth_open(struct node *node, struct err *err);
void auth_close(struct node *node);

/* Who asks. key_id is "" for nobody in particular. */
struct auth_grant {
    char key_id[API_KEY_ID_CHARS + 1];
    unsigned rights;
    uint64_t expires_ns; /* wall time, API_KEY_NEVER */
};

/* What a request came with. */
struct auth_request {
    const char *authorization; /* the header, or NULL */
    const char *ticket;        /* ?ticket= of a WebSocket route, or NULL */
    bool is_loopback;          /* both ends */
};

/* 0 with the grant, which may hold no rights at all (no key given where one is needed); or ERR_KEY:
 * what was given is wrong, expired or used. */
int auth_check(struct auth *auth, const struct auth_request *request, uint64_t now_ns,
               struct auth_grant *out, struct err *err);

/* 0 when Host (and Origin, where there is one) name this node; ERR_PERMISSION. `local` is the
 * address of our end, as text without the port. tls: how the request came. */
int auth_check_origin(const struct auth *auth, const struct http_head *head, const char *local,
                      bool tls, struct err *err);

/* True while a key of that id is in force: neither revoked nor expired. */
bool auth_key_is_good(struct auth *auth, const char *key_id, uint64_t now_ns);
/* The key of that id as the file has it, also when it has expired. False: there is none. */
bool auth_find_key(struct auth *auth, const char *key_id, struct api_key *out);
/* Another number whenever the list of keys was read anew; looks at the file as auth_check does. */
uint64_t auth_generation(struct auth *auth, uint64_t now_ns);
/* The file was changed by us: who asks next gets what stands in it now. */
void auth_look_now(struct auth *auth);
bool auth_has_keys(struct auth *auth, uint64_t now_ns);

/* A ticket that stands for the grant once, for AUTH_TICKET_LIFE_S. False: too many are open. */
bool auth_ticket_make(struct auth *auth, const struct auth_grant *grant, uint64_t now_ns,
                      char out[AUTH_TICKET_MAX]);

/* Families of this module for /metrics. */
void auth_metrics(struct node *node, struct buf *out);
