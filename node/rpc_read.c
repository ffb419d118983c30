/* SPDX-License-Identifier: Apache-2.0
 *
 * session.read; node/readings has the chunks.
 */
#include "node/rpc_read.h"

#include <string.h>

#include "node/readings.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define CHUNK_DEFAULT (1024u * 1024u)

static void on_chunk(void *arg, struct buf *packed, const struct err *err)
{
    struct rpc_call *call = arg;

    if (packed != NULL) {
        rpc_call_reply_packed(call, packed);
    } else if (err != NULL) {
        rpc_call_fail_err(call, err);
    }
    rpc_call_unref(call);
}

static bool is_gone(void *arg)
{
    return rpc_call_is_gone(arg);
}

static enum export_format format_of(const char *word)
{
    return word != NULL && strcmp(word, export_format_names[EXPORT_PCAP]) == 0 ? EXPORT_PCAP
                                                                               : EXPORT_PCAPNG;
}

static void read_session(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    uint64_t now_ns = clock_wall_ns();
    uint64_t max_bytes = rpc_arg_size(args, "max_bytes", CHUNK_DEFAULT);
    const struct reading_spec spec = {
        .id = rpc_arg_text(args, "session_id"),
        .filter = rpc_arg_text(args, "filter"),
        .cursor = rpc_arg_text(args, "cursor"),
        .from_ns = rpc_arg_time_ns(args, "from", now_ns, 0),
        .to_ns = rpc_arg_time_ns(args, "to", now_ns, UINT64_MAX),
        .format = format_of(rpc_arg_text(args, "format")),
    };

    if (max_bytes < EXPORT_CHUNK_MIN) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"max_bytes\" is from %u to %u", EXPORT_CHUNK_MIN,
                      RPC_READ_MAX);
        return;
    }
    readings_next(
        node, &spec, (size_t)max_bytes,
        &(struct reading_asker){.done = on_chunk, .is_gone = is_gone, .arg = rpc_call_ref(call)});
}

static const struct rpc_handler handlers[] = {
    {"session.read", read_session},
};

const struct rpc_handler_group rpc_read_handlers = {handlers, ARRAY_LEN(handlers)};
