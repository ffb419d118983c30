/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel reads one thing of known length after another: `stage` says which, `want` how long it
 * is, `got` how much of it is there. Until the other side has proven its key all of them fit in
 * `early`; the buffer for frames is taken afterwards, and a frame that lies whole in the input is
 * opened from there. Names of the client's and the server's way of a handshake:
 *
 *   server   PREAMBLE, MESSAGE, PROOF_HEAD, PROOF, then FRAME_HEAD, FRAME ...
 *   client   ANSWER, MESSAGE, [PROOF_HEAD, PROOF,] then FRAME_HEAD, FRAME ...
 *
 * The first message of a handshake can be replayed, so a server takes nobody for a holder of the
 * key before its proof is there: only a side that knows an ephemeral secret can make one.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/channel.h"
#include "shared/wire/noise.h"

#define SIGNATURE_BYTES 64
#define NODE_PROOF      (CHANNEL_NODE_PUBLIC_BYTES + SIGNATURE_BYTES)
#define PROOF_MAX       (NODE_PROOF + NOISE_TAG_BYTES)
#define TEXT_BYTES      (sizeof CHANNEL_PROOF_CLIENT - 1)
#define SIGNED_BYTES    (TEXT_BYTES + NOISE_HASH_BYTES)

_Static_assert(CHANNEL_PREAMBLE_BYTES + NOISE_EXTRA_BYTES + CHANNEL_FRAME_HEAD_BYTES + PROOF_MAX <=
                   CHANNEL_STRANGER_BYTES,
               "a handshake fits what a stranger may send");
_Static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");
_Static_assert(CHANNEL_NODE_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(CHANNEL_NODE_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519");
_Static_assert(CHANNEL_FRAME_MAX == NOISE_MESSAGE_MAX, "a frame is a message of Noise");
_Static_assert(CHANNEL_FRAME_MAX - CHANNEL_PLAIN_MAX == NOISE_TAG_BYTES, "and its tag");
_Static_assert(CHANNEL_PSK_BYTES == NOISE_KEY_BYTES, "psk");
_Static_assert(sizeof CHANNEL_PROOF_CLIENT == sizeof CHANNEL_PROOF_SERVER, "one length for both");

static const uint8_t magic[4] = {0xd7, 'P', 'R', 'C'};

enum stage { PREAMBLE, ANSWER, MESSAGE, PROOF_HEAD, PROOF, FRAME_HEAD, FRAME };

struct channel {
    enum channel_state state;
    enum stage stage;
    bool is_server;
    enum channel_kind kind;
    enum channel_refusal refused;
    enum channel_refusal refuse_later; /* server: once the client has shown its key */
    int code;                          /* why it failed */
    char key_id[CHANNEL_KEY_ID_CHARS + 1];
    struct channel_server server;
    const struct channel_node *node;
    struct noise_handshake handshake;
    struct noise_cipher send;
    struct noise_cipher receive;
    uint8_t peer[CHANNEL_NODE_PUBLIC_BYTES];
    size_t want;
    size_t got;
    uint8_t early[PROOF_MAX];
    uint8_t *frame;    /* owned: CHANNEL_FRAME_MAX, for frames that come in pieces; plaintext */
    size_t frame_used; /* of the largest so far: the rest of it was never touched */
};

_Static_assert(PROOF_MAX >= NOISE_EXTRA_BYTES && PROOF_MAX >= CHANNEL_PREAMBLE_BYTES, "early");

static void expect(struct channel *c, enum stage stage, size_t want)
{
    c->stage = stage;
    c->want = want;
    c->got = 0;
}

static bool is_of_nodes(const struct channel *c)
{
    return c->kind != CHANNEL_API_KEY;
}

static struct channel *channel_new(const struct channel_node *node)
{
    REQUIRE(sodium_init() >= 0);
    struct channel *c = sodium_malloc(sizeof *c);
    REQUIRE(c != NULL);
    *c = (struct channel){.node = node};
    return c;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL) {
        return;
    }
    if (channel->frame != NULL) {
        sodium_memzero(channel->frame, channel->frame_used);
        mem_free(channel->frame);
    }
    sodium_free(channel); /* wipes */
}

static void begin(struct channel *c, const uint8_t *psk, const uint8_t *given,
                  const uint8_t preamble[CHANNEL_PREAMBLE_BYTES])
{
    uint8_t ephemeral[NOISE_KEY_BYTES];

    if (given != NULL) {
        memcpy(ephemeral, given, sizeof ephemeral);
    } else {
        randombytes_buf(ephemeral, sizeof ephemeral);
    }
    noise_begin(&c->handshake, c->is_server ? NOISE_RESPONDER : NOISE_INITIATOR, psk, ephemeral,
                preamble, CHANNEL_PREAMBLE_BYTES);
    sodium_memzero(ephemeral, sizeof ephemeral);
}

struct channel *channel_new_client(const struct channel_client *client, struct buf *out)
{
    struct channel *c = channel_new(client->node);
    uint8_t preamble[CHANNEL_PREAMBLE_BYTES] = {0};

    REQUIRE(strlen(client->key_id) == CHANNEL_KEY_ID_CHARS);
    REQUIRE(client->kind == CHANNEL_API_KEY || client->node != NULL);
    c->kind = client->kind;
    memcpy(c->key_id, client->key_id, CHANNEL_KEY_ID_CHARS);
    memcpy(preamble, magic, sizeof magic);
    preamble[4] = CHANNEL_VERSION;
    preamble[5] = (uint8_t)c->kind;
    memcpy(preamble + 8, c->key_id, CHANNEL_KEY_ID_CHARS);
    begin(c, client->psk, client->ephemeral, preamble);
    buf_append(out, preamble, sizeof preamble);
    (void)noise_write(&c->handshake, NULL, 0, buf_extend(out, NOISE_EXTRA_BYTES));
    expect(c, ANSWER, 1);
    return c;
}

struct channel *channel_new_server(const struct channel_server *server)
{
    struct channel *c = channel_new(server->node);

    REQUIRE(server->lookup != NULL);
    c->is_server = true;
    c->server = *server;
    expect(c, PREAMBLE, CHANNEL_PREAMBLE_BYTES);
    return c;
}

/* A server refuses: one byte, and what the operator reads. */
static int refuse(struct channel *c, enum channel_refusal refusal, struct buf *out, struct err *err)
{
    c->refused = refusal;
    buf_put_u8(out, (uint8_t)refusal);
    return err_set(err, refusal == CHANNEL_BAD_VERSION ? ERR_VERSION : ERR_KEY,
                   "refused a client with the key '%s': %s", c->key_id,
                   channel_refusal_name(refusal));
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_DAMAGED, "%s was altered on the way, or is of another connection",
                   what);
}

static bool key_id_is_plain(const uint8_t *id)
{
    for (size_t i = 0; i < CHANNEL_KEY_ID_CHARS; i++) {
        if (!(id[i] >= '0' && id[i] <= '9') && !(id[i] >= 'a' && id[i] <= 'z')) {
            return false;
        }
    }
    return true;
}

/* Server: 16 bytes of somebody. Those who do not speak this protocol get no byte. */
static int on_preamble(struct channel *c, const uint8_t *bytes, struct buf *out, struct err *err)
{
    struct channel_key key = {.refusal = CHANNEL_NOT_REFUSED};
    enum channel_refusal refusal = CHANNEL_NOT_REFUSED;

    if (memcmp(bytes, magic, sizeof magic) != 0) {
        return err_set(err, ERR_DAMAGED,
                       "a client that does not speak the channel (first byte 0x%02x)", bytes[0]);
    }
    if (bytes[4] != CHANNEL_VERSION || bytes[6] != 0 || bytes[7] != 0) {
        return refuse(c, CHANNEL_BAD_VERSION, out, err);
    }
    if (bytes[5] < CHANNEL_API_KEY || bytes[5] > CHANNEL_CLUSTER_CALLS ||
        (bytes[5] != CHANNEL_API_KEY && c->node == NULL)) {
        return refuse(c, CHANNEL_BAD_KIND, out, err);
    }
    c->kind = (enum channel_kind)bytes[5];
    if (!key_id_is_plain(bytes + 8)) {
        return refuse(c, CHANNEL_NO_SUCH_KEY, out, err);
    }
    memcpy(c->key_id, bytes + 8, CHANNEL_KEY_ID_CHARS);
    refusal = c->server.lookup(c->server.arg, c->kind, c->key_id, &key);
    if (refusal == CHANNEL_NOT_REFUSED) {
        begin(c, key.psk, c->server.ephemeral, bytes);
        c->refuse_later = key.refusal;
    }
    sodium_memzero(&key, sizeof key);
    if (refusal != CHANNEL_NOT_REFUSED) {
        return refuse(c, refusal, out, err);
    }
    expect(c, MESSAGE, NOISE_EXTRA_BYTES);
    return CHANNEL_MORE;
}

/* Client: may it go on? */
static int on_answer(struct channel *c, uint8_t byte, struct err *err)
{
    if (byte != CHANNEL_NOT_REFUSED) {
        return channel_refusal_error((enum channel_refusal)byte, c->kind, c->key_id, err);
    }
    expect(c, MESSAGE, NOISE_EXTRA_BYTES);
    return CHANNEL_MORE;
}

static void put_frame(struct channel *c, const void *plain, size_t n, struct buf *out)
{
    size_t sealed = n + NOISE_TAG_BYTES;
    uint8_t *at = buf_extend(out, CHANNEL_FRAME_HEAD_BYTES + sealed);

    at[0] = (uint8_t)(sealed >> 8);
    at[1] = (uint8_t)sealed;
    noise_seal(&c->send, plain, n, at + CHANNEL_FRAME_HEAD_BYTES);
    if (c->send.n % CHANNEL_REKEY_FRAMES == 0) {
        noise_rekey(&c->send);
    }
}

static bool open_frame(struct channel *c, const uint8_t *sealed, size_t n, uint8_t *out)
{
    if (!noise_open(&c->receive, sealed, n, out)) {
        return false;
    }
    if (c->receive.n % CHANNEL_REKEY_FRAMES == 0) {
        noise_rekey(&c->receive);
    }
    return true;
}

/* What a side signs; the role is in it, so that a signature cannot be given back. */
static void signed_text(const struct channel *c, bool by_server, uint8_t out[SIGNED_BYTES])
{
    memcpy(out, by_server ? CHANNEL_PROOF_SERVER : CHANNEL_PROOF_CLIENT, TEXT_BYTES);
    memcpy(out + TEXT_BYTES, c->handshake.hash, NOISE_HASH_BYTES);
}

static void put_proof(struct channel *c, struct buf *out)
{
    uint8_t text[SIGNED_BYTES];
    uint8_t proof[NODE_PROOF];

    if (!is_of_nodes(c)) {
        put_frame(c, NULL, 0, out);
        return;
    }
    signed_text(c, c->is_server, text);
    memcpy(proof, c->node->public_key, CHANNEL_NODE_PUBLIC_BYTES);
    (void)crypto_sign_detached(proof + CHANNEL_NODE_PUBLIC_BYTES, NULL, text, sizeof text,
                               c->node->secret_key);
    put_frame(c, proof, sizeof proof, out);
}

static int opened(struct channel *c)
{
    c->state = CHANNEL_OPEN;
    c->frame = x_alloc(CHANNEL_FRAME_MAX);
    expect(c, FRAME_HEAD, CHANNEL_FRAME_HEAD_BYTES);
    return CHANNEL_OPENED;
}

static int on_client_message(struct channel *c, const uint8_t *bytes, struct buf *out,
                             struct err *err)
{
    size_t before = out->len;

    if (!noise_read(&c->handshake, bytes, NOISE_EXTRA_BYTES, c->early)) {
        return refuse(c, CHANNEL_WRONG_KEY, out, err);
    }
    if (c->refuse_later != CHANNEL_NOT_REFUSED) {
        return refuse(c, c->refuse_later, out, err);
    }
    buf_put_u8(out, CHANNEL_NOT_REFUSED);
    if (!noise_write(&c->handshake, NULL, 0, buf_extend(out, NOISE_EXTRA_BYTES))) {
        out->len = before;
        return damaged(err, "the client's part of the handshake");
    }
    noise_split(&c->handshake, &c->send, &c->receive);
    if (is_of_nodes(c)) {
        put_proof(c, out);
    }
    expect(c, PROOF_HEAD, CHANNEL_FRAME_HEAD_BYTES);
    return CHANNEL_MORE;
}

static int on_server_message(struct channel *c, const uint8_t *bytes, struct buf *out,
                             struct err *err)
{
    if (!noise_read(&c->handshake, bytes, NOISE_EXTRA_BYTES, c->early)) {
        return damaged(err, "the node's part of the handshake");
    }
    noise_split(&c->handshake, &c->send, &c->receive);
    if (is_of_nodes(c)) {
        expect(c, PROOF_HEAD, CHANNEL_FRAME_HEAD_BYTES);
        return CHANNEL_MORE;
    }
    put_proof(c, out);
    return opened(c);
}

static int on_proof_head(struct channel *c, const uint8_t *bytes, struct err *err)
{
    size_t n = (is_of_nodes(c) ? NODE_PROOF : 0) + NOISE_TAG_BYTES;

    if (get_be16(bytes) != n) {
        return damaged(err, "the proof of a key");
    }
    expect(c, PROOF, n);
    return CHANNEL_MORE;
}

static int on_proof(struct channel *c, const uint8_t *bytes, struct buf *out, struct err *err)
{
    uint8_t text[SIGNED_BYTES];

    if (!open_frame(c, bytes, c->want, c->early)) {
        return damaged(err, "the proof of a key");
    }
    if (is_of_nodes(c)) {
        signed_text(c, !c->is_server, text);
        if (crypto_sign_verify_detached(c->early + CHANNEL_NODE_PUBLIC_BYTES, text, sizeof text,
                                        c->early) != 0) {
            return err_set(err, ERR_KEY,
                           "the other side has the cluster key, but not the node key "
                           "that it claims");
        }
        memcpy(c->peer, c->early, sizeof c->peer);
        if (!c->is_server) {
            put_proof(c, out);
        }
    }
    return opened(c);
}

static int on_frame_head(struct channel *c, const uint8_t *bytes, struct err *err)
{
    size_t n = get_be16(bytes);

    if (n <= NOISE_TAG_BYTES) {
        return err_set(err, ERR_DAMAGED, "a frame of %zu bytes holds nothing", n);
    }
    c->frame_used = c->frame_used > n ? c->frame_used : n;
    expect(c, FRAME, n);
    return CHANNEL_MORE;
}

static int on_frame(struct channel *c, const uint8_t *bytes, struct channel_data *data,
                    struct err *err)
{
    if (!open_frame(c, bytes, c->want, c->frame)) {
        return damaged(err, "a frame");
    }
    *data = (struct channel_data){c->frame, c->want - NOISE_TAG_BYTES};
    expect(c, FRAME_HEAD, CHANNEL_FRAME_HEAD_BYTES);
    return CHANNEL_DATA;
}

/* The next thing when it is whole: from the input where it lies there in one piece. */
static const uint8_t *gather(struct channel *c, struct bytes_reader *in)
{
    uint8_t *kept = c->stage == FRAME ? c->frame : c->early;
    size_t n = bytes_left(in) < c->want - c->got ? bytes_left(in) : c->want - c->got;

    if (n == c->want) {
        return bytes_take(in, n);
    }
    if (n > 0) {
        memcpy(kept + c->got, bytes_take(in, n), n);
        c->got += n;
    }
    return c->got == c->want ? kept : NULL;
}

static int on_whole(struct channel *c, const uint8_t *bytes, struct channel_data *data,
                    struct buf *out, struct err *err)
{
    switch (c->stage) {
    case PREAMBLE:
        return on_preamble(c, bytes, out, err);
    case ANSWER:
        return on_answer(c, bytes[0], err);
    case MESSAGE:
        return c->is_server ? on_client_message(c, bytes, out, err)
                            : on_server_message(c, bytes, out, err);
    case PROOF_HEAD:
        return on_proof_head(c, bytes, err);
    case PROOF:
        return on_proof(c, bytes, out, err);
    case FRAME_HEAD:
        return on_frame_head(c, bytes, err);
    case FRAME:
    default:
        return on_frame(c, bytes, data, err);
    }
}

int channel_read(struct channel *channel, struct bytes_reader *in, struct channel_data *data,
                 struct buf *out, struct err *err)
{
    int rc = CHANNEL_MORE;

    if (channel->state == CHANNEL_FAILED) {
        return err_set(err, channel->code, "the channel has failed before");
    }
    while (rc == CHANNEL_MORE) {
        const uint8_t *bytes = gather(channel, in);
        if (bytes == NULL) {
            return CHANNEL_MORE;
        }
        rc = on_whole(channel, bytes, data, out, err);
    }
    if (rc < 0) {
        channel->state = CHANNEL_FAILED;
        channel->code = rc;
        sodium_memzero(&channel->handshake, sizeof channel->handshake);
        sodium_memzero(&channel->send, sizeof channel->send);
        sodium_memzero(&channel->receive, sizeof channel->receive);
    }
    return rc;
}

void channel_seal(struct channel *channel, const void *plain, size_t n, struct buf *out)
{
    const uint8_t *at = plain;

    REQUIRE(channel->state == CHANNEL_OPEN);
    while (n > 0) {
        size_t part = n < CHANNEL_PLAIN_MAX ? n : CHANNEL_PLAIN_MAX;
        put_frame(channel, at, part, out);
        at += part;
        n -= part;
    }
}

int channel_ended(const struct channel *channel, struct err *err)
{
    if (channel->state == CHANNEL_OPEN) {
        return channel->stage == FRAME_HEAD && channel->got == 0
                   ? err_set(err, -ECONNRESET, "the connection has ended")
                   : err_set(err, ERR_DAMAGED, "the connection was cut inside a frame");
    }
    if (channel->is_server) {
        return err_set(err, -ECONNRESET, "the client went away in the handshake");
    }
    if (channel->stage != ANSWER) {
        return err_set(err, ERR_DAMAGED, "the connection was cut in the handshake");
    }
    return err_set(err, ERR_DAMAGED,
                   "it ended the connection without an answer: it is no packetrecorder, or not its "
                   "port for RPC");
}

enum channel_state channel_state(const struct channel *channel)
{
    return channel->state;
}

enum channel_kind channel_kind(const struct channel *channel)
{
    return channel->kind;
}

const char *channel_key_id(const struct channel *channel)
{
    return channel->key_id;
}

const uint8_t *channel_peer(const struct channel *channel)
{
    return channel->state == CHANNEL_OPEN && is_of_nodes(channel) ? channel->peer : NULL;
}

enum channel_refusal channel_refused(const struct channel *channel)
{
    return channel->refused;
}
