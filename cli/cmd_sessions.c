/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/session_table.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/session_json.h"
#include "shared/store/store.h"

struct sessions_args {
    struct store_args store;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct sessions_args, store),
};

static json_t *sessions_json(const struct store *store, const struct store_session *sessions,
                             size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, session_json(&sessions[i], store_is_encrypted(store)));
    }
    return array;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct sessions_args *args = args_;
    struct store_session *sessions = NULL;
    struct store *store = NULL;
    size_t n = 0;
    int r = database_open(&args->store, STORE_READ, &store, &ctx->err);

    r = r < 0 ? r : store_sessions(store, &sessions, &n, &ctx->err);
    json_t *array = r < 0 ? NULL : sessions_json(store, sessions, n);
    if (r == 0 && ctx->global.json) {
        r = output_json(stdout, json_incref(array), &ctx->err);
    } else if (r == 0) {
        session_table_print(array, false, clock_wall_ns(), stdout);
        if (n == 0 && !ctx->global.quiet) {
            fprintf(stderr, "the store '%s' holds no session\n", args->store.database);
        }
    }
    json_decref(array);
    store_sessions_free(sessions, n);
    store_close(store);
    return r;
}

const struct command cmd_sessions = {
    .name = "sessions",
    .summary = "list the sessions of a store",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct sessions_args),
    .description =
        (const char *const[]){
            "Lists the sessions, oldest first: id, name, state, start, duration, packets and their "
            "captured bytes, bytes on disk, packets lost on the way into the store, interfaces. "
            "BYTES and PACKETS count what is stored now.",
            "States: running; complete; recovered, after a crash; damaged; disk_full, when it "
            "ended because there was no room.",
            "LOST is n/a where the platform does not count it, and >=N where it counts a part.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"sessions -d packets.db", "a table"},
            {"sessions --json | jq -r '.[-1].id'", "the id of the newest"},
            {NULL, NULL},
        },
    .run = run,
};
