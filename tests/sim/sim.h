/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole swarm on a virtual clock: the core that the node runs (shared/swarm/swim.h), any number
 * of times in one process, with a network, clocks, processes and disks between which everything can
 * go wrong, and nothing happens that does not follow from the seed. A test of it reads like a
 * story:
 *
 *     struct swim_sim *sim = swim_sim_new(&(struct swim_sim_opts){.seed = 7, .n_nodes = 100});
 *     swim_sim_start_all(sim);
 *     swim_sim_run_until(sim, swim_sim_all_agree, 0, 5000);
 *     swim_sim_partition(sim, swim_sim_halves);
 *     swim_sim_run_for(sim, 60000);
 *     swim_sim_heal(sim);
 *     assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 5000));
 *
 * The properties I1 to I13 of the protocol are checked at every step (sim_check.c). The first one
 * that fails ends the run: it is printed with the seed and the last transitions, and everything
 * after it returns false at once. Not thread safe; independent simulations are independent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/swarm/swim.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_stats.h"

struct swim_sim;

struct swim_sim_opts {
    uint64_t seed;
    uint32_t n_nodes;
    const struct swim_rules *rules;    /* NULL: lan */
    const struct swim_crypto *crypto;  /* NULL: the null one */
    const struct sim_latency *latency; /* NULL: that of a LAN */
    uint32_t loss_ppm;
    uint32_t n_seeds;      /* nodes 0 to n − 1 are told to everybody; 0: one */
    uint32_t clock_off_ms; /* wall clocks are off by at most this; 0: 1000 */
    uint32_t drift_ppm;    /* and run at most this wrong; 0: 50 */
    uint32_t late_us;      /* a timer is served at most this late; 0: 100 */
    uint32_t kilobyte_ns;  /* what reading or writing 1024 bytes of a stream costs; 0: 1000 */
    uint32_t start_gap_us; /* between two starts of swim_sim_start_all */
    uint32_t n_cores;      /* that all nodes share, at most SIM_CORES; 0: each has its own */
    uint32_t datagram_ns;  /* of a shared core, to send one and to receive one */
    uint32_t n_meta;       /* bytes of meta data besides a number; 0: what a product node has */
    bool effortless;       /* computing takes no time, and links have no limit */
    bool accurate;         /* L3: a healthy node's death, said by a healthy one, fails */
    bool every_datagram;   /* is read, and what it tells is counted (I7); slow */
    bool trace;            /* every transition goes to stderr when it happens */
    bool quiet;            /* a failure is not printed; for tests of the checks */
};

struct swim_sim *swim_sim_new(const struct swim_sim_opts *opts);
void swim_sim_free(struct swim_sim *sim);

/* ---- time ---- */

/* What a run waits for; `node` is for it to use. */
typedef bool (*swim_sim_cb)(struct swim_sim *sim, uint32_t node);

uint64_t swim_sim_now_ns(const struct swim_sim *sim);
double swim_sim_now_s(const struct swim_sim *sim);
/* False: a property failed. */
bool swim_sim_run_for(struct swim_sim *sim, uint64_t ms);
/* True as soon as `is_so`; false: not within the time, or a property failed. */
bool swim_sim_run_until(struct swim_sim *sim, swim_sim_cb is_so, uint32_t node, uint64_t ms);
/* Calls `act` when ms have passed; at most as many as there is memory for. */
void swim_sim_after(struct swim_sim *sim, uint64_t ms, void (*act)(struct swim_sim *, uint32_t),
                    uint32_t node);

/* Nothing of that is done any more. */
void swim_sim_forget_plans(struct swim_sim *sim);

/* ---- conditions ---- */

/* Every running node holds every other one up, nothing else, and all have the same view. */
bool swim_sim_all_agree(struct swim_sim *sim, uint32_t);
/* The same within each part of a partition (nodes that share a set); O(n²). */
bool swim_sim_sides_agree(struct swim_sim *sim, uint32_t);
/* Nobody that runs holds it up. */
bool swim_sim_all_know_gone(struct swim_sim *sim, uint32_t node);
bool swim_sim_anybody_suspects(struct swim_sim *sim, uint32_t node); /* since swim_sim_watch */
bool swim_sim_has_left(struct swim_sim *sim, uint32_t node);

/* ---- processes ---- */

void swim_sim_start(struct swim_sim *sim, uint32_t node);
void swim_sim_start_all(struct swim_sim *sim);
/* As a process is killed: its sockets close, streams to it are refused, no farewell. */
void swim_sim_kill(struct swim_sim *sim, uint32_t node);
/* As a host loses its power: nothing answers any more. */
void swim_sim_power_off(struct swim_sim *sim, uint32_t node);
/* Says farewell; the process ends when the core says that it may. */
void swim_sim_leave(struct swim_sim *sim, uint32_t node);
/* Keeps the state directory. Killed before, when it runs. */
void swim_sim_restart(struct swim_sim *sim, uint32_t node);
/* The state directory is gone: a new identity at the same address. */
void swim_sim_restart_afresh(struct swim_sim *sim, uint32_t node);
/* Keys are there, what was persisted of the boot is not. */
void swim_sim_forget_boot(struct swim_sim *sim, uint32_t node);
/* Full: what the core wants persisted is not, and its process goes on, as the node does. Slow: it
 * takes so many ms, during which nothing else is done. */
void swim_sim_fill_disk(struct swim_sim *sim, uint32_t node, bool full);
void swim_sim_slow_disk(struct swim_sim *sim, uint32_t node, uint32_t ms);
/* `node` gets a copy of the state directory of `of` (a cloned machine), and is restarted with it.
 */
void swim_sim_clone(struct swim_sim *sim, uint32_t node, uint32_t of);
/* Two nodes change their addresses; both are restarted. */
void swim_sim_swap_addresses(struct swim_sim *sim, uint32_t a, uint32_t b);
/* SIGSTOP and SIGCONT: timers wait, and so do 4 MiB of datagrams; what comes beyond is dropped. */
void swim_sim_stall(struct swim_sim *sim, uint32_t node);
void swim_sim_resume(struct swim_sim *sim, uint32_t node);
/* Stalled for off_ms of each on_ms + off_ms, until on_ms is 0. */
void swim_sim_duty_cycle(struct swim_sim *sim, uint32_t node, uint32_t on_ms, uint32_t off_ms);
void swim_sim_step_clock(struct swim_sim *sim, uint32_t node, int64_t ms);
void swim_sim_set_keyring(struct swim_sim *sim, uint32_t node, const struct swim_keyring *ring);
/* What everybody starts with; `which` from 0 makes different ones. */
struct swim_key swim_sim_key(const struct swim_sim *sim, uint32_t which, enum swim_key_state state);
const struct swim_keyring *swim_sim_keyring(const struct swim_sim *sim, uint32_t node);

/* ---- the network ---- */

/* Which sets a node is in; nodes reach each other when they share one. */
typedef uint32_t (*swim_sim_sets_cb)(uint32_t node, uint32_t n_nodes);
uint32_t swim_sim_halves(uint32_t node, uint32_t n_nodes);
uint32_t swim_sim_bridge(uint32_t node, uint32_t n_nodes);   /* halves; node 0 is in both */
uint32_t swim_sim_minority(uint32_t node, uint32_t n_nodes); /* the last tenth, at least one */

void swim_sim_partition(struct swim_sim *sim, swim_sim_sets_cb sets);
/* Each node reaches a majority, no two the same one. */
void swim_sim_ring_of_majorities(struct swim_sim *sim);
void swim_sim_cut(struct swim_sim *sim, uint32_t from, uint32_t to);
void swim_sim_mend(struct swim_sim *sim, uint32_t from, uint32_t to);
void swim_sim_isolate(struct swim_sim *sim, uint32_t node);
/* Datagrams and streams of one node, each direction in ppm; 0, 0 ends it. */
void swim_sim_lossy(struct swim_sim *sim, uint32_t node, uint32_t in_ppm, uint32_t out_ppm);
void swim_sim_slow(struct swim_sim *sim, uint32_t node, uint32_t us);
/* Lifeguard's anomaly: its timers go on, its datagrams are held both ways, and all go at the end.
 */
void swim_sim_blackout(struct swim_sim *sim, uint32_t node, bool on);
/* Everything above is over; stalls and duty cycles too, and nobody is sick. */
void swim_sim_heal(struct swim_sim *sim);
struct sim_net *swim_sim_net(struct swim_sim *sim);

/* ---- attacks ---- */

/* Remember delivered datagrams (the last 4096 of each 1 in `every`), to be sent again later. */
void swim_sim_record(struct swim_sim *sim, uint32_t every);
/* n of them arrive again where they did, from where they came: nothing may change (I11). */
void swim_sim_replay(struct swim_sim *sim, uint32_t n);
/* n random or damaged datagrams to a node from an address that is nobody's (I12). */
void swim_sim_garbage(struct swim_sim *sim, uint32_t node, uint32_t n);

/* ---- looking ---- */

struct swim *swim_sim_core(struct swim_sim *sim, uint32_t node); /* NULL: does not run */
uint64_t swim_sim_sid(const struct swim_sim *sim, uint32_t node);
struct swim_now swim_sim_time_of(const struct swim_sim *sim, uint32_t node);
struct swim_addr swim_sim_addr(const struct swim_sim *sim, uint32_t node);
uint32_t swim_sim_n_nodes(const struct swim_sim *sim);
uint32_t swim_sim_n_running(const struct swim_sim *sim);
bool swim_sim_is_running(const struct swim_sim *sim, uint32_t node);
struct sim_random *swim_sim_random(struct swim_sim *sim); /* the story's own */
/* Does what the node's core wants done; after calling one of its inputs directly. */
void swim_sim_drain(struct swim_sim *sim, uint32_t node);

/* A sick node's death is no false one; kills, stalls and the like set it themselves. */
void swim_sim_set_sick(struct swim_sim *sim, uint32_t node, bool sick);

/* Of pairs (running observer, running member): the share that is held up. */
double swim_sim_share_known(const struct swim_sim *sim);
/* When something was first and last said of a node since swim_sim_watch; 0: not yet. */
struct swim_sim_seen {
    uint64_t first_suspect_ns, first_down_ns, last_down_ns, first_left_ns, last_left_ns;
    uint32_t n_suspect, n_down, n_left, n_up;
};
void swim_sim_watch(struct swim_sim *sim, uint32_t node);
const struct swim_sim_seen *swim_sim_seen(const struct swim_sim *sim, uint32_t node);

/* Of the whole run. */
struct swim_sim_totals {
    uint64_t n_steps;
    uint64_t n_datagrams, datagram_bytes; /* sent */
    uint64_t n_streams, stream_bytes;
    uint64_t n_down, n_down_false, n_down_false_at_healthy; /* events DOWN; of healthy nodes */
    uint64_t n_up, n_suspect, n_left, n_clone;
    uint64_t kernel_drops;
    uint64_t node_ns; /* virtual time × running nodes */
    uint64_t digest;  /* of everything that happened; equal seeds, equal digests */
};
const struct swim_sim_totals *swim_sim_totals(struct swim_sim *sim);
/* NULL: all properties hold; else which does not and how. */
const char *swim_sim_failure(const struct swim_sim *sim);
/* The first failure of a run, by a story: as a property would. Always false. */
bool swim_sim_fail(struct swim_sim *sim, const char *property, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
