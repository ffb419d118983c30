/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/channel_pair.h"

#include <sodium.h>
#include <string.h>

#include "shared/base/mem.h"

static const uint8_t client_psk[CHANNEL_PSK_BYTES] = {1, 2, 3};

static enum channel_refusal lookup(void *arg, enum channel_kind kind, const char *key_id,
                                   struct channel_key *out)
{
    struct channel_pair *pair = arg;

    pair->lookups++;
    pair->kind_seen = kind;
    memcpy(pair->key_id_seen, key_id, sizeof pair->key_id_seen);
    memcpy(out->psk, pair->psk, sizeof out->psk);
    out->refusal = pair->refusal_later;
    return pair->refusal;
}

void pair_init_server(struct channel_pair *pair, enum channel_kind kind,
                      const uint8_t ephemeral[32])
{
    static const uint8_t client_ephemeral[32] = {11};
    uint8_t seed[crypto_sign_SEEDBYTES] = {0};

    REQUIRE(sodium_init() >= 0);
    *pair = (struct channel_pair){.refusal = CHANNEL_NOT_REFUSED};
    memcpy(pair->psk, client_psk, sizeof client_psk);
    for (unsigned i = 0; i < 2; i++) {
        seed[0] = (uint8_t)(21 + i);
        (void)crypto_sign_seed_keypair(pair->node_public[i], pair->node_secret[i], seed);
        pair->node[i] = (struct channel_node){pair->node_public[i], pair->node_secret[i]};
    }
    struct channel_client client = {.kind = kind,
                                    .key_id = PAIR_KEY_ID,
                                    .psk = client_psk,
                                    .node = &pair->node[0],
                                    .ephemeral = client_ephemeral};
    struct channel_server server = {
        .lookup = lookup, .arg = pair, .node = &pair->node[1], .ephemeral = ephemeral};
    pair->client.channel = channel_new_client(&client, &pair->client.out);
    pair->server.channel = channel_new_server(&server);
}

void pair_init(struct channel_pair *pair, enum channel_kind kind)
{
    static const uint8_t ephemeral[32] = {12};

    pair_init_server(pair, kind, ephemeral);
}

static void end_deinit(struct channel_end *end)
{
    channel_free(end->channel);
    buf_deinit(&end->out);
    buf_deinit(&end->seen);
}

void pair_deinit(struct channel_pair *pair)
{
    end_deinit(&pair->client);
    end_deinit(&pair->server);
}

static void end_read(struct channel_end *end, const uint8_t *bytes, size_t n)
{
    struct bytes_reader in = bytes_reader(bytes, n);
    struct channel_data data = {NULL, 0};

    do {
        end->rc = channel_read(end->channel, &in, &data, &end->out, &end->err);
        end->opened += end->rc == CHANNEL_OPENED;
        if (end->rc == CHANNEL_DATA) {
            REQUIRE(data.n > 0 && data.n <= CHANNEL_PLAIN_MAX);
            buf_append(&end->seen, data.bytes, data.n);
        }
    } while (end->rc > CHANNEL_MORE);
    REQUIRE(end->rc < 0 || bytes_left(&in) == 0);
    REQUIRE((end->rc < 0) == (channel_state(end->channel) == CHANNEL_FAILED));
}

bool end_feed(struct channel_end *end, const void *bytes, size_t n, size_t step)
{
    const uint8_t *at = bytes;

    while (n > 0 && end->rc >= 0) {
        size_t part = n < step ? n : step;
        end_read(end, at, part);
        at += part;
        n -= part;
    }
    return end->rc >= 0;
}

bool end_carry(struct channel_end *from, struct channel_end *to, size_t step)
{
    bool good = end_feed(to, from->out.data, from->out.len, step);

    buf_reset(&from->out);
    return good;
}

void pair_open(struct channel_pair *pair, enum channel_kind kind)
{
    pair_init(pair, kind);
    REQUIRE(end_carry(&pair->client, &pair->server, SIZE_MAX));
    REQUIRE(end_carry(&pair->server, &pair->client, SIZE_MAX));
    REQUIRE(end_carry(&pair->client, &pair->server, SIZE_MAX));
    REQUIRE(channel_state(pair->client.channel) == CHANNEL_OPEN);
    REQUIRE(channel_state(pair->server.channel) == CHANNEL_OPEN);
}
