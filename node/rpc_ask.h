/* SPDX-License-Identifier: Apache-2.0
 *
 * An RPC call as the asker of a question that HTTP asks too (node/ask.h): the answer's objects
 * become msgpack, the error one of RPC, and what was made or ended the target of the audit.
 */
#pragma once

#include "node/ask.h"
#include "node/rpc.h"

/* Good for one question. */
struct asker rpc_asker(struct rpc_call *call);
/* The same for answers that may be long and are as they stay when the worker has them: they are
 * packed there. */
struct asker rpc_asker_packing(struct rpc_call *call);

#define RPC_ASK_WHO_MAX 128

/* Who calls and from where, for the log; written to `out` and given back. */
const char *rpc_ask_who(const struct rpc_call *call, char out[RPC_ASK_WHO_MAX]);
