/* SPDX-License-Identifier: Apache-2.0
 *
 * A blocking client of a node's calls, for the command line and for tests: msgpack-RPC
 * (shared/wire/rpc.h) over a UNIX socket, or inside the channel (shared/wire/channel.h) over TCP.
 * Deadlines are absolute and monotonic; several calls may be under way at once. Whatever answers
 * may be hostile: messages are scanned before anything of them is believed, and all that is kept of
 * it is bounded. One thread at a time, but for rpc_client_interrupt. It does not reconnect.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_endpoint.h"

#define RPC_CLIENT_CALLS_MAX      1024u /* under way at once */
#define RPC_CLIENT_KEPT_MAX       256u  /* messages that came while another was waited for */
#define RPC_CLIENT_KEPT_MAX_BYTES (16u * 1024u * 1024u)

struct rpc_client;

struct rpc_client_opts {
    const struct rpc_endpoint *endpoint;
    const char *api_key; /* pr_ID_SECRET, for HOST:PORT; a UNIX socket needs none */
    int stop_fd;         /* connecting ends with ERR_INTERRUPTED when it is readable; 0 = none */
};

/* Connects (all addresses of the name) and opens the channel. ERR_KEY: no key, or one that the node
 * refuses; -ETIMEDOUT; ERR_DAMAGED when it is no packetrecorder that answers. Sentences name the
 * endpoint and the way out. */
int rpc_client_open(const struct rpc_client_opts *opts, uint64_t deadline_ns,
                    struct rpc_client **out, struct err *err);
void rpc_client_close(
    struct rpc_client *client); /* takes NULL; the node cancels what is under way */

/* One call: sends it and waits for its answer. args: a msgpack map, or {NULL, 0} for {}. *result is
 * borrowed until the next call of any function here; bytes NULL for nil. Negative: the error that
 * the node gave (rpc_client_error has its code), -ETIMEDOUT at the deadline (the call is then
 * cancelled on the node, and the client goes on), else the connection is of no use any more. */
int rpc_client_call(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, struct rpc_span *result, struct err *err);

/* The same in two steps. rpc_client_send: ERR_LIMIT when too many calls are under way or the call
 * is larger than RPC_REQUEST_MAX. deadline_ns goes with the call: the node gives up when it is
 * over; UINT64_MAX: none. */
int rpc_client_send(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, uint32_t *id, struct err *err);
/* Both with options: whom the call is for. Their deadline_ms is that of deadline_ns. */
int rpc_client_call_with(struct rpc_client *client, const char *method, struct rpc_span args,
                         const struct rpc_call_options *options, uint64_t deadline_ns,
                         struct rpc_span *result, struct err *err);
int rpc_client_send_with(struct rpc_client *client, const char *method, struct rpc_span args,
                         const struct rpc_call_options *options, uint64_t deadline_ns, uint32_t *id,
                         struct err *err);
/* Waits for the answer to that call; what else comes is kept. ERR_LIMIT when that is too much. */
int rpc_client_wait(struct rpc_client *client, uint32_t id, uint64_t deadline_ns,
                    struct rpc_span *result, struct err *err);
/* The next answer to any call, or notification: 1, borrowed until the next call of any function
 * here. Negative as above; -ETIMEDOUT: nothing is lost, and nothing is cancelled. */
int rpc_client_receive(struct rpc_client *client, uint64_t deadline_ns, struct rpc_message *message,
                       struct err *err);
/* What an answer (RPC_RESPONSE) says, as of rpc_client_wait. */
int rpc_client_answer(struct rpc_client *client, const struct rpc_message *message,
                      struct rpc_span *result, struct err *err);
/* Tells the node that nobody waits for that answer; it is dropped when it comes. */
int rpc_client_cancel(struct rpc_client *client, uint32_t id, uint64_t deadline_ns,
                      struct err *err);

/* The last error that the node gave: code, message, node; never NULL. */
const struct rpc_error *rpc_client_error(const struct rpc_client *client);
/* True when the connection has ended or broken: only rpc_client_close is left. */
bool rpc_client_is_broken(const struct rpc_client *client);

/* What waits ends with ERR_INTERRUPTED, once. Any thread, signal handlers. */
void rpc_client_interrupt(struct rpc_client *client);
