/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/sessions and one of them; node/sessions has the answers.
 */
#include "node/api_sessions.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "node/api_answer.h"
#include "node/route.h"
#include "node/sessions.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

/* A list, as text by the worker. */
struct list {
    struct exchange *ex; /* a reference */
    char *text;
};

static void encode_list(void *arg, const struct answer *answer)
{
    struct list *list = arg;

    list->text = json_dumps(answer->json, JSON_COMPACT);
    REQUIRE(list->text != NULL);
}

static void on_list(void *arg, const struct answer *answer, const struct err *err)
{
    struct list *list = arg;

    if (answer == NULL) {
        api_fail(list->ex, err);
    } else if (!exchange_is_gone(list->ex)) {
        exchange_reply(list->ex, 200, "application/json", list->text, strlen(list->text));
    }
    exchange_unref(list->ex);
    free(list->text);
    mem_free(list);
}

static void get_sessions(struct exchange *ex, struct node *node)
{
    struct list *list = x_alloc(sizeof *list);

    list->ex = exchange_ref(ex);
    sessions_list(node, 0, &(struct asker){.encode = encode_list, .done = on_list, .arg = list});
}

static void get_session(struct exchange *ex, struct node *node)
{
    sessions_find(node, exchange_path(ex, "id"),
                  &(struct asker){.done = api_reply_json, .arg = exchange_ref(ex)});
}

static void on_deleted(void *arg, const struct answer *answer, const struct err *err)
{
    struct exchange *ex = arg;

    if (answer == NULL) {
        api_fail(ex, err);
    } else if (!exchange_is_gone(ex)) {
        exchange_reply(ex, 204, NULL, NULL, 0);
    }
    exchange_unref(ex);
}

static void delete_session(struct exchange *ex, struct node *node)
{
    sessions_delete(node, exchange_path(ex, "id"),
                    &(struct asker){.done = on_deleted, .arg = exchange_ref(ex)});
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/sessions",
     .right = RIGHT_VIEW,
     .summary = "What the store holds, oldest first, as `packetrecorder sessions --json`; [] while "
                "there is no store.",
     .answer = "application/json",
     .handle = get_sessions},
    {.method = "GET",
     .path = "/api/v1/sessions/{id}",
     .right = RIGHT_VIEW,
     .summary =
         "One session: by its id, a unique prefix of at least 8 characters, its unique name, "
         "or 'last'.",
     .answer = "application/json",
     .handle = get_session},
    {.method = "DELETE",
     .path = "/api/v1/sessions/{id}",
     .right = RIGHT_ADMIN,
     .summary = "Deletes a session and its packets from the disk; 409 while it is recorded.",
     .handle = delete_session},
};

const struct route_group api_sessions_routes = {routes, ARRAY_LEN(routes)};
