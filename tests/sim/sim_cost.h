/* SPDX-License-Identifier: Apache-2.0
 *
 * What an input costs its node: without it a thousand nodes would agree in the time of three
 * packets. Counted are the calls of the cryptography, which goes through here, and what is sent;
 * priced as measured on a 2-core machine (Ed25519 with libsodium, a system call for each datagram).
 */
#pragma once

#include <stdint.h>

#include "shared/swarm/swim_crypto.h"

#define SIM_VERIFY_NS   63000u
#define SIM_SIGN_NS     28000u
#define SIM_AEAD_NS     700u
#define SIM_SYSCALL_NS  4000u
#define SIM_KILOBYTE_NS 1000u /* of a stream: reading, copying, merging */
#define SIM_LINK_BIT_NS 1u    /* 1 Gb/s, out of each node */
#define SIM_HEADS_BYTES 66u   /* Ethernet, IP and UDP or TCP, with the gap between frames */

/* The counting one; calls go on to whatever sim_cost_begin() was given. */
extern const struct swim_crypto sim_crypto_counting;

/* kilobyte_ns: what 1024 bytes of a stream cost. */
void sim_cost_begin(const struct swim_crypto *crypto, uint32_t kilobyte_ns);
/* A datagram or a message of a stream was sent or received. */
void sim_cost_message(uint64_t n_stream_bytes);
/* Something else took that long. */
void sim_cost_wait(uint64_t ns);
/* Since sim_cost_begin(). */
uint64_t sim_cost_end(void);
