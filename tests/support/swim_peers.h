/* SPDX-License-Identifier: Apache-2.0
 *
 * One core among peers that exist as keys and counters only: what they say is made here, frame by
 * frame, and given to the core as the datagrams that it would get. The test is all of the network,
 * all of the clock, and whatever the peers want to be. swim_crypto_null unless it is told
 * otherwise.
 */
#pragma once

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/swarm/swim_internal.h"
#include "tests/support/swim_keys.h"

#define SWIM_TEST_WALL_MS 1764000000000ull

struct swim_test_peer {
    struct swim_test_member keys;
    uint64_t sid;
    struct swim_incarnation incarnation; /* of the record that it makes next */
    uint8_t nonce[SWIM_NONCE_BYTES];
    uint64_t counter;
    struct swim_addr addr;
};

/* Datagrams are bound to the core's life, as those of peers that know it are. */
struct swim_test_net {
    const struct swim_crypto *crypto;
    struct swim_keyring ring;
    struct swim *swim;
    struct swim_now now;
    struct swim_scratch scratch;
    bool unbound; /* but not these: as strangers to it do */
};

static inline struct swim_addr swim_test_addr(uint8_t i)
{
    return (struct swim_addr){.family = 4, .ip = {192, 0, 2, i}, .port = 8081};
}

/* The i-th of all; 0 is the core's own identity. */
static inline struct swim_test_peer swim_test_peer(const struct swim_crypto *crypto, uint8_t i)
{
    struct swim_test_peer peer = {.keys = swim_test_member(crypto, i),
                                  .incarnation = {SWIM_TEST_WALL_MS + i, 0},
                                  .addr = swim_test_addr(i)};
    const struct swim_id id = swim_id_of(peer.keys.public_key);

    peer.sid = swim_sid(&id);
    memset(peer.nonce, 0x10 + i, sizeof peer.nonce);
    return peer;
}

static inline size_t swim_test_record_of(const struct swim_test_net *net,
                                         const struct swim_test_peer *peer, bool left,
                                         uint8_t out[SWIM_RECORD_MAX])
{
    struct swim_record record = {
        .incarnation = peer->incarnation, .left = left, .n_addrs = 1, .addrs = {peer->addr}};

    memcpy(record.public_key, peer->keys.public_key, sizeof record.public_key);
    memcpy(record.boot_nonce, peer->nonce, sizeof record.boot_nonce);
    return swim_record_write(&record, net->crypto, peer->keys.secret_key, net->ring.cluster_id,
                             out);
}

static inline struct swim_config swim_test_config(const struct swim_test_net *net,
                                                  const struct swim_rules *rules)
{
    struct swim_test_peer self = swim_test_peer(net->crypto, 0);
    struct swim_config config = {.rules = rules,
                                 .crypto = net->crypto,
                                 .keyring = net->ring,
                                 .n_addrs = 1,
                                 .addrs = {self.addr}};

    memcpy(config.public_key, self.keys.public_key, sizeof config.public_key);
    memcpy(config.secret_key, self.keys.secret_key, sizeof config.secret_key);
    memset(config.seed, 7, sizeof config.seed);
    return config;
}

static inline void swim_test_net_init(struct swim_test_net *net, const struct swim_crypto *crypto,
                                      const struct swim_rules *rules)
{
    *net = (struct swim_test_net){.crypto = crypto, .ring = swim_test_keyring()};
    net->now = (struct swim_now){.mono_ns = 1000 * SWIM_MS,
                                 .wall_ns = (int64_t)(SWIM_TEST_WALL_MS * SWIM_MS)};
    const struct swim_config config = swim_test_config(net, rules);
    net->swim = swim_new(&config, net->now);
}

static inline void swim_test_pass(struct swim_test_net *net, uint64_t ms)
{
    net->now.mono_ns += ms * SWIM_MS;
    net->now.wall_ns += (int64_t)(ms * SWIM_MS);
}

/* A run of frames, sealed as the peer's next datagram. */
static inline void swim_test_say_bytes(struct swim_test_net *net, struct swim_test_peer *peer,
                                       const struct swim_addr *from, const uint8_t *run, size_t n)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    struct swim_envelope envelope = {.counter = ++peer->counter, .bound = !net->unbound};

    n = n > SWIM_DATAGRAM_MAX - SWIM_SEALED_EXTRA ? SWIM_DATAGRAM_MAX - SWIM_SEALED_EXTRA : n;
    if (n > 0) {
        memcpy(bytes + SWIM_HEAD_BYTES, run, n);
    }
    memcpy(envelope.boot_nonce, peer->nonce, sizeof envelope.boot_nonce);
    memcpy(envelope.to_nonce, net->swim->own.boot_nonce, sizeof envelope.to_nonce);
    const struct swim_key *key = swim_keyring_active(&net->ring);
    envelope.key_id = key->id;
    n = swim_envelope_seal(&net->ring, key, net->crypto, &envelope, bytes, n);
    swim_on_datagram(net->swim, net->now, from, bytes, n, 0);
}

static inline void swim_test_say(struct swim_test_net *net, struct swim_test_peer *peer,
                                 const struct swim_frame *frames, uint32_t n)
{
    uint8_t run[SWIM_DATAGRAM_MAX];
    struct pack pack = pack_into(run, sizeof run);

    for (uint32_t i = 0; i < n; i++) {
        swim_frame_write(&pack, &frames[i]);
    }
    REQUIRE(!pack.failed);
    swim_test_say_bytes(net, peer, &peer->addr, run, pack_length(&pack));
}

/* Its record, so that the core knows it. */
static inline void swim_test_say_alive(struct swim_test_net *net, struct swim_test_peer *peer)
{
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_frame frame = {.type = SWIM_ALIVE_FRAME, .bin = record};

    frame.n_bin = swim_test_record_of(net, peer, false, record);
    swim_test_say(net, peer, &frame, 1);
}

/* What the core said in a datagram: each frame of it. Bytes are clear under swim_crypto_null. */
static inline bool swim_test_next_frame(struct unpack *run, struct swim_frame *frame)
{
    enum swim_frame_read read;

    do {
        read = swim_frame_read(run, SWIM_STREAM_BIN_MAX, frame);
    } while (read == SWIM_FRAME_OTHER);
    REQUIRE(read != SWIM_FRAME_BAD);
    return read == SWIM_FRAME_OK;
}
