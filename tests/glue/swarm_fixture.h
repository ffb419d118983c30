/* SPDX-License-Identifier: Apache-2.0
 *
 * A few nodes' gossip on one loop (each with its own thread behind), on loopback and port 0, with
 * state directories and key files in a folder that goes with them. Nobody sleeps: swarm_pump turns
 * the loop until something is true.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "node/gossip.h"
#include "node/node.h"

#define SWARM_NODES_MAX   6
#define SWARM_PATIENCE_MS 15000

struct swarm_node {
    struct node node;
    struct node_options options;
    struct swarm *swarm;
    char database[128];
    char state_dir[128];
    char gossip_addr[64];
    char key_file[128];
    char join[64];
    const char *gossip_addrs[2];
    const char *joins[2];
    bool drained, closed, is_up;
};

struct swarm {
    uv_loop_t loop;
    char folder[64];
    struct swarm_node nodes[SWARM_NODES_MAX];
};

void swarm_init(struct swarm *swarm);
/* Ends all nodes that are up (without a farewell), closes all; fails when something is left. */
void swarm_deinit(struct swarm *swarm);
/* Node i on this address with port 0, of a key file "key-WORD"; joins node `join` (-1: nobody). */
void swarm_prepare(struct swarm *swarm, unsigned i, const char *addr, const char *key, int join);
int swarm_try_start(struct swarm *swarm, unsigned i, struct err *err);
void swarm_start(struct swarm *swarm, unsigned i);
/* Says farewell, and stays open. */
void swarm_leave(struct swarm *swarm, unsigned i);
/* With a farewell, or as if killed. */
void swarm_stop(struct swarm *swarm, unsigned i, bool leave);
/* False after the patience. */
bool swarm_pump(struct swarm *swarm, bool (*cond)(struct swarm *swarm, void *arg), void *arg);
void swarm_turns(struct swarm *swarm, unsigned ms);

/* What node i holds of the member named "nJ"; N_GOSSIP_STATES: nothing. */
enum gossip_state_word swarm_state(struct swarm *swarm, unsigned i, unsigned j,
                                   struct gossip_member *out);
struct swarm_wish {
    unsigned i, j;
    enum gossip_state_word state;
};
bool swarm_is(struct swarm *swarm, void *wish);
/* Fails the test when it does not come true. */
void swarm_await(struct swarm *swarm, unsigned i, unsigned j, enum gossip_state_word state);
/* How many events of that type node i has published. */
unsigned swarm_events(struct swarm *swarm, unsigned i, const char *type);
/* A value of /metrics, UINT64_MAX: there is none. */
uint64_t swarm_metric(struct swarm *swarm, unsigned i, const char *name);
