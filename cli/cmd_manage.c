/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manage.h"

#include "shared/base/mem.h"

static const struct command_option options[] = {
    {.name = "api-key",
     .kind = OPT_SECRET,
     .placeholder = "KEY",
     .help = "API key of the node, pr_ID_SECRET. Other users can see a command line: prefer "
             "--api-key-file or the variable PACKETRECORDER_API_KEY. At a UNIX socket none is "
             "needed.",
     .offset = offsetof(struct manage_args, api_key)},
    {.name = "timeout",
     .kind = OPT_DURATION,
     .placeholder = "T",
     .help = "How long to wait for the node, for each of its answers.",
     .value = "30",
     .min = 1,
     .offset = offsetof(struct manage_args, timeout_ns)},
    {.name = "nodes",
     .kind = OPT_LIST,
     .placeholder = "NODE,…",
     .help = "For these nodes of the swarm, by name, NAME@ID8 or id, which the node asked asks in "
             "turn; "
             "'all' is all. May be repeated.",
     .note = "the node asked",
     .offset = offsetof(struct manage_args, nodes)},
    {.name = "all",
     .kind = OPT_FLAG,
     .help = "For all nodes of the swarm: --nodes all.",
     .offset = offsetof(struct manage_args, all)},
    {.name = "select",
     .kind = OPT_LIST,
     .placeholder = "TAG=VALUE",
     .help = "For the nodes that have this tag. May be repeated, all have to fit.",
     .offset = offsetof(struct manage_args, select)},
};

/* clang-format off */
const struct command *const manage_commands[] = {
    &cmd_manage_info,
    &cmd_manage_list_interfaces,
    &cmd_manage_start_capture,
    &cmd_manage_captures,
    &cmd_manage_capture_status,
    &cmd_manage_stop_capture,
    &cmd_manage_sessions,
    &cmd_manage_query,
    &cmd_manage_download_pcap,
    &cmd_manage_watch,
    &cmd_manage_delete_session,
    &cmd_manage_prune,
    &cmd_manage_replay,
    &cmd_manage_replays,
    &cmd_manage_stop_replay,
    &cmd_manage_events,
    &cmd_manage_members,
    &cmd_manage_join,
    &cmd_manage_leave,
    &cmd_manage_cluster_keys,
    &cmd_manage_keys,
    &cmd_manage_audit,
    &cmd_manage_doctor,
    NULL,
};
/* clang-format on */

const struct command cmd_manage = {
    .name = "manage",
    .summary = "ask a running node, here or elsewhere",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct manage_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .description =
        (const char *const[]){
            "Asks a node that runs: on this host through its UNIX socket, where who may open the "
            "socket may do everything, or on another one through its RPC port (--rpc-addr of "
            "serve) with an API key, in a channel that nobody else can read or alter. "
            "'packetrecorder keys add' on the node makes a key, and so does 'manage keys add'.",
            "The options below and the global ones stand before or behind the command.",
            "With --nodes, --all or --select the node asked asks these nodes of its swarm. Lists, "
            "info, doctor, query, delete-session, prune, stop-capture and stop-replay have rows of "
            "all of "
            "them then, each with its node; for start-capture they are where it runs. Who did not "
            "answer has a line on standard error, NODE: why. The others are for one node at a "
            "time: --nodes NODE; events come from the node asked alone. Ends with 0 when all "
            "nodes have answered, 3 when some have, 1 when none has.",
            "Ends with 0 when it is done, 1 when the node refuses, fails, or does not answer, 2 "
            "for wrong usage.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage info", "how the node of this host is"},
            {"manage --endpoint 10.0.0.7:50051 --api-key-file laptop.key sessions",
             "what another host has recorded"},
            {"manage sessions --all", "what all nodes of the swarm have recorded"},
            {"manage doctor --all --quiet", "what is wrong on any of them"},
            {NULL, NULL},
        },
    .commands = manage_commands,
};
