/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls and answers of live.open, live.read and live.close for who follows an interface of
 * another node: a member that relays it, or a client. Answers are hostile; what they claim is
 * checked for its shape and bounds here, and what the packets are by who reads pcapng.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/rpc.h"

#define RPC_LIVE_NODE_MAX 256
#define RPC_LIVE_WHY_MAX  256
/* Bytes of packets that an answer may have: one packet of the largest size more than was asked. */
#define RPC_LIVE_ANSWER_MAX (RPC_LIVE_MAX + 512u * 1024u)

struct rpc_live_opened {
    uint64_t stream;
    uint32_t link_type;
    uint32_t snaplen;
};

struct rpc_live_answer {
    struct rpc_span data; /* pcapng blocks, borrowed; n may be 0 */
    uint64_t watermark_ns;
    uint64_t packets;
    uint64_t lost;
    bool has_clock;
    int64_t offset_ns; /* the clock that stamps the packets, minus swarm time */
    uint64_t bound_ns;
    bool end;
    char node[RPC_LIVE_NODE_MAX];
    char why[RPC_LIVE_WHY_MAX]; /* printable; "" = not said */
};

/* Arguments, appended: filter NULL or "" = all; snaplen 0 = all. */
void rpc_live_put_open(struct buf *out, const char *interface, const char *filter,
                       uint32_t snaplen);
void rpc_live_put_read(struct buf *out, uint64_t stream, uint64_t wait_ms, uint64_t max_bytes);
void rpc_live_put_close(struct buf *out, uint64_t stream);

/* ERR_DAMAGED: it is not such an answer. Members that are not known are read over. */
int rpc_live_read_opened(struct rpc_span result, struct rpc_live_opened *out, struct err *err);
int rpc_live_read_answer(struct rpc_span result, struct rpc_live_answer *out, struct err *err);
