/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's life: its state directory (keys, the persisted boot), its clocks, its process, its
 * socket buffer. It drives one core as node/swarm_uv does: one input, then everything that the core
 * wants done, then a wake-up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/swarm/swim.h"
#include "tests/sim/sim_events.h"
#include "tests/sim/sim_packets.h"

#define SIM_SOCKET_BUFFER (4u << 20)
/* 2023-11-14, when everything begins. */
#define SIM_EPOCH_NS 1700000000000000000

struct sim_clock {
    uint64_t since_ns; /* virtual time at which the process started */
    uint64_t mono_ns;  /* its monotonic time then */
    int64_t off_ns;    /* of the wall clock */
    int32_t drift_ppb;
};

struct sim_node {
    struct swim *swim; /* NULL: no process */
    struct sim_event wake;
    uint64_t wake_mono_ns; /* what the wake-up is for */
    struct sim_event ready;
    uint64_t busy_ns;      /* until then it computes */
    uint64_t link_free_ns; /* until then its link is sending */
    struct sim_clock clock;

    /* The state directory. */
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];
    uint64_t sid;
    uint64_t persisted_boot;
    bool disk_is_full;
    uint32_t disk_ms; /* that persisting takes */
    uint32_t n_fresh; /* directories it has lost */
    struct swim_keyring keyring;

    uint32_t identity;
    uint32_t slot; /* its address */
    uint32_t life; /* processes so far */
    uint64_t n_conns;

    bool stalled, dark, silent, leaving;
    bool sick;
    uint32_t duty_on_ms, duty_off_ms;
    uint32_t duty_token; /* an older cycle's turn is void */
    struct sim_queue rx, tx;
    uint32_t kernel_drops; /* not yet told */

    /* For the checks. */
    uint8_t nonce[SWIM_NONCE_BYTES];
    uint64_t counter;
    struct swim_incarnation own;
    uint32_t n_steps;
    uint64_t last_token;  /* of its timers */
    uint32_t n_connected; /* times that it was isolated and is not */
    bool has_persisted;
    uint64_t n_sent, n_events; /* in this life */
};

struct swim_sim;

void sim_node_init(struct swim_sim *sim, uint32_t node);
struct swim_now sim_node_now(const struct swim_sim *sim, uint32_t node);
/* The first virtual time at which its monotonic clock shows that. */
uint64_t sim_node_when(const struct sim_node *node, uint64_t mono_ns);
void sim_node_start(struct swim_sim *sim, uint32_t node);
void sim_node_stop(struct swim_sim *sim, uint32_t node, bool silent);
void sim_node_make_keys(struct swim_sim *sim, uint32_t node);
/* Takes the packet: its process gets it, or its socket buffer does. */
void sim_node_arrive(struct swim_sim *sim, struct sim_packet *packet);
void sim_node_wake(struct swim_sim *sim, uint32_t node);
/* Takes the first that waits. */
void sim_node_ready(struct swim_sim *sim, uint32_t node);
/* How long n bytes wait for the link and are on it. */
uint64_t sim_node_link_ns(struct swim_sim *sim, uint32_t node, size_t n);
void sim_node_drain(struct swim_sim *sim, uint32_t node);
void sim_node_stall(struct swim_sim *sim, uint32_t node);
void sim_node_resume(struct swim_sim *sim, uint32_t node);
void sim_node_blackout(struct swim_sim *sim, uint32_t node, bool on);
struct swim_addr sim_node_addr(uint32_t slot);
/* The node whose address it is; SIM_NOBODY: nobody's. */
uint32_t sim_node_at(const struct swim_sim *sim, const struct swim_addr *addr);
