/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the swarm must survive a restart, in --state-dir: the node's own key (node.key, made at
 * the first start), the boot of its last life (boot), the ring of cluster keys (keyring), the
 * orders of operators that it has heard (orders, gossip_orders_uv.c), and how swarm time stands
 * (time, gossip_time_uv.c). Each file is 0600 and
 * replaced whole: a new one beside it, synced, renamed. One process at a time has a directory. It
 * must not be copied: two nodes with one key are one member with two mouths.
 *
 * keyring is text: a line "packetrecorder keyring 1", "cluster ID", "file KEY-ID" (the key that
 * --cluster-key-file held when it was read last), "since MS" (the active key is active), for each
 * key "key KEY STATE UNTIL", KEY in base64url, STATE active, installed or retiring, UNTIL seconds
 * since 1970 or 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/gossip_keys.h"
#include "shared/base/err.h"

#define GOSSIP_KERNEL_TEXT 37 /* a UUID */

/* Swarm time by the one clock that goes on from life to life and is never set: that of the kernel
 * since it was booted. */
struct gossip_kept_time {
    char kernel[GOSSIP_KERNEL_TEXT]; /* its boot: /proc/sys/kernel/random/boot_id */
    int64_t ahead_ns;                /* swarm time minus CLOCK_BOOTTIME */
    uint64_t kept_ns;                /* when, by CLOCK_BOOTTIME */
};

struct gossip_state {
    int dir_fd;
    int lock_fd;
    char *path; /* owned */
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];
    uint64_t boot; /* 0: the first life */
    bool has_ring;
    struct gossip_ring ring;
};

/* Makes the directory and the key where there is none. ERR_IN_USE: another process has it. */
int gossip_state_open(const char *path, struct gossip_state *state, struct err *err);
/* Durable when it returns 0. */
int gossip_state_put_boot(const struct gossip_state *state, uint64_t boot, struct err *err);
int gossip_state_put_ring(const struct gossip_state *state, const struct gossip_ring *ring,
                          struct err *err);
/* "": none have been kept. What does not fit is cut. */
int gossip_state_get_orders(const struct gossip_state *state, char *text, size_t room,
                            struct err *err);
int gossip_state_put_orders(const struct gossip_state *state, const char *text, struct err *err);
/* False: none was kept, or none that can be read. */
bool gossip_state_get_time(const struct gossip_state *state, struct gossip_kept_time *out);
int gossip_state_put_time(const struct gossip_state *state, const struct gossip_kept_time *kept,
                          struct err *err);
/* Erases the keys; of a zeroed one: nothing. */
void gossip_state_close(struct gossip_state *state);
