/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands behind `packetrecorder manage`: each is a record of its own (as in command.h) whose
 * group is cmd_manage, and asks the node that --endpoint names, by calls of the table of methods
 * (shared/wire/rpc_methods.h). Blocking, with --timeout as the deadline of each call. What a node
 * answers is hostile input: its shape is checked here, its texts are cleaned where they are shown.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"
#include "shared/wire/rpc.h"

struct json_t; /* jansson's json_t */

/* Of the group. */
struct manage_args {
    const char *api_key; /* NULL: --api-key-file, then the environment */
    uint64_t timeout_ns;
    struct option_list nodes; /* whom it is for (cli/manage_nodes.h) */
    bool all;
    struct option_list select;
};

static inline const struct manage_args *manage_args_of(const struct command_context *ctx)
{
    return ctx->group_args;
}

/* A connection to the first endpoint that answered. Names what went wrong and the way out. */
struct manage;

/* For a command that one node at a time answers: where --nodes names one, all calls are for it. */
int manage_open(struct command_context *ctx, struct manage **out);
/* For one that looks at --nodes, --all and --select itself: calls are for the node asked. */
int manage_open_for_nodes(struct command_context *ctx, struct manage **out);
void manage_close(struct manage *manage); /* takes NULL */
/* Anew, after the connection broke: tries until the deadline (monotonic). */
int manage_open_again(struct manage *manage, uint64_t deadline_ns, struct err *err);
/* The connection has ended, so that only opening it again helps. */
bool manage_is_broken(const struct manage *manage);
/* From now on an interrupt (SIGINT, SIGTERM, SIGHUP) ends what waits with ERR_INTERRUPTED, until
 * manage_close; before, it ends the program. */
void manage_catch_interrupts(struct manage *manage);
bool manage_was_interrupted(void);

/* One call. args: an object, moved; NULL for {}. *result is a new reference, null for a method that
 * answers nothing. The node's own error comes with its code of err.h. */
int manage_call(struct manage *manage, const char *method, struct json_t *args,
                struct json_t **result, struct err *err);
/* The same of a member of the swarm, by name or id, through the node asked; NULL: of that one. */
int manage_call_on(struct manage *manage, const char *node, const char *method, struct json_t *args,
                   struct json_t **result, struct err *err);
/* With options as of docs/rpc.md: an object with one of node, nodes and select; borrowed. */
int manage_call_with(struct manage *manage, const struct json_t *options, const char *method,
                     struct json_t *args, struct json_t **result, struct err *err);
/* Begins a call as of manage_call_on; its answer is for rpc_client_wait or rpc_client_receive of
 * manage_client (shared/wire/rpc_client.h), borrowed, another one after manage_open_again. */
int manage_send_on(struct manage *manage, const char *node, const char *method, struct json_t *args,
                   uint64_t deadline_ns, uint32_t *id, struct err *err);
struct rpc_client *manage_client(struct manage *manage);
/* Bytes of the last answer. */
size_t manage_answer_bytes(const struct manage *manage);

/* A piece of a file, as session.read answers it. */
struct manage_chunk {
    const uint8_t *data; /* borrowed until the next call */
    size_t n;
    uint64_t offset;
    uint32_t checksum;
    char *next;        /* the cursor, owned by the caller (mem_free); NULL at the end */
    uint64_t missing;  /* packets until now that could not be read */
    uint64_t left_out; /* and that the format cannot hold */
};
/* What a call of session.read answered. */
int manage_read_answer(struct rpc_span span, struct manage_chunk *out, struct err *err);
/* args: as of manage_call, node: of manage_call_on. */
int manage_read(struct manage *manage, struct json_t *args, struct manage_chunk *out,
                struct err *err);
int manage_read_on(struct manage *manage, const char *node, struct json_t *args,
                   struct manage_chunk *out, struct err *err);

/* The next event of events.subscribe, a new reference; waits for ever. */
int manage_next_event(struct manage *manage, struct json_t **event, struct err *err);

/* Opens, calls once, closes. */
int manage_ask(struct command_context *ctx, const char *method, struct json_t *args,
               struct json_t **result);

/* The answer must be an array of objects, or an object; else it is released and ERR_DAMAGED says
 * what the node did. */
int manage_check_list(struct command_context *ctx, const char *method, struct json_t **result);
int manage_check_object(struct command_context *ctx, const char *method, struct json_t **result);

/* ---- arguments of calls: set where the user said something ---- */

void manage_set_text(struct json_t *args, const char *name, const char *text); /* not for NULL */
void manage_set_count(struct json_t *args, const char *name, uint64_t count);  /* not for 0 */
void manage_set_duration(struct json_t *args, const char *name, uint64_t ns);  /* not for 0 */
/* "from" and "to", as OPTIONS_RANGE leaves them. */
void manage_set_range(struct json_t *args, uint64_t from_ns, uint64_t to_ns);
void manage_set_list(struct json_t *args, const char *name, const struct option_list *list);

extern const struct command *const manage_commands[];

extern const struct command cmd_manage_info;
extern const struct command cmd_manage_list_interfaces;
extern const struct command cmd_manage_doctor;
extern const struct command cmd_manage_audit;
extern const struct command cmd_manage_start_capture;
extern const struct command cmd_manage_captures;
extern const struct command cmd_manage_capture_status;
extern const struct command cmd_manage_stop_capture;
extern const struct command cmd_manage_sessions;
extern const struct command cmd_manage_query;
extern const struct command cmd_manage_download_pcap;
extern const struct command cmd_manage_delete_session;
extern const struct command cmd_manage_prune;
extern const struct command cmd_manage_watch;
extern const struct command cmd_manage_replay;
extern const struct command cmd_manage_replays;
extern const struct command cmd_manage_stop_replay;
extern const struct command cmd_manage_events;
extern const struct command cmd_manage_members;
extern const struct command cmd_manage_join;
extern const struct command cmd_manage_leave;
extern const struct command cmd_manage_cluster_keys;
extern const struct command cmd_manage_keys;
