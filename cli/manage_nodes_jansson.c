/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manage_nodes.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/wire/rpc_methods.h"

#define ALL "all"

/* ---- what was said ---- */

bool manage_nodes_are_named(const struct command_context *ctx)
{
    const struct manage_args *args = manage_args_of(ctx);

    return args->all || args->nodes.n > 0 || args->select.n > 0;
}

/* Several with commas, each once. */
static void add_names(json_t *list, const char *text)
{
    char *copy = x_strdup(text);
    char *rest = copy;

    while (rest != NULL) {
        const char *one = strsep(&rest, ",");
        bool is_there = *one == '\0';
        for (size_t i = 0; i < json_array_size(list) && !is_there; i++) {
            is_there = strcmp(json_string_value(json_array_get(list, i)), one) == 0;
        }
        if (!is_there) {
            json_array_append_new(list, to_json_text(one));
        }
    }
    mem_free(copy);
}

/* "all" or an array of names; NULL: --nodes names nobody. */
static json_t *nodes_of(const struct manage_args *args)
{
    json_t *list = json_array();
    bool all = args->all;

    for (size_t i = 0; i < args->nodes.n; i++) {
        add_names(list, args->nodes.items[i]);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        all = all || strcmp(json_string_value(json_array_get(list, i)), ALL) == 0;
    }
    if (all || json_array_size(list) == 0) {
        json_decref(list);
        return all ? json_string(ALL) : NULL;
    }
    return list;
}

static int select_of(const struct manage_args *args, json_t **select, struct err *err)
{
    json_t *list = json_array();

    for (size_t i = 0; i < args->select.n; i++) {
        const char *equals = strchr(args->select.items[i], '=');
        if (equals == NULL || equals == args->select.items[i]) {
            json_decref(list);
            return err_set(err, ERR_USAGE, "--select '%s': it is TAG=VALUE", args->select.items[i]);
        }
        json_array_append_new(list, to_json_text(args->select.items[i]));
    }
    *select = list;
    return 0;
}

int manage_nodes_options(const struct manage_args *args, json_t **options, struct err *err)
{
    json_t *value = NULL;

    if (args->all + (args->nodes.n > 0) + (args->select.n > 0) > 1) {
        return err_set(err, ERR_USAGE, "--nodes, --all and --select exclude each other");
    }
    *options = NULL;
    if (args->select.n > 0) {
        int rc = select_of(args, &value, err);
        *options = rc < 0 ? NULL : json_pack("{s:o}", "select", value);
        return rc;
    }
    value = nodes_of(args);
    if (value == NULL && args->nodes.n > 0) {
        return err_set(err, ERR_USAGE, "--nodes takes names or ids with commas, or 'all'");
    }
    *options = value == NULL ? NULL : json_pack("{s:o}", "nodes", value);
    return 0;
}

int manage_nodes_one(const struct manage_args *args, char **node, struct err *err)
{
    json_t *options = NULL;
    int rc = manage_nodes_options(args, &options, err);

    if (rc < 0 || options == NULL) {
        *node = NULL;
        return rc;
    }
    const json_t *nodes = json_object_get(options, "nodes");
    if (json_array_size(nodes) == 1) {
        *node = x_strdup(json_string_value(json_array_get(nodes, 0)));
    } else {
        rc = err_set(err, ERR_USAGE, "this is for one node at a time: name one with --nodes NODE");
    }
    json_decref(options);
    return rc;
}

/* ---- asking ---- */

static int refuse(struct command_context *ctx, const char *method)
{
    return err_set(&ctx->err, ERR_DAMAGED,
                   "the node answered %s for several nodes with something that is no such answer; "
                   "is it a packetrecorder of another version?",
                   method);
}

static int check(struct command_context *ctx, const char *method, const json_t *answers)
{
    if (!json_is_array(answers)) {
        return refuse(ctx, method);
    }
    for (size_t i = 0; i < json_array_size(answers); i++) {
        const json_t *one = json_array_get(answers, i);
        bool has_result = json_object_get(one, "result") != NULL;
        if (field_text(one, "node") == NULL ||
            has_result == json_is_object(json_object_get(one, "error"))) {
            return refuse(ctx, method);
        }
    }
    return 0;
}

/* It did answer, but there was no more room for it beside the others' answers. */
static bool is_too_large(const json_t *answer)
{
    const char *code = field_text(json_object_get(answer, "error"), "code");

    return code != NULL && strcmp(code, "limit") == 0;
}

void manage_answer_fail(json_t *answer, const struct err *err)
{
    json_object_del(answer, "result");
    json_object_set_new(
        answer, "error",
        json_pack("{s:s, s:o}", "code", err_name(err->code), "message", to_json_text(err->text)));
}

static void ask_alone(struct manage *manage, const char *method, const json_t *args, json_t *answer)
{
    const char *id = field_text(answer, "id");
    struct err err = {0};
    json_t *result = NULL;
    int rc = manage_call_on(manage, id == NULL ? field_text(answer, "node") : id, method,
                            args == NULL ? NULL : json_deep_copy(args), &result, &err);

    if (rc == 0) {
        json_object_del(answer, "error");
        json_object_set_new(answer, "result", result);
    } else {
        manage_answer_fail(answer, &err);
    }
}

int manage_call_nodes(struct command_context *ctx, struct manage *manage, const json_t *options,
                      const char *method, json_t *args, json_t **answers)
{
    const struct rpc_method *known = rpc_method_find(method);
    json_t *kept = args == NULL ? NULL : json_incref(args);
    json_t *own = NULL;
    json_t *result = NULL;
    int rc = options == NULL ? manage_nodes_options(manage_args_of(ctx), &own, &ctx->err) : 0;

    REQUIRE(known != NULL && known->fans_out);
    if (rc < 0) {
        json_decref(args);
    } else {
        rc = manage_call_with(manage, options == NULL ? own : options, method, args, &result,
                              &ctx->err);
    }
    json_t *list = json_object_get(result, "nodes");
    rc = rc < 0 ? rc : check(ctx, method, list);
    for (size_t i = 0; rc == 0 && !known->changes && i < json_array_size(list); i++) {
        if (is_too_large(json_array_get(list, i))) { /* what changes something has done it */
            ask_alone(manage, method, kept, json_array_get(list, i));
        }
    }
    if (rc == 0) {
        *answers = json_incref(list);
    }
    json_decref(result);
    json_decref(own);
    json_decref(kept);
    return rc;
}

int manage_tell_unanswered(const json_t *answers, struct err *err)
{
    size_t n = json_array_size(answers);
    size_t n_bad = 0;

    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(answers, i);
        const json_t *error = json_object_get(one, "error");
        struct buf line = {0};
        if (error == NULL) {
            continue;
        }
        const char *why = field_text(error, "message");
        why = why == NULL ? field_text(error, "code") : why;
        output_put_name(&line, field_text(one, "node"));
        buf_put_str(&line, ": ");
        output_put_name(&line, why == NULL ? "it did not say why" : why);
        fprintf(stderr, "%.*s\n", (int)line.len, (const char *)line.data);
        buf_deinit(&line);
        n_bad++;
    }
    if (n == 0) {
        return err_set(err, ERR_NOT_FOUND, "there is no such node");
    }
    if (n_bad == n) {
        return n == 1 ? err_set(err, ERR_IO, "the node did not do it")
                      : err_set(err, ERR_IO, "none of %zu nodes did it", n);
    }
    return n_bad == 0 ? 0 : err_set(err, ERR_PARTLY, "%zu of %zu nodes did it", n - n_bad, n);
}

/* ---- rows ---- */

json_t *manage_row_of(const char *node, const json_t *row)
{
    json_t *out = json_pack("{s:o}", "node", to_json_text(node));

    json_object_update_missing(out, (json_t *)(uintptr_t)row);
    return out;
}

/* ERR_DAMAGED: it is no list of objects, or not the one object that is wanted. */
static int add_rows(struct command_context *ctx, const char *method, const char *node,
                    json_t *result, const struct manage_rows *rows)
{
    json_t *some = json_incref(result);
    int rc = rows->of_objects ? manage_check_object(ctx, method, &some)
                              : manage_check_list(ctx, method, &some);

    if (rc < 0) {
        return rc;
    }
    if (rows->of_objects) {
        some = json_pack("[o]", some);
    }
    for (size_t i = 0; i < json_array_size(some); i++) {
        json_t *row = json_array_get(some, i);
        json_array_append_new(rows->list,
                              node == NULL ? json_incref(row) : manage_row_of(node, row));
    }
    json_decref(some);
    return 0;
}

/* A node that answers with something else has not answered. */
static void rows_of_nodes(struct command_context *ctx, const char *method, const json_t *answers,
                          const struct manage_rows *rows)
{
    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *one = json_array_get(answers, i);
        json_t *result = json_object_get(one, "result");
        if (result != NULL && add_rows(ctx, method, field_text(one, "node"), result, rows) < 0) {
            manage_answer_fail(one, &ctx->err);
        }
    }
}

static int ask(struct command_context *ctx, const char *method, json_t *args,
               struct manage_rows *rows)
{
    struct manage *manage = NULL;
    json_t *answer = NULL;
    int rc = manage_open_for_nodes(ctx, &manage);

    rows->of_nodes = manage_nodes_are_named(ctx);
    rows->list = json_array();
    if (rc < 0) {
        json_decref(args);
    } else if (rows->of_nodes) {
        rc = manage_call_nodes(ctx, manage, NULL, method, args, &answer);
        if (rc == 0) {
            rows_of_nodes(ctx, method, answer, rows);
        }
    } else {
        rc = manage_call(manage, method, args, &answer, &ctx->err);
        rc = rc < 0 ? rc : add_rows(ctx, method, NULL, answer, rows);
    }
    manage_close(manage);
    if (rc == 0 && rows->of_nodes) {
        rows->outcome = manage_tell_unanswered(answer, &ctx->err);
    }
    json_decref(answer);
    if (rc < 0) {
        json_decref(rows->list);
    }
    return rc;
}

int manage_ask_rows(struct command_context *ctx, const char *method, json_t *args,
                    struct manage_rows *rows)
{
    *rows = (struct manage_rows){0};
    return ask(ctx, method, args, rows);
}

int manage_ask_objects(struct command_context *ctx, const char *method, json_t *args,
                       struct manage_rows *rows)
{
    *rows = (struct manage_rows){.of_objects = true};
    return ask(ctx, method, args, rows);
}

int manage_rows_json(struct command_context *ctx, struct manage_rows *rows)
{
    bool alone = rows->of_objects && !rows->of_nodes;
    json_t *shown = alone ? json_array_get(rows->list, 0) : rows->list;
    int rc = output_json(stdout, json_incref(shown), rows->outcome < 0 ? NULL : &ctx->err);
    int outcome = manage_rows_end(rows);

    return outcome < 0 ? outcome : rc;
}

int manage_rows_end(struct manage_rows *rows)
{
    json_decref(rows->list);
    rows->list = NULL;
    return rows->outcome;
}
