/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's side of swim_on_stream: connections between nodes with what TCP and a handshake
 * cost, messages whole and in order. A cut does not break one at once: what is sent is tried again,
 * and after SIM_STREAM_GIVE_UP_MS both ends hear that it is closed. A process that is killed closes
 * its ends; nobody listens where none runs.
 */
#pragma once

#include <stdint.h>

#include "tests/sim/sim_packets.h"

#define SIM_STREAM_GIVE_UP_MS 10000u

enum sim_stream_what {
    SIM_STREAM_CONNECT,   /* arrives at the one that accepts */
    SIM_STREAM_CONNECTED, /* arrives at the one that opened */
    SIM_STREAM_REFUSED,   /* the same */
    SIM_STREAM_BYTES,
    SIM_STREAM_END,
};

struct sim_end {
    uint32_t node;
    uint32_t life; /* of the node: a later one does not know the stream */
    uint32_t conn; /* what its core calls it */
    bool open;     /* its core holds it to be open */
};

struct sim_stream {
    uint32_t generation; /* packets of an earlier one are dropped */
    bool used;
    struct sim_end ends[2]; /* 0: who opened it */
    uint64_t last_due_ns[2];
    uint64_t n_put[2], n_taken[2]; /* messages by direction, so that none overtakes */
};

struct sim_streams {
    struct sim_stream *streams; /* owned */
    uint32_t n, cap;
    uint32_t *free; /* owned */
    uint32_t n_free;
};

struct swim_sim;

void sim_streams_deinit(struct sim_streams *streams);
void sim_stream_open(struct swim_sim *sim, uint32_t node, uint32_t conn, uint32_t to);
void sim_stream_write(struct swim_sim *sim, uint32_t node, uint32_t conn, const void *bytes,
                      size_t n);
void sim_stream_close(struct swim_sim *sim, uint32_t node, uint32_t conn);
/* All of a node whose process ends; `silent`: the others are not told. */
void sim_stream_close_all(struct swim_sim *sim, uint32_t node, bool silent);
/* A packet's time has come: true when its node should get it now, false when it was tried again or
 * dropped (it is freed or put then). */
bool sim_stream_arrives(struct swim_sim *sim, struct sim_packet *packet);
/* Gives it to the node's core. The packet stays the caller's. */
void sim_stream_deliver(struct swim_sim *sim, struct sim_packet *packet);
/* There is no process to give it to: a connection is refused. Takes the packet. */
void sim_stream_refuse(struct swim_sim *sim, struct sim_packet *packet);
