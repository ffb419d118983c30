/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of keys in memory, read again when the file changed; rights of a request.
 */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "node/auth_internal.h"
#include "node/metrics.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define LOOK_EVERY_NS 1000000000ULL

/* What tells one state of the file from another. */
static struct auth_stamp stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        return (struct auth_stamp){0};
    }
    return (struct auth_stamp){.inode = st.st_ino,
                               .size = (uint64_t)st.st_size,
                               .mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000ULL +
                                           (uint64_t)st.st_mtim.tv_nsec};
}

static bool same_stamp(const struct auth_stamp *a, const struct auth_stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

/* On failure the list stays as it was: keys that were good stay good. */
static int read_keys(struct auth *auth, struct err *err)
{
    struct auth_stamp stamp = stamp_of(auth->path);
    struct api_keys fresh = {0};

    int rc = api_keys_load(auth->path, &fresh, err);
    if (rc < 0) {
        return rc;
    }
    api_keys_free(&auth->keys);
    auth->keys = fresh;
    auth->stamp = stamp;
    auth->generation++;
    return 0;
}

static void look_again(struct auth *auth)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct err err = {0};

    if (now_ns - auth->looked_ns < auth->look_every_ns) {
        return;
    }
    auth->looked_ns = now_ns;
    struct auth_stamp stamp = stamp_of(auth->path);
    if (same_stamp(&stamp, &auth->stamp)) {
        return;
    }
    if (read_keys(auth, &err) < 0) {
        uint64_t left_out;
        if (log_allowed(&auth->read_limit, now_ns / 1000000, 60000, &left_out)) {
            log_error("%s; the keys that were read before stay in force", err.text);
        }
        return;
    }
    log_info("the API keys were read again: %zu", auth->keys.n);
}

int auth_open(struct node *node, struct err *err)
{
    struct auth *auth = x_alloc(sizeof *auth);

    auth->node = node;
    auth->path = api_keys_path(node->options->database);
    auth->looked_ns = clock_monotonic_ns();
    auth->look_every_ns = LOOK_EVERY_NS;
    int rc = read_keys(auth, err);
    if (rc < 0) {
        mem_free(auth->path);
        mem_free(auth);
        return rc;
    }
    auth->tickets = tickets_new();
    node->auth = auth;
    return 0;
}

void auth_close(struct node *node)
{
    struct auth *auth = node->auth;

    if (auth == NULL) {
        return;
    }
    tickets_free(auth->tickets);
    api_keys_free(&auth->keys);
    mem_free(auth->path);
    mem_free(auth);
    node->auth = NULL;
}

/* ---- keys ---- */

uint64_t auth_generation(struct auth *auth, uint64_t now_ns)
{
    (void)now_ns;
    look_again(auth);
    return auth->generation;
}

void auth_look_now(struct auth *auth)
{
    auth->looked_ns = 0;
}

bool auth_has_keys(struct auth *auth, uint64_t now_ns)
{
    (void)now_ns;
    look_again(auth);
    /* An expired key still closes the node: nobody opens it by waiting. */
    return auth->keys.n > 0;
}

bool auth_key_is_good(struct auth *auth, const char *key_id, uint64_t now_ns)
{
    look_again(auth);
    for (size_t i = 0; i < auth->keys.n; i++) {
        if (strcmp(auth->keys.items[i].id, key_id) == 0) {
            return now_ns < auth->keys.items[i].expires_ns;
        }
    }
    return false;
}

bool auth_find_key(struct auth *auth, const char *key_id, struct api_key *out)
{
    look_again(auth);
    for (size_t i = 0; i < auth->keys.n; i++) {
        if (strcmp(auth->keys.items[i].id, key_id) == 0) {
            *out = auth->keys.items[i];
            return true;
        }
    }
    return false;
}

static int check_key(struct auth *auth, const char *authorization, uint64_t now_ns,
                     struct auth_grant *out, struct err *err)
{
    static const char scheme[] = "Bearer ";
    const struct api_key *key;

    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return err_set(err, ERR_KEY, "Authorization must be 'Bearer' and an API key");
    }
    const char *text = authorization + sizeof scheme - 1;
    text += strspn(text, " ");
    int rc = api_keys_check(&auth->keys, text, now_ns, &key, err);
    if (rc < 0) {
        return rc;
    }
    memcpy(out->key_id, key->id, sizeof out->key_id);
    out->rights = api_role_rights(key->role);
    out->expires_ns = key->expires_ns;
    return 0;
}

static int check_ticket(struct auth *auth, const char *ticket, uint64_t now_ns,
                        struct auth_grant *out, struct err *err)
{
    if (!tickets_use(auth->tickets, ticket, now_ns, out)) {
        return err_set(err, ERR_KEY,
                       "the ticket is unknown, used or older than %d s: fetch another with "
                       "POST /api/v1/ticket",
                       AUTH_TICKET_LIFE_S);
    }
    /* The key may have been revoked since; or there was none then, and now there is. */
    if (!auth_key_is_good(auth, out->key_id, now_ns)) {
        return err_set(err, ERR_KEY,
                       out->key_id[0] == '\0'
                           ? "this ticket was made without an API key, and now one is needed"
                           : "the API key of this ticket was revoked or has expired");
    }
    return 0;
}

int auth_check(struct auth *auth, const struct auth_request *request, uint64_t now_ns,
               struct auth_grant *out, struct err *err)
{
    struct auth_grant grant = {.expires_ns = API_KEY_NEVER};
    int rc = 0;

    look_again(auth);
    if (auth->keys.n == 0) {
        grant.rights = request->is_loopback ? RIGHT_VIEW | RIGHT_CAPTURE : 0;
    } else if (request->authorization != NULL) {
        rc = check_key(auth, request->authorization, now_ns, &grant, err);
    } else if (request->ticket != NULL) {
        rc = check_ticket(auth, request->ticket, now_ns, &grant, err);
    }
    if (rc < 0) {
        auth->counters.refused++;
        return rc;
    }
    if (grant.rights == 0) {
        auth->counters.missing++;
    }
    *out = grant;
    return 0;
}

bool auth_ticket_make(struct auth *auth, const struct auth_grant *grant, uint64_t now_ns,
                      char out[AUTH_TICKET_MAX])
{
    if (!tickets_make(auth->tickets, grant, now_ns, out)) {
        auth->counters.tickets_refused++;
        return false;
    }
    auth->counters.tickets++;
    return true;
}
