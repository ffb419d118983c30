/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of the membership protocol: who (id), which life and version of it (incarnation), where
 * (address), what we hold of it (state), and when (now). Plain values, copied freely.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SWIM_ID_BYTES     16
#define SWIM_PUBLIC_BYTES 32
#define SWIM_SECRET_BYTES 64
#define SWIM_NONCE_BYTES  16
#define SWIM_LIFE_BYTES   12 /* of a boot nonce: those for a whole life */

/* BLAKE2b-128 of the node's public key. Names and addresses are labels. */
struct swim_id {
    uint8_t bytes[SWIM_ID_BYTES];
};

/* The short id: the first 8 bytes of the id, big endian. 0 is nobody. */
static inline uint64_t swim_sid(const struct swim_id *id)
{
    uint64_t sid;

    memcpy(&sid, id->bytes, sizeof sid);
    return __builtin_bswap64(sid);
}

/* boot: which life, in ms since the epoch or more; seq: which version of the record in that life.
 * Only the node itself ever makes new ones. */
#define SWIM_BOOT_MAX (1ull << 53)
struct swim_incarnation {
    uint64_t boot; /* 1 … SWIM_BOOT_MAX */
    uint32_t seq;
};

static inline int swim_incarnation_compare(struct swim_incarnation a, struct swim_incarnation b)
{
    if (a.boot != b.boot) {
        return a.boot < b.boot ? -1 : 1;
    }
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

/* Which of the nonces of a life: another random one for each refutation. Who has the key of the
 * cluster can spoil the window of counters of a nonce (by one that is far ahead), but only of one
 * that was used; so it keeps nobody from saying that it lives. Not 0. */
static inline uint32_t swim_generation(const uint8_t nonce[SWIM_NONCE_BYTES])
{
    uint32_t generation;

    memcpy(&generation, nonce + SWIM_LIFE_BYTES, sizeof generation);
    return __builtin_bswap32(generation);
}

static inline void swim_set_generation(uint8_t nonce[SWIM_NONCE_BYTES], uint32_t generation)
{
    generation = __builtin_bswap32(generation);
    memcpy(nonce + SWIM_LIFE_BYTES, &generation, sizeof generation);
}

/* In the order of precedence at equal incarnations. */
enum swim_state {
    SWIM_ALIVE,
    SWIM_SUSPECT,
    SWIM_DEAD,
    SWIM_LEFT,
};

/* IPv4 in the first four bytes. family: 4, 6, or 0 for none. */
struct swim_addr {
    uint8_t ip[16];
    uint16_t port;
    uint8_t family;
};

static inline bool swim_addr_is_same(const struct swim_addr *a, const struct swim_addr *b)
{
    return a->family == b->family && a->port == b->port &&
           memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

/* mono_ns orders and times everything; wall_ns goes into time stamps only. */
struct swim_now {
    uint64_t mono_ns;
    int64_t wall_ns;
};

#define SWIM_MS    1000000ull /* ns */
#define SWIM_NEVER UINT64_MAX
