/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the core: inputs come in here, are taken apart and handed on.
 */
#include "shared/swarm/swim.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_internal.h"

#define TELL_GAP_NS        (250 * SWIM_MS)
#define TELL_BANNED_GAP_NS (1000 * SWIM_MS)

/* ---- life ---- */

static void start_timers(struct swim *swim)
{
    const struct swim_rules *rules = swim->rules;
    uint64_t chance = swim_random_below(&swim->random, rules->probe_interval_ms);

    for (int kind = 0; kind < N_TIMER_KINDS; kind++) {
        swim->own_timers[kind].kind = (uint8_t)kind;
    }
    swim_arm(swim, TIMER_PROBE, rules->tickers ? rules->probe_interval_ms : chance);
    swim_arm(swim, TIMER_EXPIRE, 60000);
    if (rules->digest_ms > 0) {
        swim_arm(swim, TIMER_DIGEST, swim_random_below(&swim->random, rules->digest_ms));
    }
    if (rules->push_pull_ms != NULL) {
        swim_arm(swim, TIMER_PUSH_PULL, swim_random_below(&swim->random, rules->push_pull_ms(1)));
    }
}

static void choose_boot(struct swim *swim, const struct swim_config *config)
{
    uint64_t wall_ms = swim->now.wall_ns > 0 ? (uint64_t)swim->now.wall_ns / SWIM_MS : 0;

    swim->own.incarnation.boot =
        wall_ms > config->persisted_boot ? wall_ms : config->persisted_boot + 1;
    swim_draw_nonce(swim);
    swim->persist_due = true;
}

static void make_self(struct swim *swim)
{
    uint8_t bytes[SWIM_RECORD_MAX];
    const struct swim_id id = swim_id_of(swim->own.public_key);

    swim->self = swim_add_member(swim, &id);
    size_t n = swim_record_write(&swim->own, swim->crypto, swim->secret_key,
                                 swim->keyring.cluster_id, bytes);
    REQUIRE(n > 0);
    swim_set_record(swim, swim->self, bytes, n);
    swim_set_nonce(swim, swim->self, swim->own.boot_nonce);
    swim->self->addr = swim->own.addrs[0];
    swim_set_member(swim, swim->self, swim->own.incarnation, SWIM_ALIVE);
}

struct swim *swim_new(const struct swim_config *config, struct swim_now now)
{
    if (config->persisted_boot >= SWIM_BOOT_MAX) {
        return NULL;
    }
    struct swim *swim = x_alloc(sizeof *swim);

    swim->heap_bytes = sizeof *swim;
    swim->rules = config->rules;
    swim->crypto = config->crypto;
    swim->keyring = config->keyring;
    swim->now = now;
    swim->contact_ns = now.mono_ns;
    swim->started_ns = now.mono_ns;
    swim->probed_epoch = -1;
    swim->has_admin = config->has_admin;
    memcpy(swim->admin_key, config->admin_key, sizeof swim->admin_key);
    swim->mtu = config->mtu == 0 ? SWIM_MTU : config->mtu;
    REQUIRE(swim->mtu >= SWIM_MTU_LEAST && swim->mtu <= SWIM_DATAGRAM_MAX);
    REQUIRE(config->n_meta <= SWIM_META_MAX && config->n_addrs > 0 &&
            config->n_addrs <= SWIM_ADDRS_MAX);
    memcpy(swim->secret_key, config->secret_key, SWIM_SECRET_BYTES);
    memcpy(swim->own.public_key, config->public_key, SWIM_PUBLIC_BYTES);
    memcpy(swim->own.addrs, config->addrs, sizeof swim->own.addrs);
    swim->own.n_addrs = config->n_addrs;
    if (config->n_meta > 0) {
        memcpy(swim->meta, config->meta, config->n_meta);
    }
    swim->own.meta = swim->meta;
    swim->own.n_meta = config->n_meta;
    swim_random_init(&swim->random, config->seed);
    swim->outbox = swim_get_memory(swim, SWIM_OUTBOX_MAX * sizeof *swim->outbox);
    choose_boot(swim, config);
    make_self(swim);
    swim_clock_init(&swim->clock, swim->self->sid, swim->own.incarnation.boot,
                    config->clock_is_anchor, config->time_ahead_ns, now);
    start_timers(swim);
    swim->looked_ns = now.mono_ns;
    return swim;
}

void swim_free(struct swim *swim)
{
    if (swim == NULL) {
        return;
    }
    swim_probes_void(swim);
    swim_streams_deinit(swim);
    swim_outbox_deinit(swim);
    swim_kv_deinit(swim);
    swim_members_deinit(swim);
    swim_give_memory(swim, swim->shuffled, swim->cap_shuffled * sizeof *swim->shuffled);
    swim_timers_deinit(&swim->timers);
    swim_wipe(swim, sizeof *swim);
    mem_free(swim);
}

/* ---- time ---- */

void swim_arm(struct swim *swim, enum timer_kind kind, uint64_t ms)
{
    swim_timer_arm(&swim->timers, &swim->own_timers[kind], swim->now.mono_ns + ms * SWIM_MS);
}

void swim_look(struct swim *swim, struct swim_now now)
{
    uint64_t due_ns = swim_timers_next(&swim->timers);
    /* Of a backlog of inputs only the first is late. */
    uint64_t since_ns = due_ns > swim->looked_ns ? due_ns : swim->looked_ns;

    swim->now = now;
    swim->looked_ns = now.mono_ns;
    (void)swim_clock_look(&swim->clock, now);
    if (due_ns < now.mono_ns && since_ns < now.mono_ns) {
        swim_on_lateness(swim, now.mono_ns - since_ns);
    }
}

static void on_timer(struct swim *swim, struct swim_timer *timer)
{
    switch ((enum timer_kind)timer->kind) {
    case TIMER_PROBE:
        swim_on_probe_timer(swim);
        break;
    case TIMER_PROBING:
        swim_on_probing_timer(swim, container_of(timer, struct swim_probe, timer));
        break;
    case TIMER_RELAY:
        swim_on_relay_timer(swim, container_of(timer, struct swim_relay, timer));
        break;
    case TIMER_SUSPICION:
        swim_on_suspicion_timer(swim, container_of(timer, struct swim_suspicion, timer));
        break;
    case TIMER_CONN:
        swim_on_conn_timer(swim, container_of(timer, struct swim_conn, timer));
        break;
    case TIMER_GOSSIP:
        swim_on_gossip_timer(swim);
        break;
    case TIMER_SYNC:
        swim_on_sync_timer(swim);
        break;
    case TIMER_PUSH_PULL:
        swim_on_push_pull_timer(swim);
        break;
    case TIMER_DIGEST:
        swim_on_digest_timer(swim);
        break;
    case TIMER_JOIN:
        swim_on_join_timer(swim);
        break;
    case TIMER_JOIN_SYNC:
        swim_on_join_sync_timer(swim);
        break;
    case TIMER_SETTLE:
        swim_on_settle_timer(swim);
        break;
    case TIMER_RECONNECT:
        swim_on_reconnect_timer(swim);
        break;
    case TIMER_REFUTE:
        swim_on_refute_timer(swim);
        break;
    case TIMER_ISOLATION:
        swim_on_isolation_timer(swim);
        break;
    case TIMER_EXPIRE:
        swim_on_expire_timer(swim);
        break;
    case TIMER_LEAVE:
        swim_on_leave_timer(swim);
        break;
    case TIMER_CLONE:
        swim_on_clone_timer(swim);
        break;
    case TIMER_BURST:
        swim_on_burst_timer(swim);
        break;
    case N_TIMER_KINDS:
        break;
    }
}

void swim_on_time(struct swim *swim, struct swim_now now)
{
    struct swim_timer *timer;

    swim_look(swim, now);
    while ((timer = swim_timers_pop(&swim->timers, now.mono_ns)) != NULL) {
        on_timer(swim, timer);
    }
}

void swim_on_sent(struct swim *swim, struct swim_now now, uint64_t ping, int64_t stamp_ns)
{
    int64_t *t1 = swim_probe_t1(swim, ping);

    t1 = t1 != NULL ? t1 : swim_relay_t1(swim, ping);
    t1 = t1 != NULL ? t1 : swim_burst_t1(swim, ping);
    if (t1 != NULL) {
        *t1 = swim_clock_sent(&swim->clock, now, stamp_ns, *t1);
    }
}

uint64_t swim_deadline(const struct swim *swim)
{
    return swim_timers_next(&swim->timers);
}

static const struct swim_member *founder_of(const struct swim *swim, uint64_t root)
{
    const struct swim_members *table = &swim->table;

    /* The root has the upper half of its founder's sid. */
    for (uint32_t at = swim_members_place(table, root & 0xffffffff00000000u);
         at < table->n && table->sids[at] >> 32 == root >> 32; at++) {
        const struct swim_member *member = table->members[at];
        if (swim_is_live(member) && swim_root_is_of(root, member->sid, member->incarnation.boot)) {
            return member;
        }
    }
    return NULL;
}

bool swim_root_is_live(const struct swim *swim, uint64_t root)
{
    return founder_of(swim, root) != NULL;
}

uint64_t swim_time_keeper(const struct swim *swim)
{
    const struct swim_member *member = founder_of(swim, swim->clock.view.root);

    return member == NULL ? 0 : member->sid;
}

void swim_take_clock(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                     int64_t t1, int64_t t4)
{
    const struct swim_stamps stamps = {.t1 = t1,
                                       .t2 = ack->t2,
                                       .t3 = ack->t3,
                                       .t4 = t4,
                                       .mono_ns = swim_clock_mono(&swim->clock, t4)};
    struct swim_clock_view view = {.root = ack->root, .x_ns = ack->x_ns};
    struct swim_estimate offset;

    swim_clock_unpack_bound(ack->x_bound_ns, &view);
    if (!swim_offset_take(&from->offset, &stamps)) {
        return;
    }
    from->peer = (struct swim_peer_clock){.taken_ns = swim_clock_mono(&swim->clock, t1),
                                          .root = ack->root,
                                          .x = {.theta_ns = ack->x_ns, .bound_ns = view.bound_ns},
                                          .wall_ns = ack->wall_ns};
    if (swim_offset_get(&from->offset, swim->now.mono_ns, &offset) &&
        swim_root_is_live(swim, ack->root)) {
        (void)swim_clock_take(&swim->clock, &offset, &view, swim_clock_mono(&swim->clock, t1),
                              swim->now.mono_ns);
    }
}

/* ---- datagrams ---- */

enum counted { COUNTED_NEW, COUNTED_BEFORE, COUNTED_DOUBTFUL };

/* Under a nonce of its life that is not the one of its record, it may be news (a refutation, which
 * begins the next one) or a recording. News has a higher counter, unless somebody has spoilt the
 * window; then its record is taken, and nothing else. */
static enum counted look_up_counter(const struct swim_member *member,
                                    const struct swim_envelope *envelope)
{
    uint32_t generation = swim_generation(envelope->boot_nonce);

    if (generation == swim_generation(member->boot_nonce)) {
        return swim_replay_is_new(&member->replay, envelope->counter) ? COUNTED_NEW
                                                                      : COUNTED_BEFORE;
    }
    if (envelope->counter <= member->next_highest ||
        (generation != member->next_generation && envelope->counter <= member->replay.highest)) {
        return COUNTED_DOUBTFUL;
    }
    return COUNTED_NEW;
}

static void take_counter(struct swim_member *member, const struct swim_envelope *envelope,
                         bool is_doubtful)
{
    uint32_t generation = swim_generation(envelope->boot_nonce);

    if (generation == swim_generation(member->boot_nonce)) {
        swim_replay_take(&member->replay, envelope->counter);
    } else {
        swim_note_generation(member, generation, envelope->counter, is_doubtful);
    }
}

/* Opens it in place, or counts why not. */
static bool open_datagram(struct swim *swim, uint8_t *bytes, size_t n,
                          struct swim_envelope *envelope, const uint8_t **frames, size_t *n_frames,
                          struct swim_member **sender, bool *records_only)
{
    if (n > SWIM_DATAGRAM_MAX || !swim_envelope_read(bytes, n, envelope) || envelope->class != 0) {
        swim->counters.malformed++;
        return false;
    }
    const struct swim_key *key = swim_keyring_find(&swim->keyring, envelope->key_id);
    if (key == NULL) {
        swim->counters.foreign_key++;
        return false;
    }
    if (memcmp(envelope->boot_nonce, swim->own.boot_nonce, SWIM_LIFE_BYTES) == 0) {
        swim->counters.reflected++;
        return false;
    }
    *sender = swim_find_nonce(swim, envelope->boot_nonce);
    const struct swim_past_life *past =
        *sender == NULL ? swim_past_life(swim, envelope->boot_nonce) : NULL;
    enum counted counted = *sender != NULL ? look_up_counter(*sender, envelope)
                           : past != NULL && envelope->counter <= past->highest ? COUNTED_BEFORE
                                                                                : COUNTED_NEW;
    *records_only = counted == COUNTED_DOUBTFUL;
    if (counted == COUNTED_BEFORE) {
        swim->counters.replayed++;
        return false;
    }
    if (!swim_envelope_open(&swim->keyring, key, swim->crypto, swim->own.boot_nonce, bytes, n,
                            frames, n_frames)) {
        swim->counters.forged++;
        return false;
    }
    return true;
}

/* Who speaks while it is suspect, and has had the time to object, cannot have heard of it: it was
 * told in a partition that is over, or its objection was lost. */
static bool has_not_heard(struct swim *swim, const struct swim_member *sender)
{
    struct swim_suspicion *s = sender->suspicion;

    if (s == NULL || swim->rules->dead_doubt_ms == 0 || swim_has_objection_time(swim, s) ||
        (s->told_ns != 0 && swim->now.mono_ns - s->told_ns < TELL_GAP_NS)) {
        return false;
    }
    s->told_ns = swim->now.mono_ns;
    return true;
}

/* Who speaks though we hold it dead is told so, and can object. */
static void tell_the_accused(struct swim *swim, const struct swim_member *sender)
{
    if (has_not_heard(swim, sender) ||
        (sender->state == SWIM_DEAD && swim->now.mono_ns - sender->heard_ns >= TELL_GAP_NS)) {
        swim_post_frame(swim, sender,
                        &(struct swim_frame){.type = SWIM_YOUARE,
                                             .state = sender->state,
                                             .incarnation = sender->incarnation});
    }
}

/* It may not know; once a second is enough. */
static void refuse_the_banned(struct swim *swim, const struct swim_addr *from,
                              struct swim_member *sender)
{
    swim->counters.refused_by_order++;
    if (swim->now.mono_ns - sender->heard_ns >= TELL_BANNED_GAP_NS) {
        sender->heard_ns = swim->now.mono_ns;
        swim_kv_tell_orders(swim, &(struct swim_message){.from = from, .sender = sender},
                            sender->sid);
    }
}

/* A life that we hold for past speaks on: two processes have one key. The older is told of the
 * younger, and knows it then (swim_on_own_record). */
static bool on_past_life(struct swim *swim, const struct swim_addr *from,
                         const struct swim_envelope *envelope)
{
    struct swim_past_life *past = swim_past_life(swim, envelope->boot_nonce);

    if (past == NULL || swim_find(swim, past->sid) == NULL) {
        return false; /* forgotten after its tombstone: it may come back */
    }
    past->highest = envelope->counter;
    swim_post_sids(swim, WORK_BRING, &(struct swim_message){.from = from}, &past->sid, 1);
    return true;
}

static void take_message(struct swim *swim, struct swim_message *m, const uint8_t *frames,
                         size_t n_frames)
{
    struct swim_member *sender = m->sender;

    if (sender == NULL && on_past_life(swim, m->from, m->envelope)) {
        return;
    }
    if (sender != NULL && sender->banned) {
        take_counter(sender, m->envelope, m->records_only);
        refuse_the_banned(swim, m->from, sender);
        return;
    }
    if (sender != NULL) {
        take_counter(sender, m->envelope, m->records_only);
        if (m->proven && !m->records_only) {
            tell_the_accused(swim, sender);
            sender->heard_ns = swim->now.mono_ns;
        }
    } else {
        swim_note_stranger(swim, m->envelope->boot_nonce, m->envelope->counter);
        swim->counters.unknown_sender++;
    }
    swim->speaker = sender;
    swim_take_frames(swim, frames, n_frames, m);
    swim->speaker = NULL;
}

void swim_on_datagram(struct swim *swim, struct swim_now now, const struct swim_addr *from,
                      uint8_t *bytes, size_t n, int64_t stamp_ns)
{
    struct swim_envelope envelope;
    struct swim_message m = {.from = from, .envelope = &envelope};
    const uint8_t *frames;
    size_t n_frames;

    swim_look(swim, now);
    if (swim->silenced ||
        !open_datagram(swim, bytes, n, &envelope, &frames, &n_frames, &m.sender, &m.records_only)) {
        return;
    }
    swim->counters.datagrams_received++;
    swim->counters.bytes_received += n;
    m.proven = envelope.bound;
    m.received = swim_clock_received(&swim->clock, now, stamp_ns);
    swim->asked_from = from;
    swim->asked_key_id = envelope.key_id;
    take_message(swim, &m, frames, n_frames);
    swim->asked_from = NULL;
}

/* ---- local inputs ---- */

bool swim_set_meta(struct swim *swim, struct swim_now now, const void *meta, size_t n)
{
    if (n > SWIM_META_MAX || swim->leaving) {
        return false;
    }
    swim_look(swim, now);
    memcpy(swim->meta, meta, n);
    swim->own.n_meta = (uint16_t)n;
    swim_renew_record(swim);
    return true;
}

bool swim_set_addrs(struct swim *swim, struct swim_now now, const struct swim_addr *addrs,
                    uint8_t n)
{
    REQUIRE(n > 0 && n <= SWIM_ADDRS_MAX);
    if (swim->leaving) {
        return false;
    }
    swim_look(swim, now);
    memcpy(swim->own.addrs, addrs, n * sizeof *addrs);
    swim->own.n_addrs = n;
    swim->self->addr = addrs[0];
    swim_renew_record(swim);
    return true;
}

void swim_set_load(struct swim *swim, uint8_t load)
{
    swim->load = load;
}

void swim_set_keyring(struct swim *swim, const struct swim_keyring *keyring)
{
    swim->keyring = *keyring;
}
