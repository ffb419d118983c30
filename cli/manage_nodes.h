/* SPDX-License-Identifier: Apache-2.0
 *
 * Which nodes of a swarm a manage command is for (--nodes, --all, --select), and what several of
 * them answer through the one that is asked. A listing becomes one list of rows, each with the
 * "node" that it is from; who did not answer has a line on standard error, `NODE: why`; the exit
 * code says whether all (0), some (3) or none (1) did.
 */
#pragma once

#include "cli/manage.h"

/* --nodes, --all or --select was given. */
bool manage_nodes_are_named(const struct command_context *ctx);

/* The options of a call: a new {"nodes": "all" or [texts]} or {"select": [texts]}; NULL where
 * nothing was named. ERR_USAGE: they exclude each other, or are none. */
int manage_nodes_options(const struct manage_args *args, struct json_t **options, struct err *err);

/* For what one node at a time answers: its name or id, owned; NULL: the node asked. ERR_USAGE where
 * several are meant. */
int manage_nodes_one(const struct manage_args *args, char **node, struct err *err);

/* Calls a method that fans out (shared/wire/rpc_methods.h) on all of them, or with `options` of
 * one's own. *answers: a new array of {node, id, result} and {node, id, error: {code, message}},
 * shapes checked, by name. What would be too large together is asked for node by node. args: moved.
 */
int manage_call_nodes(struct command_context *ctx, struct manage *manage,
                      const struct json_t *options, const char *method, struct json_t *args,
                      struct json_t **answers);

/* Makes an answer one that did not come, for that reason. */
void manage_answer_fail(struct json_t *answer, const struct err *err);

/* Says on standard error who did not answer, and why. 0: all did; ERR_PARTLY: some; ERR_IO: none,
 * with how many in err. */
int manage_tell_unanswered(const struct json_t *answers, struct err *err);

/* A new object: the row with "node" in front, whatever it says itself. */
struct json_t *manage_row_of(const char *node, const struct json_t *row);

/* ---- the usual command: ask, show, end ---- */

struct manage_rows {
    struct json_t *list; /* objects; of several nodes with "node" in front */
    bool of_nodes;       /* several were meant: tables get a column NODE */
    bool of_objects;
    int outcome; /* as of manage_tell_unanswered, and ctx->err is it */
};

/* Asks those that are meant, or the node asked, who answer with a list of objects; or with one
 * object each, which becomes a row. args: moved. rows->list is the caller's where it returns 0. */
int manage_ask_rows(struct command_context *ctx, const char *method, struct json_t *args,
                    struct manage_rows *rows);
int manage_ask_objects(struct command_context *ctx, const char *method, struct json_t *args,
                       struct manage_rows *rows);
/* --json: all rows; the object alone where the node asked answers with one. Releases the list;
 * returns the outcome. */
int manage_rows_json(struct command_context *ctx, struct manage_rows *rows);
/* After a table: releases the list; returns the outcome. */
int manage_rows_end(struct manage_rows *rows);
