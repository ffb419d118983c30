/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node's store holds, and getting rid of it.
 */
#include "cli/manage.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "cli/session_table.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

static int run_sessions(struct command_context *ctx, void *args)
{
    struct manage_rows rows;
    int rc = manage_ask_rows(ctx, "session.list", NULL, &rows);

    (void)args;
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    if (json_array_size(rows.list) == 0 && rows.outcome == 0 && !ctx->global.quiet) {
        fputs(rows.of_nodes ? "the stores of the nodes hold no session\n"
                            : "the store of the node holds no session\n",
              stderr);
    }
    session_table_print(rows.list, rows.of_nodes, clock_wall_ns(), stdout);
    return manage_rows_end(&rows);
}

const struct command cmd_manage_sessions = {
    .name = "sessions",
    .summary = "list the sessions of the node's store",
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Lists what the node has recorded and records, oldest first. The table and the JSON "
            "are those of 'packetrecorder sessions'.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage sessions", "a table"},
            {"manage sessions --json | jq -r '.[-1].id'", "the id of the newest"},
            {NULL, NULL},
        },
    .run = run_sessions,
};

/* ---- delete-session ---- */

static const struct command_word delete_words[] = {
    {.name = "SESSION",
     .help = "Id of the session, a prefix of it, its name, or 'last'; several are deleted one "
             "after the other.",
     .many = true},
};

static void say_deleted(const json_t *row, const char *named)
{
    const char *id = field_text(row, "id");
    const char *node = field_text(row, "node");
    struct buf line = {0};

    output_put_name(&line, id == NULL ? named : id);
    if (node != NULL) {
        buf_put_str(&line, " on ");
        output_put_name(&line, node);
    }
    fprintf(stderr, "deleted %.*s\n", (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

/* One name, on all nodes that are meant. What is gone is appended. */
static int delete_one(struct command_context *ctx, const char *name, json_t *deleted)
{
    struct manage_rows rows;
    int rc = manage_ask_objects(ctx, "session.delete",
                                json_pack("{s:o}", "session_id", to_json_text(name)), &rows);

    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < json_array_size(rows.list); i++) {
        if (!ctx->global.json && !ctx->global.quiet) {
            say_deleted(json_array_get(rows.list, i), name);
        }
    }
    json_array_extend(deleted, rows.list);
    return manage_rows_end(&rows);
}

/* Tells what is gone already when the next one fails. */
static int run_delete(struct command_context *ctx, void *args)
{
    bool of_nodes = manage_nodes_are_named(ctx);
    json_t *deleted = json_array();
    int rc = 0;

    (void)args;
    for (size_t i = 0; i < ctx->n_words && (rc == 0 || of_nodes); i++) {
        int one = delete_one(ctx, ctx->words[i], deleted);
        rc = one < 0 ? one : rc;
    }
    if (rc < 0 && json_array_size(deleted) > 0) {
        ctx->err.code = ERR_PARTLY;
        rc = ERR_PARTLY;
    }
    if (ctx->global.json && (of_nodes || json_array_size(deleted) > 0)) {
        int said = output_json(stdout, json_incref(deleted), rc < 0 ? NULL : &ctx->err);
        rc = rc < 0 ? rc : said;
    }
    json_decref(deleted);
    return rc;
}

const struct command cmd_manage_delete_session = {
    .name = "delete-session",
    .summary = "delete sessions of the node's store",
    .words = delete_words,
    .n_words = ARRAY_LEN(delete_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Deletes sessions and their packets for good. One that is being recorded is refused: "
            "'manage stop-capture' ends it. Needs a key of the role admin. With --json an array "
            "of the ids that are gone. Ends with 3 when only some of them could be deleted. With "
            "--nodes, --all or --select each of those nodes deletes what it has of that id or "
            "name.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage delete-session dns", "the one of that name"},
            {NULL, NULL},
        },
    .run = run_delete,
};
