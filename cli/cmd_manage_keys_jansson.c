/* SPDX-License-Identifier: Apache-2.0
 *
 * The API keys of a node, as `packetrecorder keys` has those of a store.
 */
#include "cli/manage.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/key_table.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

struct keys_args {
    int role;
    const char *name;
    const char *expires;
};

/* clang-format off */
static const struct command_option options[] = {
    {.name = "role", .kind = OPT_CHOICE, .placeholder = "ROLE",
     .help = "What the new key may do: view (read and watch), capture (and start captures), inject "
             "(view and transmit), ingest (feed an uplink, nothing else), admin (all).",
     .words = api_role_names, .offset = offsetof(struct keys_args, role)},
    {.name = "name", .kind = OPT_STRING, .placeholder = "NAME",
     .help = "Whose the new key is, in words, for the list.",
     .offset = offsetof(struct keys_args, name)},
    {.name = "expires", .kind = OPT_STRING, .placeholder = "WHEN",
     .help = "When the new key ends: after a duration ('30d', '12h') or at a time.",
     .note = "never", .offset = offsetof(struct keys_args, expires)},
};
/* clang-format on */

static const char *const actions[] = {"add", "list", "revoke", NULL};

static const struct command_word words[] = {
    {.name = "ACTION", .help = "What to do: 'add', 'list' or 'revoke'.", .words = actions},
    {.name = "ID",
     .help = "For 'revoke': id of the key, its first characters, or its name.",
     .optional = true},
};

/* The one line that a secret is; nothing of it stays in memory. */
static int print_secret(json_t *answer, struct err *err)
{
    const char *text = field_text(answer, "key");
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];

    if (text == NULL || api_key_parse(text, id, hash, NULL) < 0) {
        return err_set(err, ERR_DAMAGED, "the node answered keys.add without a key");
    }
    bool is_printed = puts(text) != EOF && fflush(stdout) == 0;
    explicit_bzero(hash, sizeof hash);
    explicit_bzero((char *)(uintptr_t)text, strlen(text));
    return is_printed ? 0 : err_set(err, ERR_IO, "cannot write the key to standard output");
}

static int add(struct command_context *ctx, const struct keys_args *args)
{
    json_t *call = json_object();
    json_t *answer = NULL;

    if (args->role < 0) {
        json_decref(call);
        return err_set(&ctx->err, ERR_USAGE,
                       "manage keys add needs --role: view, capture, inject, ingest or admin");
    }
    manage_set_text(call, "role", api_role_names[args->role]);
    manage_set_text(call, "name", args->name);
    manage_set_text(call, "expires", args->expires);
    int rc = manage_ask(ctx, "keys.add", call, &answer);
    rc = rc < 0 ? rc : manage_check_object(ctx, "keys.add", &answer);
    rc = rc < 0 ? rc : print_secret(answer, &ctx->err);
    if (rc == 0 && !ctx->global.quiet) {
        struct buf id = {0};
        output_put_name(&id, field_text(answer, "id") == NULL ? "" : field_text(answer, "id"));
        fprintf(stderr,
                "key %.*s, role %s, is on the node; the secret above is shown this once\n"
                "give it to a client in a file of mode 600 (--api-key-file FILE)\n",
                (int)id.len, (const char *)id.data, api_role_names[args->role]);
        buf_deinit(&id);
    }
    json_decref(answer);
    return rc;
}

static int list(struct command_context *ctx)
{
    struct manage_rows rows;
    int rc = manage_ask_rows(ctx, "keys.list", NULL, &rows);

    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    if (json_array_size(rows.list) == 0 && rows.outcome == 0 && !ctx->global.quiet) {
        fputs(rows.of_nodes ? "the nodes have no API key\n"
                            : "the node has no API key: packetrecorder manage keys add makes one\n",
              stderr);
    }
    key_table_print(rows.list, rows.of_nodes, stdout);
    return manage_rows_end(&rows);
}

static int revoke(struct command_context *ctx)
{
    json_t *call = json_object();
    json_t *answer = NULL;

    if (ctx->n_words < 2) {
        json_decref(call);
        return err_set(&ctx->err, ERR_USAGE,
                       "manage keys revoke needs the ID: packetrecorder manage keys list shows it");
    }
    manage_set_text(call, "key_id", ctx->words[1]);
    int rc = manage_ask(ctx, "keys.revoke", call, &answer);
    rc = rc < 0 ? rc : manage_check_object(ctx, "keys.revoke", &answer);
    if (rc < 0) {
        return rc;
    }
    if (!ctx->global.quiet) {
        struct buf id = {0};
        output_put_name(&id, field_text(answer, "id") == NULL ? "" : field_text(answer, "id"));
        fprintf(stderr, "revoked %.*s: the node ends its connections\n", (int)id.len,
                (const char *)id.data);
        buf_deinit(&id);
    }
    if (field_count(answer, "left") == 0) {
        log_warn("that was the last key: without one every user of the node's host can watch its "
                 "packets and record them, and nobody else can ask it anything");
    }
    if (ctx->global.json) {
        return output_json(stdout, answer, &ctx->err);
    }
    json_decref(answer);
    return 0;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct keys_args *args = args_;
    const char *action = ctx->words[0];
    bool adds = strcmp(action, "add") == 0;

    if (!adds && (args->role >= 0 || args->name != NULL || args->expires != NULL)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--role, --name and --expires go with 'manage keys add', not with 'manage "
                       "keys %s'",
                       action);
    }
    if (strcmp(action, "revoke") == 0) {
        return revoke(ctx);
    }
    if (ctx->n_words > 1) {
        return err_set(&ctx->err, ERR_USAGE, "'manage keys %s' takes no ID; --name gives a name",
                       action);
    }
    return adds ? add(ctx, args) : list(ctx);
}

const struct command cmd_manage_keys = {
    .name = "keys",
    .summary = "make, list and revoke API keys of the node",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct keys_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "'manage keys add' prints one line pr_ID_SECRET, an API key of the node, and nothing "
            "else; the node keeps only a hash of it. 'manage keys list' shows id, name, role, "
            "times and state, never a secret. 'manage keys revoke' ends a key and its connections. "
            "All need a key of the role admin, or the UNIX socket.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage keys add --role view --name laptop --expires 30d > laptop.key",
             "a key that reads and watches for 30 days; umask 077 first"},
            {"manage keys revoke laptop", "the end of it"},
            {NULL, NULL},
        },
    .run = run,
};
