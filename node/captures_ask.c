/* SPDX-License-Identifier: Apache-2.0 */
#include "node/captures_ask.h"

#include <string.h>

#include <jansson.h>

#include "node/sessions.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

/* A question that waits for the captures. */
struct waiting {
    struct node *node;
    struct asker asker;
    char *id;  /* owned; NULL where none was asked for */
    char *who; /* owned; the same */
};

static struct waiting *wait_for(struct node *node, const char *id, const char *who,
                                const struct asker *asker)
{
    struct waiting *w = x_alloc(sizeof *w);

    w->node = node;
    w->asker = *asker;
    w->id = id == NULL ? NULL : x_strdup(id);
    w->who = who == NULL ? NULL : x_strdup(who);
    return w;
}

static void end(struct waiting *w)
{
    mem_free(w->id);
    mem_free(w->who);
    mem_free(w);
}

/* json is moved; NULL: err says why. */
static void answer(struct waiting *w, json_t *json, const struct err *err)
{
    const struct answer what = {.json = json};

    w->asker.done(w->asker.arg, json == NULL ? NULL : &what, err);
    json_decref(json);
    end(w);
}

static void on_started(void *arg, const char *id, const struct err *err)
{
    struct waiting *w = arg;

    if (id == NULL) {
        answer(w, NULL, err);
        return;
    }
    log_info("capture %s was started by %s", id, w->who);
    answer(w, captures_find(w->node->captures, id, NULL), NULL);
}

void captures_ask_start(struct node *node, const struct capture_request *request, const char *who,
                        const struct asker *asker)
{
    captures_start(node->captures, request, on_started, wait_for(node, NULL, who, asker));
}

static void on_list_refreshed(void *arg)
{
    struct waiting *w = arg;

    answer(w, captures_list(w->node->captures), NULL);
}

void captures_ask_list(struct node *node, const struct asker *asker)
{
    captures_refresh(node->captures, on_list_refreshed, wait_for(node, NULL, NULL, asker));
}

static void on_one_refreshed(void *arg)
{
    struct waiting *w = arg;
    struct err err = {0};
    json_t *one = captures_find(w->node->captures, w->id, &err);

    if (one == NULL && err.code == ERR_NOT_FOUND) {
        sessions_find(w->node, w->id, &w->asker); /* it has ended, or never was */
        end(w);
    } else {
        answer(w, one, &err);
    }
}

void captures_ask_one(struct node *node, const char *id, const struct asker *asker)
{
    captures_refresh(node->captures, on_one_refreshed, wait_for(node, id, NULL, asker));
}

static void on_stopped(void *arg, json_t *session)
{
    answer(arg, session, NULL);
}

void captures_ask_stop(struct node *node, const char *id, const char *who,
                       const struct asker *asker)
{
    struct waiting *w = wait_for(node, id, who, asker);
    struct err err = {0};

    if (captures_stop(node->captures, id, on_stopped, w, &err) == 0) {
        log_info("capture '%s' is stopped by %s", id, who);
        return;
    }
    /* One that reached a limit a moment ago is what the client wants it to be. By its whole id
     * only: a name or "last" may mean another one. */
    if (err.code == ERR_NOT_FOUND && strlen(id) == STORE_ID_TEXT - 1) {
        sessions_find(node, id, asker);
        end(w);
    } else {
        answer(w, NULL, &err);
    }
}
