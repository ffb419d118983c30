/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes on the wire: a clear head, the sealed frames, a tag.
 *
 *    0  u8  magic 0xD7      1  u8 version 1      2  u8 flags         3  u8 class (0 datagram, 1
 * stream) 4  u32 key id, big endian 8  16 bytes boot nonce, random for each life of a node 24  u64
 * counter, big endian, from 1, never the same again 32  ciphertext … 16 bytes tag
 *
 * Flag 1: the datagram is bound to one life of its receiver, whose boot nonce is authenticated and
 * not sent. A receiver that has started since cannot open it, so nothing that was recorded before a
 * restart says anything to it afterwards.
 *
 * The nonce of the cipher is bytes 8 to 31; authenticated are also bytes 0 to 7 and the cluster id,
 * which is not sent. The nonce is the identity for the replay window too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/swarm/swim_crypto.h"
#include "shared/swarm/swim_record.h"

#define SWIM_HEAD_BYTES   32
#define SWIM_SEALED_EXTRA (SWIM_HEAD_BYTES + SWIM_TAG_BYTES)
#define SWIM_DATAGRAM_MAX 1452
#define SWIM_MAGIC        0xD7
#define SWIM_VERSION      1
#define SWIM_KEYS_MAX     4

enum swim_class { SWIM_CLASS_DATAGRAM, SWIM_CLASS_STREAM };

enum swim_key_state { SWIM_KEY_INSTALLED, SWIM_KEY_ACTIVE, SWIM_KEY_RETIRING };

struct swim_key {
    uint8_t key[SWIM_KEY_BYTES];
    uint32_t id;
    uint8_t state; /* enum swim_key_state */
};

/* At most one is active: what is sent is sealed with it. All open. */
struct swim_keyring {
    struct swim_key keys[SWIM_KEYS_MAX];
    uint32_t n;
    uint8_t cluster_id[SWIM_CLUSTER_BYTES];
};

struct swim_envelope {
    uint32_t key_id;
    uint8_t class;
    uint8_t boot_nonce[SWIM_NONCE_BYTES];
    uint64_t counter;
    bool bound;                         /* to one life of the receiver */
    uint8_t to_nonce[SWIM_NONCE_BYTES]; /* that life's; when it is bound */
};

/* The head alone, before anything costs: false when it cannot be ours (its size, its first bytes, a
 * counter of 0). */
bool swim_envelope_read(const uint8_t *bytes, size_t n, struct swim_envelope *envelope);
const struct swim_key *swim_keyring_find(const struct swim_keyring *ring, uint32_t key_id);
const struct swim_key *swim_keyring_active(const struct swim_keyring *ring); /* NULL: none */
/* Frames stand at bytes + SWIM_HEAD_BYTES, n of them; head and tag are put around. Gives all bytes.
 */
size_t swim_envelope_seal(const struct swim_keyring *ring, const struct swim_key *key,
                          const struct swim_crypto *crypto, const struct swim_envelope *envelope,
                          uint8_t *bytes, size_t n);
/* Opens in place; *frames is borrowed from bytes. False: forged, damaged, another cluster's. */
bool swim_envelope_open(const struct swim_keyring *ring, const struct swim_key *key,
                        const struct swim_crypto *crypto, const uint8_t own_nonce[SWIM_NONCE_BYTES],
                        uint8_t *bytes, size_t n, const uint8_t **frames, size_t *n_frames);

/* The replay window of one boot nonce (RFC 6479): the highest counter and a bitmap of those before.
 */
#define SWIM_REPLAY_BITS 1024
/* How far behind the highest a counter may come: the last word is being reused. */
#define SWIM_REPLAY_WINDOW (SWIM_REPLAY_BITS - 64)
struct swim_replay {
    uint64_t highest;
    uint64_t seen[SWIM_REPLAY_BITS / 64];
};
/* All up to this counter are as good as seen. */
void swim_replay_begin(struct swim_replay *replay, uint64_t counter);
/* Looks only; cheap enough to come before the cipher. */
bool swim_replay_is_new(const struct swim_replay *replay, uint64_t counter);
/* After the tag was found good. */
void swim_replay_take(struct swim_replay *replay, uint64_t counter);
