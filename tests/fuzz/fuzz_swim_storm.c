/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole core in a storm: peers say anything in any order, streams do what they like, time jumps
 * ahead, the wall clock jumps anywhere, the driver is lazy. The input is a list of orders of two
 * bytes and what they need. The envelopes are right and the null cipher is used, so that what is
 * said reaches the logic; frames are made of words that mean something here (a peer, the
 * incarnation that is held of it and its neighbours, numbers of probes under way), or are bytes.
 *
 * After each order: REQUIREs of the core hold, memory and queues are bounded, what is held never
 * goes back (I2, I3, I4), datagrams fit (I6), Up and Down alternate (I13), counts of the table are
 * right.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_internal.h"
#include "shared/swarm/swim_kv.h"
#include "tests/support/swim_peers.h"

#define N_PEERS    24
#define N_SEQS     8
#define LAZY_MOST  6   /* orders in a row without taking what is to be done */
#define ORDERS_MAX 400 /* of one input */
#define LATEST_NS  (1ull << 61)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was told of a member, and held. */
struct known {
    bool up, left;
    uint64_t boot, left_boot;
    struct swim_incarnation held;
    enum swim_state state;
};

struct storm {
    struct bytes_reader in;
    struct swim_test_net net;
    struct swim_test_peer peers[N_PEERS]; /* 0: the core itself, or who has its key */
    struct known known[N_PEERS];
    uint64_t seqs[N_SEQS]; /* of the core's last pings and hellos */
    uint32_t n_seqs;
    uint32_t conns[8]; /* that it opened last */
    uint32_t n_conns;
    uint32_t lazy;
    bool persisted;
    uint64_t persisted_boot;
};

static int peer_of(const struct storm *storm, uint64_t sid)
{
    for (int i = 0; i < N_PEERS; i++) {
        if (storm->peers[i].sid == sid) {
            return i;
        }
    }
    return -1;
}

/* ---- what the core wants done ---- */

static void check_event(struct storm *storm, const struct swim_action *action)
{
    int i = peer_of(storm, action->sid);

    if (action->sid == 0 || action->event == SWIM_EVENT_CLONE ||
        action->event >= SWIM_EVENT_BANNED) {
        return;
    }
    REQUIRE(i > 0);
    struct known *known = &storm->known[i];
    switch (action->event) {
    case SWIM_EVENT_UP:
        REQUIRE(!known->up);
        REQUIRE(!known->left || action->incarnation.boot > known->left_boot);
        known->up = true;
        known->boot = action->incarnation.boot;
        break;
    case SWIM_EVENT_LEFT:
    case SWIM_EVENT_DOWN:
        REQUIRE(known->up && action->incarnation.boot == known->boot);
        known->up = false;
        if (action->event == SWIM_EVENT_LEFT) {
            known->left = true;
            known->left_boot = action->incarnation.boot;
        }
        break;
    default:
        REQUIRE(known->up && action->incarnation.boot == known->boot);
        break;
    }
}

static void hear(struct storm *storm, const uint8_t *bytes, size_t n)
{
    struct unpack run = unpack_from(bytes, n);
    struct swim_frame frame;

    while (swim_test_next_frame(&run, &frame)) {
        if (frame.type == SWIM_PING || frame.type == SWIM_HELLO || frame.type == SWIM_PINGREQ) {
            storm->seqs[storm->n_seqs++ % N_SEQS] = frame.seq;
        }
    }
}

static void drain(struct storm *storm)
{
    struct swim_action action;

    while (swim_next(storm->net.swim, storm->net.now, &storm->net.scratch, &action)) {
        REQUIRE(storm->persisted || action.kind == SWIM_PERSIST);
        switch (action.kind) {
        case SWIM_SEND:
            REQUIRE(action.n <= storm->net.swim->mtu);
            hear(storm, action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
            break;
        case SWIM_STREAM_OPEN:
            REQUIRE(action.conn != 0 && action.conn < 1u << 31);
            storm->conns[storm->n_conns++ % ARRAY_LEN(storm->conns)] = action.conn;
            break;
        case SWIM_STREAM_WRITE:
            REQUIRE(action.n <= SWIM_STREAM_MESSAGE_MAX);
            hear(storm, action.bytes, action.n);
            break;
        case SWIM_EVENT:
            check_event(storm, &action);
            break;
        case SWIM_PERSIST:
            REQUIRE(!storm->persisted || action.boot > storm->persisted_boot);
            storm->persisted = true;
            storm->persisted_boot = action.boot;
            break;
        default:
            break;
        }
    }
    storm->lazy = 0;
}

/* ---- what must hold ---- */

static void check_table(struct storm *storm)
{
    const struct swim *swim = storm->net.swim;
    uint32_t n_live = 0;
    uint32_t n_rumors = 0;
    uint64_t sum = 0;

    for (int i = 0; i < N_PEERS; i++) {
        const struct swim_member *member = swim_find(swim, storm->peers[i].sid);
        struct swim_incarnation *held = &storm->known[i].held;
        if (member == NULL) {
            *held = (struct swim_incarnation){0}; /* its tombstone went */
            storm->known[i].left = false;
            storm->known[i].state = SWIM_ALIVE;
            continue;
        }
        /* So its incarnation does not either, unless it lives on after its farewell. */
        REQUIRE(swim_precedence(member->incarnation, (enum swim_state)member->state, *held,
                                storm->known[i].state) >= 0);
        *held = member->incarnation;
        storm->known[i].state = (enum swim_state)member->state;
        REQUIRE((member->state == SWIM_SUSPECT) == (member->suspicion != NULL));
        REQUIRE(member == swim->self || member->up == swim_is_live(member));
        n_live += swim_is_live(member);
        n_rumors += member->queue_tier != 0;
        sum += swim_is_live(member) ? member->hash : 0;
    }
    REQUIRE(n_live == swim->table.n_live && n_rumors == swim->rumors.n);
    REQUIRE(sum == swim_view_hash(swim));
}

/* Bytes that the core may have: what is there once, and so much for each member, stream and message
 * that waits. Events wait for a lazy driver. */
static void check_bounds(const struct storm *storm)
{
    const struct swim *swim = storm->net.swim;
    size_t members = (size_t)swim->table.n + 16;
    size_t most = sizeof *swim + SWIM_OUTBOX_MAX * sizeof *swim->outbox + 65536;

    most += members *
            (sizeof(struct swim_member) + sizeof(struct swim_suspicion) + SWIM_RECORD_MAX + 256);
    most += (swim->n_conns + 16ul) * (sizeof(struct swim_conn) + 64) + swim->timers.cap * 8ul;
    most += swim->cap_events * sizeof *swim->events;
    most += swim->out_n * (members + 160) * sizeof(uint64_t);
    if (swim->kv != NULL) {
        most += SWIM_KV_MAX * (SWIM_KV_VALUE_MAX + 256ul);
    }
    REQUIRE(swim_memory(swim) <= most);
    REQUIRE(swim->out_n <= SWIM_OUTBOX_MAX && swim->n_conns <= SWIM_CONNS_MAX);
    REQUIRE(swim->cap_events <= 1u << 15);
    REQUIRE(swim_deadline(swim) >= swim->now.mono_ns ||
            storm->net.now.mono_ns >= swim->now.mono_ns);
}

/* ---- what is said ---- */

static uint32_t below(struct storm *storm, uint32_t n)
{
    return bytes_u8(&storm->in) % n;
}

static uint64_t some_sid(struct storm *storm)
{
    uint32_t i = below(storm, N_PEERS + 2);

    return i < N_PEERS ? storm->peers[i].sid : i == N_PEERS ? 0x1234567890abcdefull : 1;
}

/* What is held of it, or a little more or less. */
static struct swim_incarnation some_incarnation(struct storm *storm, uint64_t sid)
{
    const struct swim_member *member = swim_find(storm->net.swim, sid);
    struct swim_incarnation incarnation = {SWIM_TEST_WALL_MS, 0};
    uint8_t by = bytes_u8(&storm->in);

    if (member != NULL) {
        incarnation = member->incarnation;
    }
    if (by < 128) {
        return incarnation;
    }
    incarnation.seq += (uint32_t)(by % 8) - 3;
    incarnation.boot += by >= 192 ? (uint64_t)(by % 16) - 7 : 0;
    incarnation.boot = by == 255 ? UINT64_MAX : incarnation.boot;
    incarnation.boot += incarnation.boot == 0;
    return incarnation;
}

static uint64_t some_seq(struct storm *storm)
{
    uint8_t at = bytes_u8(&storm->in);

    return at < 224 ? storm->seqs[at % N_SEQS] : at;
}

/* A record that its peer signed, of this life or another, with anybody's nonce. */
static size_t some_record(struct storm *storm, bool left, uint8_t out[SWIM_RECORD_MAX])
{
    struct swim_test_peer *peer = &storm->peers[below(storm, N_PEERS)];
    uint8_t what = bytes_u8(&storm->in);

    if ((what & 1) != 0) {
        peer->incarnation = some_incarnation(storm, peer->sid);
    } else if ((what & 2) != 0) {
        peer->incarnation.seq++;
        swim_set_generation(peer->nonce, swim_generation(peer->nonce) + 1);
    } else if ((what & 4) != 0) {
        peer->incarnation.boot++;
        peer->incarnation.seq = 0;
        peer->nonce[0]++;
    }
    if ((what & 0x18) == 0x18) {
        memcpy(peer->nonce, storm->peers[below(storm, N_PEERS)].nonce, sizeof peer->nonce);
    }
    if ((what & 0xe0) == 0xe0) {
        peer->addr = swim_test_addr(bytes_u8(&storm->in));
    }
    return swim_test_record_of(&storm->net, peer, left, out);
}

struct words {
    uint8_t bin[SWIM_BIN_MAX];
};

static size_t some_digest(struct storm *storm, uint8_t state, uint8_t *bin)
{
    uint32_t n = below(storm, 24);
    size_t at = 8;

    if (state == SWIM_DIGEST_SUMS) {
        for (int i = 0; i < SWIM_BUCKETS; i++) {
            put_le64(bin + (size_t)i * 8, storm->net.swim->table.bucket_sums[i]);
        }
        bin[bytes_u8(&storm->in)] ^= bytes_u8(&storm->in);
        return SWIM_BUCKETS * 8;
    }
    memset(bin, below(storm, 2) == 0 ? 0xff : 0, 8);
    for (uint32_t i = 0; i < n && i < storm->net.swim->table.n; i++) {
        uint64_t sid = storm->net.swim->table.sids[i];
        struct swim_incarnation incarnation = some_incarnation(storm, sid);
        sid += (uint64_t)below(storm, 3) - 1;
        put_le64(bin + at, sid);
        put_le64(bin + at + 8, incarnation.boot);
        put_le32(bin + at + 16, incarnation.seq);
        bin[at + 20] = (uint8_t)below(storm, 5);
        at += SWIM_DIGEST_ENTRY;
    }
    return at;
}

static void fill_bin(struct storm *storm, struct swim_frame *f, struct words *words)
{
    f->bin = words->bin;
    switch (f->type) {
    case SWIM_ALIVE_FRAME:
    case SWIM_LEFT_FRAME:
    case SWIM_HELLO:
        f->n_bin = some_record(storm, f->type == SWIM_LEFT_FRAME, words->bin);
        break;
    case SWIM_DIGEST:
        f->state = (uint8_t)below(storm, 3);
        f->n_bin = some_digest(storm, f->state, words->bin);
        break;
    case SWIM_WANT:
        f->n_bin = 8u * below(storm, 64);
        for (size_t i = 0; i < f->n_bin; i += 8) {
            put_le64(words->bin + i, storm->peers[i / 8 % N_PEERS].sid);
        }
        break;
    default:
        f->n_bin = below(storm, 128) * 2u;
        break;
    }
}

static void put_frame(struct storm *storm, struct pack *pack)
{
    struct words words = {0};
    struct swim_frame f = {.type = (uint8_t)(1 + below(storm, SWIM_VIEW)), .key = words.bin};

    f.sid = some_sid(storm);
    f.incarnation = some_incarnation(storm, f.sid);
    f.seq = some_seq(storm);
    f.from = some_sid(storm);
    f.lh = bytes_u8(&storm->in);
    f.state = (uint8_t)(f.lh & 3);
    f.vhash = (f.lh & 1) != 0 ? swim_view_hash(storm->net.swim) : f.lh;
    f.khash = f.lh;
    f.ttl_ms = f.lh * 100u;
    f.version = f.lh;
    f.t1 = f.t2 = storm->net.now.wall_ns;
    f.t3 = f.t2 < INT64_MAX - 1000 ? f.t2 + f.lh : f.t2;
    f.x_ns = (int64_t)((uint64_t)f.lh << (f.lh % 60));
    f.x_bound_ns = f.lh;
    f.root = f.sid;
    fill_bin(storm, &f, &words);
    if (swim_frame_size(&f) <= pack_room(pack)) {
        swim_frame_write(pack, &f);
    }
}

static size_t some_run(struct storm *storm, uint8_t *out, size_t max)
{
    struct pack pack = pack_into(out, max);
    uint32_t n = below(storm, 12);

    for (uint32_t i = 0; i < n && !storm->in.failed && bytes_left(&storm->in) > 0; i++) {
        put_frame(storm, &pack);
    }
    return pack_length(&pack);
}

static size_t some_bytes(struct storm *storm, uint8_t *out, size_t max)
{
    size_t n = bytes_u8(&storm->in) * 4u;

    n = n > bytes_left(&storm->in) ? bytes_left(&storm->in) : n;
    n = n > max ? max : n;
    if (n > 0) {
        memcpy(out, bytes_take(&storm->in, n), n);
    }
    return n;
}

static void say(struct storm *storm, bool as_bytes)
{
    uint8_t run[SWIM_DATAGRAM_MAX - SWIM_SEALED_EXTRA];
    struct swim_test_peer *peer = &storm->peers[below(storm, N_PEERS)];
    size_t n = as_bytes ? some_bytes(storm, run, sizeof run) : some_run(storm, run, sizeof run);
    uint8_t how = bytes_u8(&storm->in);

    peer->counter += how == 255 ? 1ull << 40 : how > 250 ? 500 : 0;
    peer->counter -= how == 250 && peer->counter > 3 ? 3 : 0; /* again */
    storm->net.unbound = how % 8 == 0;
    swim_test_say_bytes(&storm->net, peer, &peer->addr, run, n);
    storm->net.unbound = false;
}

static void stream(struct storm *storm)
{
    uint8_t bytes[4096];
    size_t n = 0;
    enum swim_stream_event event = (enum swim_stream_event)below(storm, 4);
    uint32_t which = below(storm, 24);
    uint32_t conn = which < 8    ? storm->conns[which]
                    : which < 20 ? 0x80000000u + which
                                 : bytes_u8(&storm->in);
    struct swim_addr from = swim_test_addr((uint8_t)which);

    if (event == SWIM_STREAM_MESSAGE) {
        n = below(storm, 4) == 0 ? some_bytes(storm, bytes, sizeof bytes)
                                 : some_run(storm, bytes, sizeof bytes);
    }
    swim_on_stream(storm->net.swim, storm->net.now, conn, event, &from, bytes, n);
}

static void put_kv(struct storm *storm)
{
    uint8_t value[SWIM_KV_VALUE_MAX] = {0};
    struct swim_kv kv = {.owner = some_sid(storm),
                         .key = {bytes_u8(&storm->in)},
                         .version = bytes_u8(&storm->in),
                         .flags = (uint8_t)below(storm, 2),
                         .value = value};

    kv.n_value = kv.flags != 0 ? 8 : (uint16_t)(below(storm, 255) * 4);
    put_le64(value, (uint64_t)storm->net.now.wall_ns);
    (void)swim_kv_put(storm->net.swim, storm->net.now, &kv);
}

static void do_locally(struct storm *storm)
{
    struct swim *swim = storm->net.swim;
    struct swim_addr seeds[4] = {storm->peers[0].addr, storm->peers[1].addr, storm->peers[2].addr,
                                 storm->peers[3].addr};
    uint8_t meta[SWIM_META_MAX + 1] = {0};

    switch (below(storm, 8)) {
    case 0:
        swim_join(swim, storm->net.now, seeds, below(storm, 5));
        break;
    case 1:
        if (below(storm, 4) == 0) {
            swim_leave(swim, storm->net.now);
        }
        break;
    case 2:
        (void)swim_set_meta(swim, storm->net.now, meta, bytes_u8(&storm->in) + 2u);
        break;
    case 3:
        swim_set_load(swim, bytes_u8(&storm->in));
        break;
    case 4:
        swim_on_kernel_drops(swim, storm->net.now, bytes_u8(&storm->in));
        break;
    case 5:
        storm->net.ring.keys[0].state ^= SWIM_KEY_ACTIVE ^ SWIM_KEY_RETIRING;
        storm->net.ring.keys[1].state ^= SWIM_KEY_ACTIVE ^ SWIM_KEY_RETIRING;
        swim_set_keyring(swim, &storm->net.ring);
        break;
    default:
        put_kv(storm);
        break;
    }
}

static void pass(struct storm *storm, uint64_t ns)
{
    uint64_t left = LATEST_NS - storm->net.now.mono_ns;

    ns = ns > left ? left : ns;
    storm->net.now.mono_ns += ns;
    (void)__builtin_add_overflow(storm->net.now.wall_ns, (int64_t)ns, &storm->net.now.wall_ns);
}

static void follow_order(struct storm *storm)
{
    switch (below(storm, 16)) {
    case 0:
    case 1:
        pass(storm, bytes_u8(&storm->in) * 20 * SWIM_MS);
        swim_on_time(storm->net.swim, storm->net.now);
        break;
    case 2: { /* to the next timer, exactly */
        uint64_t next = swim_deadline(storm->net.swim);
        pass(storm, next > storm->net.now.mono_ns ? next - storm->net.now.mono_ns : 0);
        swim_on_time(storm->net.swim, storm->net.now);
        break;
    }
    case 3:
        pass(storm, (uint64_t)bytes_u8(&storm->in) << below(storm, 54));
        break;
    case 4:
        storm->net.now.wall_ns = (int64_t)bytes_le64(&storm->in);
        break;
    case 5:
    case 6:
        stream(storm);
        break;
    case 7:
    case 8:
        do_locally(storm);
        break;
    case 9:
        say(storm, true);
        break;
    default:
        say(storm, false);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct swim_rules *const rules[] = {&swim_rules_lan, &swim_rules_memberlist,
                                                     &swim_rules_fast, &swim_rules_wan};
    static struct storm storm;

    storm = (struct storm){.in = bytes_reader(data, n)};
    uint8_t head = bytes_u8(&storm.in);
    swim_test_net_init(&storm.net, &swim_crypto_null, rules[head % 4]);
    for (uint8_t i = 0; i < N_PEERS; i++) {
        storm.peers[i] = swim_test_peer(&swim_crypto_null, i);
    }
    for (uint32_t i = 0; (head & 4) != 0 && i < N_PEERS / 2; i++) {
        swim_test_say_alive(&storm.net, &storm.peers[1 + i]);
    }
    for (uint32_t i = 0; i < ORDERS_MAX && bytes_left(&storm.in) > 0 && !storm.in.failed; i++) {
        uint8_t lazy = bytes_u8(&storm.in);
        follow_order(&storm);
        check_bounds(&storm);
        if (lazy < 192 || ++storm.lazy > LAZY_MOST) {
            drain(&storm);
        }
        check_table(&storm);
    }
    drain(&storm);
    swim_free(storm.net.swim);
    return 0;
}
