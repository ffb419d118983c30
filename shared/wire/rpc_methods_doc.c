/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/rpc.md out of the table of methods.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/channel.h"
#include "shared/wire/event_types.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_methods.h"

static const char head[] =
    "# RPC of a node\n"
    "\n"
    "<!-- Made out of shared/wire/rpc_methods.c: 'build/dev/tests/rpc_doc > docs/rpc.md'. -->\n"
    "\n"
    "A node answers [msgpack-RPC](https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md) "
    "on two\n"
    "places: a UNIX socket (`--rpc-socket`, plain, any msgpack-RPC client can talk to it) and TCP\n"
    "(`--rpc-addr`, inside a secure channel whose bytes are in "
    "[protocol-rpc.md](protocol-rpc.md)). "
    "`packetrecorder\n"
    "manage` is its client.\n"
    "\n"
    "## Who may\n"
    "\n"
    "The UNIX socket has mode 0660 and belongs to the node's user and his primary group; root, "
    "that user and everybody in that\n"
    "group are admin, without a key. On TCP a client has an API key (`packetrecorder keys add`), "
    "whose role has "
    "rights: view (view),\n"
    "capture (view, capture), inject (view, inject), ingest (none of these), admin (all). While "
    "the node has no key it\n"
    "refuses every TCP client at the handshake. A key that is revoked or expires ends its "
    "connections within two seconds.\n"
    "\n"
    "## Messages\n"
    "\n"
    "```\n"
    "request       [0, id, \"method\", [args]]  or  [0, id, \"method\", [args, options]]\n"
    "response      [1, id, nil, result]  or  [1, id, {code, message, node}, nil]\n"
    "notification  [2, \"method\", [params]]\n"
    "```\n"
    "\n"
    "`args` is a map of parameters by name; what is not known is refused by name, nil counts as "
    "absent. `options` is a\n"
    "map, of which what is not known is skipped: `deadline_ms` is how long the caller waits (0: no "
    "bound); then the answer is the\nerror `deadline`. Of a node in a swarm:\n"
    "`node`, the name, NAME@ID8 or id of a member, has that member's answer instead. `nodes`, "
    "`\"all\"` or "
    "an "
    "array of names and ids,\n"
    "has those of several in one, `{nodes: [{node, id, result} or {node, id, error: {code, "
    "message}}]}`, by name; `select`, an\n"
    "array of tags `KEY=VALUE`, has those of the nodes that have all of them. The methods\n"
    "that take these two are marked ‡. Rights are those of the caller; a member that does not "
    "answer in "
    "the caller's time has the\n"
    "error `deadline` or `unreachable`. Calls on one connection\n"
    "are answered as they are done, in any order. `[2, \"rpc.cancel\", [id]]` gives up a call "
    "(its answer is the error\n"
    "`cancelled`) or ends a subscription. Before the node ends a connection of its own accord it "
    "says why:\n"
    "`[2, \"rpc.closing\", [{code, message}]]`.\n"
    "\n"
    "| type | |\n"
    "|---|---|\n";

static const struct {
    enum rpc_type type;
    const char *what;
} types[] = {
    {RPC_TEXT, "not empty, at most 4,096 bytes of UTF-8"},
    {RPC_TEXTS, "an array of 1 to 64 texts"},
    {RPC_BOOL, ""},
    {RPC_COUNT, "a whole number that is not negative, or a text such as `\"10k\"`"},
    {RPC_SIZE, "bytes: a whole number, or a text such as `\"64KiB\"`"},
    {RPC_REAL, "not negative, integer or float"},
    {RPC_DURATION, "seconds, or a text such as `\"1m30s\"`"},
    {RPC_TIME, "a text: RFC 3339, `\"@SECONDS\"`, or `\"-10m\"`"},
    {RPC_FILTER, "a pcap filter of at most 1,024 bytes and 8 names"},
    {RPC_TAGS, "a map of text to text"},
    {RPC_WORD, "one of those that are named"},
};

static const struct {
    const char *code;
    const char *what;
} codes[] = {
    {RPC_CODE_BAD_REQUEST, "the message is no call; where it has no id the connection ends"},
    {RPC_CODE_UNKNOWN_METHOD, "there is no such method"},
    {RPC_CODE_NOT_IMPLEMENTED, "the node was built without it"},
    {RPC_CODE_DEADLINE, "the caller's time is over; what was begun may still be done"},
    {RPC_CODE_CANCELLED, "the caller gave it up"},
    {RPC_CODE_BUSY, "too much at the moment: try again"},
    {RPC_CODE_ENDING, "the node stops"},
    {"usage", "a parameter is wrong, missing or not known"},
    {"unsupported", "the method does not do that, such as an answer of several nodes"},
    {"exists", "there is one already"},
    {"filter", "libpcap refuses the filter"},
    {"permission", "the caller's key lacks the right"},
    {"not_found", "no such session, interface, node"},
    {"ambiguous", "a start of an id, or a name, that fits several"},
    {"limit", "as many as may be are there already"},
    {"in_use", "another program records into the store; or it is needed: a member that lives, a "
               "session that is recorded"},
    {"full", "disk or quota is full"},
    {"key", "the store's key, or a cluster key, is missing or wrong"},
    {"unreachable", "the other node was not reached"},
};

static const char limits[] =
    "\n"
    "Other codes (`io`, `damaged`, `database`, …) mean that the node failed; `message` says how, "
    "`node` which one.\n"
    "\n"
    "## Limits\n"
    "\n";

static void put_limits(struct buf *out)
{
    buf_put_str(out, limits);
    buf_printf(out,
               "A request has at most %u bytes, %d values and %d levels, a response at most %u "
               "bytes. A connection has at\nmost 1,024 calls in flight and is not read beyond, a "
               "node 4,096 (`busy`) and 2,048 connections. A message comes\nwithin 30 s from its "
               "first byte to its last; a client that takes nothing for 30 s is cut off, one that "
               "calls\nnothing and follows nothing for 10 minutes too. Before its handshake is "
               "done a TCP client has %u bytes and %u s,\n%u may be in that state, %u of one "
               "address; up to 1,024 others wait for their turn.\n",
               RPC_REQUEST_MAX, RPC_VALUES_MAX, RPC_DEPTH_MAX, RPC_RESPONSE_MAX,
               CHANNEL_STRANGER_BYTES, CHANNEL_STRANGER_MS / 1000, CHANNEL_STRANGERS_MAX,
               CHANNEL_STRANGERS_OF_ADDRESS_MAX);
    buf_put_str(out, "\nA call that changes something (†) is written into the audit of the store: "
                     "`node.audit`.\n");
}

static void put_events(struct buf *out)
{
    buf_put_str(out,
                "\n## Events\n\nWhat `events.subscribe` and `GET /api/v1/events` tell of; each "
                "has `time` and `node` too.\n\n| type | |\n|---|---|\n");
    for (size_t i = 0; i < n_event_types; i++) {
        buf_printf(out, "| `%s` | %s |\n", event_types[i].name, event_types[i].what);
    }
}

static void put_overview(struct buf *out)
{
    buf_put_str(out, "\n## Methods\n\n| method | right | |\n|---|---|---|\n");
    for (size_t i = 0; i < n_rpc_methods; i++) {
        const struct rpc_method *m = &rpc_methods[i];
        buf_printf(out, "| `%s`%s%s | %s | %s |\n", m->name, m->changes ? " †" : "",
                   m->fans_out ? " ‡" : "", m->of_nodes ? "nodes" : api_right_name(m->right),
                   m->what);
    }
}

static void put_param(struct buf *out, const struct rpc_param *param)
{
    buf_printf(out, "| `%s`%s | %s | %s", param->name, param->required ? " *" : "",
               rpc_type_name(param->type), param->what);
    if (param->max > 0) {
        buf_printf(out, " At most %llu.", (unsigned long long)param->max);
    }
    for (size_t i = 0; param->words != NULL && param->words[i] != NULL; i++) {
        buf_printf(out, "%s`%s`", i == 0 ? " One of " : ", ", param->words[i]);
    }
    buf_put_str(out, param->words != NULL ? ". |\n" : " |\n");
}

static void put_method(struct buf *out, const struct rpc_method *m)
{
    buf_printf(out, "\n### %s\n\n%s Right: %s.\n\n", m->name, m->what, api_right_name(m->right));
    if (m->n_params > 0) {
        buf_put_str(out, "| parameter | type | |\n|---|---|---|\n");
    }
    for (size_t i = 0; i < m->n_params; i++) {
        put_param(out, &m->params[i]);
    }
    buf_printf(out, "%sResult: %s\n", m->n_params > 0 ? "\n" : "", m->result);
    if (m->limits != NULL) {
        buf_printf(out, "\nLimits: %s\n", m->limits);
    }
}

void rpc_methods_doc(struct buf *out)
{
    buf_put_str(out, head);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        buf_printf(out, "| %s | %s |\n", rpc_type_name(types[i].type), types[i].what);
    }
    buf_put_str(out, "\n## Errors\n\n| code | |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        buf_printf(out, "| `%s` | %s |\n", codes[i].code, codes[i].what);
    }
    put_limits(out);
    put_events(out);
    put_overview(out);
    buf_put_str(out, "\n`*` behind a parameter: it must be given. What is in brackets is the "
                     "default.\n");
    for (size_t i = 0; i < n_rpc_methods; i++) {
        put_method(out, &rpc_methods[i]);
    }
}
