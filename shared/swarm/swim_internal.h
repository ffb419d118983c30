/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the core: what its files share. One struct swim holds everything; members live in a
 * table sorted by short id and are referred to by pointer, since a member is freed only when its
 * tombstone has expired, which happens between inputs and after swim_forget_uses(). The node itself
 * is a member of the table too.
 *
 * Who calls whom: swim.c takes an input apart and calls the rooms below by frame; they change
 * members through swim_merge.c only, and say what is to be sent through swim_outbox.c only.
 */
#pragma once

#include "shared/swarm/swim.h"
#include "shared/swarm/swim_clock.h"
#include "shared/swarm/swim_frame.h"
#include "shared/swarm/swim_kv.h"
#include "shared/swarm/swim_random.h"
#include "shared/swarm/swim_timer.h"

enum timer_kind {
    TIMER_PROBE,     /* the next one is due */
    TIMER_PROBING,   /* a stage of a struct swim_probe */
    TIMER_RELAY,     /* of a struct swim_relay */
    TIMER_SUSPICION, /* of a struct swim_suspicion */
    TIMER_GOSSIP,
    TIMER_SYNC, /* the views differ: still? */
    TIMER_PUSH_PULL,
    TIMER_DIGEST,
    TIMER_JOIN, /* seeds */
    TIMER_JOIN_SYNC,
    TIMER_SETTLE, /* a newcomer learns the time */
    TIMER_RECONNECT,
    TIMER_REFUTE,
    TIMER_ISOLATION,
    TIMER_EXPIRE, /* tombstones */
    TIMER_LEAVE,
    TIMER_CONN, /* of a struct swim_conn */
    TIMER_CLONE,
    TIMER_BURST,
    N_TIMER_KINDS,
};

/* A suspicion under way (Lifeguard, arXiv 1707.00788 section IV-B). */
struct swim_suspicion {
    struct swim_timer timer;
    struct swim_member *member;
    struct swim_suspicion *next;
    uint64_t started_ns;
    uint64_t told_ns; /* when its subject was, since it spoke; 0: never */
    uint64_t accusers[SWIM_CONFIRMATIONS_MAX];
    uint8_t n_accusers;
    uint8_t n_confirmed; /* of them, those that count */
    uint8_t told_lh;     /* of the accuser that is gossiped */
    bool asked;          /* its subject, once more before the verdict */
    uint64_t told_from;
    uint8_t n_restarts; /* because we were unwell and alone with it */
    uint8_t shift;      /* of damping: the least is so much longer */
    uint32_t min_ms, max_ms;
    uint32_t needed;        /* confirmations that bring it to min_ms */
    bool unconfirmable_max; /* where nobody can confirm: the longest, not the shortest */
};

/* A peer's clocks as it told them, at taken_ns (monotonic) or since. */
struct swim_peer_clock {
    uint64_t taken_ns;
    uint64_t root;
    struct swim_interval x; /* its swarm time minus its steady clock */
    int64_t wall_ns;        /* its wall clock minus its steady clock */
};

struct swim_member {
    struct swim_id id;
    uint64_t sid;
    struct swim_incarnation incarnation;
    uint64_t hash; /* of (id, incarnation), as in the view hash */
    uint8_t state;
    uint8_t load;
    uint8_t n_flaps;
    uint8_t n_refuted; /* suspicions of it that were wrong, lately */
    bool up;           /* as the application was told */
    bool degraded;
    bool banned;    /* and dead, whatever it says */
    bool forgotten; /* and dead, until the timer removes it */
    uint16_t mtu;   /* of its path; 0: as all */
    uint64_t since_ns;
    uint64_t heard_ns; /* directly */
    uint64_t died_ns;  /* the last time */
    uint64_t refuted_ns;
    uint32_t srtt_us; /* 0: none yet */
    uint32_t rttvar_us;
    struct swim_addr addr;
    uint8_t boot_nonce[SWIM_NONCE_BYTES];
    struct swim_member *next_by_nonce;
    struct swim_replay replay;
    uint64_t next_highest;     /* counter under nonces of its life that are not in its record */
    uint32_t next_generation;  /* the last of these, if newer than the record; else 0 */
    uint32_t other_generation; /* of the others that were heard of, that with the highest counter */
    uint64_t other_highest;
    struct swim_offset offset;
    struct swim_peer_clock peer;      /* what its last ACK told */
    struct swim_suspicion *suspicion; /* owned; while suspect */
    uint64_t dead_from;
    uint8_t dead_confirmed;
    uint8_t *record; /* owned */
    uint16_t n_record;
    uint16_t queue_tier; /* + 1; 0: not queued */
    uint8_t queue_kind;  /* enum rumor_kind */
    struct swim_member *queue_next, *queue_prev;
};

enum probe_kind {
    PROBE_ROUTINE,
    PROBE_WITNESS, /* of a fresh suspicion */
    PROBE_CLOCK,   /* for its time stamps; proves nothing when it fails */
};

enum probe_stage { PROBE_FREE, PROBE_WAITING, PROBE_DIRECT, PROBE_INDIRECT };

struct swim_probe {
    struct swim_timer timer;
    uint8_t kind;
    uint8_t stage;
    uint8_t n_helpers;
    uint8_t n_nacks;
    bool by_stream; /* a stream answered */
    uint64_t seq;
    uint64_t target;
    uint64_t sent_ns;
    int64_t t1;
    uint64_t late_ns; /* from the ping until that is to be done about it */
    uint64_t verdict_ns;
    uint64_t first_seq; /* of the ping before this one; 0: it is the first */
    uint64_t first_sent_ns;
    int64_t first_t1;
    uint32_t conn; /* 0: none */
};

/* A probe for somebody else. */
struct swim_relay {
    struct swim_timer timer; /* armed while in use */
    uint64_t seq;            /* ours */
    uint64_t asked_seq;
    uint64_t target;
    struct swim_addr asker;
    int64_t t1;
    uint64_t sent_ns;
};

/* Members that are pinged in a row for the time (swim_burst.c). */
struct swim_burst_target {
    uint64_t sid;
    uint32_t n_left;
};

struct swim_burst_ping {
    uint64_t seq; /* 0: none */
    uint64_t sid;
    int64_t t1;
};

struct swim_burst {
    struct swim_burst_target targets[SWIM_BURST_TARGETS];
    uint32_t n, at;
    struct swim_burst_ping waiting[SWIM_BURST_WAITING]; /* a ring */
    uint32_t next_ping;
};

enum conn_purpose { CONN_PING, CONN_PUSH_PULL, CONN_DELTA, CONN_ACCEPTED };

/* A stream, from its opening to its close. */
struct swim_conn {
    struct swim_timer timer; /* its life; armed while in use */
    uint32_t id;             /* 0: free */
    uint8_t purpose;
    bool opened;
    bool closing;    /* behind what is still to be written */
    bool listed_all; /* its list, or its whole state, was answered: once is enough */
    struct swim_addr addr;
    uint64_t probe_seq; /* CONN_PING */
    uint64_t peer;      /* CONN_PING: whom it is for */
    uint64_t listed;    /* the last sid of their list so far */
};

/* A message to be made when it is its turn. */
enum work_kind {
    WORK_FRAME, /* one frame; on a datagram with YOUARE and gossip behind */
    WORK_HELLO,
    WORK_GOSSIP, /* gossip alone */
    WORK_SUMS,
    WORK_LIST,  /* members in the buckets of `mask` */
    WORK_BRING, /* what we hold of sids */
    WORK_WANT,  /* sids */
    WORK_KV,
    WORK_OPEN,
    WORK_CLOSE,
};

#define WORK_SIDS_INLINE SWIM_DELTA_UDP_MOST

struct swim_work {
    uint8_t kind;
    bool plain;      /* no gossip goes with it */
    bool stamped;    /* PING, ACK: time stamps are put in when it goes out */
    bool suspicious; /* YOUARE goes with it */
    uint8_t probe;   /* index + 1 of the probe whose t1 it is */
    uint8_t relay;   /* the same of a relay */
    uint16_t burst;  /* the same of a ping that measures */
    uint32_t conn;   /* 0: a datagram */
    uint32_t key_id; /* of the key under which it was asked for; 0: the active one */
    struct swim_addr addr;
    uint64_t peer; /* sid or 0 */
    uint64_t mask;
    uint32_t n_sids, at;
    uint64_t *sids; /* owned; NULL: inline_sids */
    uint64_t inline_sids[WORK_SIDS_INLINE];
    struct swim_frame frame;
    uint8_t frame_bytes[SWIM_KV_KEY_BYTES]; /* what frame.key points to */
};

struct swim_event {
    uint8_t event;
    uint64_t sid;
    struct swim_incarnation incarnation;
};

#define RUMOR_TIERS 64
enum rumor_kind { RUMOR_FATE, RUMOR_RECORD, N_RUMOR_KINDS };

struct swim_rumors {
    struct swim_member *tiers[N_RUMOR_KINDS][RUMOR_TIERS]; /* by how often it was sent */
    uint32_t n;
};

struct swim_members {
    uint64_t *sids; /* sorted; in step with members */
    struct swim_member **members;
    uint32_t n, cap;
    uint32_t n_live; /* alive or suspect, ourselves included */
    struct swim_member **by_nonce;
    uint32_t n_by_nonce; /* a power of two */
    uint64_t bucket_sums[SWIM_BUCKETS];
    uint64_t *live; /* sorted sids of the live; rebuilt when stale */
    uint32_t n_in_live, cap_live;
    bool live_is_stale;
};

/* What it said cannot come again; if it says more, two processes have one key. */
struct swim_past_life {
    uint64_t nonce_hash;
    uint64_t highest; /* counter */
    uint64_t sid;
    bool left; /* with a farewell, which is final */
};

/* A life that spoke before we had its record. */
struct swim_stranger {
    uint64_t nonce_hash; /* 0: none */
    uint64_t highest;
};

struct swim {
    const struct swim_rules *rules;
    const struct swim_crypto *crypto;
    struct swim_keyring keyring;
    uint8_t secret_key[SWIM_SECRET_BYTES];
    struct swim_random random;
    struct swim_timers timers;
    struct swim_timer own_timers[N_TIMER_KINDS];
    struct swim_now now; /* of the input at work */
    struct swim_member *self;
    struct swim_record own; /* what the record is made of */
    uint8_t meta[SWIM_META_MAX];
    uint64_t counter; /* of the envelope */
    uint32_t mtu;
    uint32_t mtu_unknown; /* to whom we do not know; 0: the same */
    uint64_t mtu_ns;      /* when a path was last too narrow, 0: none is */
    bool has_admin;
    uint8_t admin_key[SWIM_PUBLIC_BYTES];
    uint8_t load;
    bool leaving, left, silenced;
    bool persist_due, leave_done_due;

    struct swim_members table;
    struct swim_rumors rumors;
    struct swim_suspicion *suspicions;
    struct swim_counters counters;
    size_t heap_bytes;

    uint32_t lh;                  /* local health: 0 is well (Lifeguard) */
    uint64_t late_ns, dropped_ns; /* last time that they made it worse */
    uint64_t contact_ns;          /* the last answer to something of ours, from anybody */
    bool isolated;
    uint64_t renewed_ns;         /* the nonce, because nobody heard us */
    uint32_t n_by_stream;        /* probes in a row */
    uint64_t suspected_ns;       /* our own last new suspicion */
    uint32_t srtt_us, rttvar_us; /* of all peers */

    struct swim_clock clock;
    int64_t probed_epoch;
    uint64_t scheduled; /* sid of whom the timer is for */
    uint64_t *shuffled; /* round robin */
    uint32_t n_shuffled, at_shuffled, cap_shuffled;
    struct swim_probe probes[SWIM_PROBES_MAX];
    struct swim_relay relays[SWIM_RELAYS_MAX];
    struct swim_burst burst;

    struct swim_conn **conns;
    uint32_t n_conns, cap_conns;
    uint32_t last_conn;
    struct swim_addr seeds[SWIM_SEEDS_MAX];
    uint32_t n_seeds;
    uint32_t join_failures;
    uint32_t join_syncs_left;
    uint32_t settles_left;
    int64_t hello_t1;              /* steady, of the first hello under way */
    uint64_t hello_seq;            /* of the hellos under way */
    uint64_t sync_peer, sync_hash; /* whose view differed, and what it was */
    uint64_t synced_ns;
    bool push_pulls; /* the wait before the first interval is over */
    uint64_t refuted_ns;
    uint64_t stranger_ns;               /* the last large answer to a sender nobody knows */
    struct swim_member *speaker;        /* whose message is at work: not to be freed */
    const struct swim_addr *asked_from; /* whence the datagram at work came; NULL: none is */
    uint32_t asked_key_id;              /* and under which key */
    struct swim_past_life past_lives[SWIM_PAST_LIVES]; /* a ring */
    uint32_t at_past_life;
    struct swim_stranger strangers[SWIM_STRANGERS]; /* by hash */
    uint32_t n_leave_acks;
    uint64_t leave_ackers[SWIM_LEAVE_ACKS];
    struct swim_incarnation other; /* of another process that has our key */

    uint64_t started_ns;
    uint64_t looked_ns;       /* the time of the last input */
    struct swim_work *outbox; /* a ring of SWIM_OUTBOX_MAX */
    uint32_t out_at, out_n;
    struct swim_event *events;
    uint32_t event_at, n_events, cap_events;
    bool events_lost;
    uint64_t clock_told_ns;   /* SWIM_EVENT_CLOCK, the last; 0: never */
    uint64_t refused_sid;     /* whose record an order has just kept out; 0: nobody's */
    struct swim_kv_state *kv; /* swim_kv.c */
};

/* What the frames of one message have in common. */
struct swim_message {
    struct swim_member *sender; /* NULL: not known */
    const struct swim_addr *from;
    const struct swim_envelope *envelope; /* NULL on a stream */
    uint32_t conn;                        /* 0: a datagram */
    int64_t received;                     /* on the steady clock */
    bool synced;                          /* from an exchange */
    bool proven;        /* it was made for this life of ours: no replay of one before */
    bool records_only;  /* it may be one of a nonce before: what is signed counts */
    bool compared;      /* with our view */
    bool refused;       /* its sender is banned: nothing more of it counts */
    uint32_t n_answers; /* that it got */
};

/* ---- memory, counted (swim_members.c) ---- */
void *swim_get_memory(struct swim *swim, size_t n);
void *swim_grow_memory(struct swim *swim, void *p, size_t old_n, size_t n);
void swim_give_memory(struct swim *swim, void *p, size_t n);

/* ---- the table (swim_members.c) ---- */
/* Where sid is in the sorted array, or where it would be. */
uint32_t swim_members_place(const struct swim_members *table, uint64_t sid);
struct swim_member *swim_find(const struct swim *swim, uint64_t sid);
/* By the life: its generation may be another. */
struct swim_member *swim_find_nonce(const struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES]);
/* NULL when there are too many that live; one that is gone makes room. Dead and without a record
 * until it is given one. */
struct swim_member *swim_add_member(struct swim *swim, const struct swim_id *id);
void swim_remove_member(struct swim *swim, struct swim_member *member);
/* Changes what the sums, the count of the live and the schedule see. */
void swim_set_member(struct swim *swim, struct swim_member *member,
                     struct swim_incarnation incarnation, enum swim_state state);
/* A life that was followed by another of the same node, or NULL. */
struct swim_past_life *swim_past_life(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES]);
/* Its counter, so that none of what it has said can come again. */
void swim_note_stranger(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES], uint64_t counter);
/* A counter under a nonce of its life that is not that of its record. is_doubtful: it does not rise
 * as the next one's do. */
void swim_note_generation(struct swim_member *member, uint32_t generation, uint64_t counter,
                          bool is_doubtful);
void swim_set_nonce(struct swim *swim, struct swim_member *member,
                    const uint8_t nonce[SWIM_NONCE_BYTES]);
void swim_set_record(struct swim *swim, struct swim_member *member, const uint8_t *bytes, size_t n);
/* Sorted sids of the live, ourselves included; *n. */
const uint64_t *swim_live(struct swim *swim, uint32_t *n);
/* A random live member that is not ourselves, nor `but`; NULL: none. */
struct swim_member *swim_random_live(struct swim *swim, uint64_t but);
static inline bool swim_is_live(const struct swim_member *member)
{
    return member->state == SWIM_ALIVE || member->state == SWIM_SUSPECT;
}
static inline uint32_t swim_bucket(uint64_t sid)
{
    return (uint32_t)(sid >> 58);
}
void swim_members_deinit(struct swim *swim);

/* ---- what changes a member (swim_merge.c) ---- */
/* > 0 when (a, state_a) takes precedence over (b, state_b), 0 when they are the same. */
int swim_precedence(struct swim_incarnation a, enum swim_state state_a, struct swim_incarnation b,
                    enum swim_state state_b);
/* A record of anybody, alive or left; by_sync: it comes from an exchange and need not be gossiped.
 * Gives the member it is about, or NULL. */
struct swim_member *swim_merge_record(struct swim *swim, const uint8_t *bytes, size_t n,
                                      bool by_sync);
void swim_merge_suspect(struct swim *swim, uint64_t sid, struct swim_incarnation incarnation,
                        uint64_t from, uint32_t lh);
void swim_merge_dead(struct swim *swim, uint64_t sid, struct swim_incarnation incarnation,
                     uint64_t from, uint32_t confirmed, bool by_sync);
void swim_declare_dead(struct swim *swim, struct swim_member *member, uint64_t from,
                       uint32_t confirmed);
/* How often it came back from the dead lately: who does is given more time (rules->damping). While
 * it is suspected and objects, that goes on being lately. */
uint32_t swim_flaps(const struct swim *swim, const struct swim_member *member);
/* How many suspicions of it were wrong lately, at most SWIM_REFUTED_OFTEN. */
uint32_t swim_refuted(const struct swim *swim, const struct swim_member *member);
void swim_event(struct swim *swim, enum swim_event_kind event, const struct swim_member *member);
/* By order: dead, without a rumor, for others have the order too. */
void swim_bury(struct swim *swim, struct swim_member *member);

/* ---- ourselves (swim_self.c) ---- */
void swim_renew_record(struct swim *swim); /* seq + 1, signed, gossiped */
void swim_refute(struct swim *swim, struct swim_incarnation accused);
void swim_on_refute_timer(struct swim *swim);
void swim_on_own_record(struct swim *swim, const struct swim_record *record);
void swim_draw_nonce(struct swim *swim); /* of a life that begins */
void swim_on_clone_timer(struct swim *swim);
void swim_rise(struct swim *swim); /* soon, to a life behind swim->other */
/* More than a day ahead of our wall clock; never where that is before 2020, for a host without a
 * battery begins in 1970. */
bool swim_is_ahead(const struct swim *swim, uint64_t ms);
void swim_worsen(struct swim *swim, uint32_t n);
void swim_better(struct swim *swim);
/* Somebody has answered us: we hear and are heard. */
void swim_contact(struct swim *swim);
void swim_on_degraded(struct swim *swim); /* a probe that only a stream answered */
void swim_on_isolation_timer(struct swim *swim);
void swim_on_lateness(struct swim *swim, uint64_t late_ns);
void swim_on_leave_timer(struct swim *swim);
void swim_on_leave_ack(struct swim *swim, uint64_t from);

/* ---- suspicions (swim_suspicion.c) ---- */
void swim_suspicion_begin(struct swim *swim, struct swim_member *member, uint64_t from,
                          uint32_t lh);
void swim_suspicion_confirm(struct swim *swim, struct swim_member *member, uint64_t from,
                            uint32_t lh);
void swim_suspicion_end(struct swim *swim, struct swim_member *member);
void swim_suspicions_restart(struct swim *swim);
void swim_suspicions_delay(struct swim *swim, uint64_t ns);
void swim_on_suspicion_timer(struct swim *swim, struct swim_suspicion *suspicion);
void swim_accuse(struct swim *swim, struct swim_member *member); /* ours */
/* Its subject may not have objected yet; a death that is heard of is doubted so long. */
bool swim_has_objection_time(const struct swim *swim, const struct swim_suspicion *s);

/* ---- probes (swim_probe.c, swim_schedule.c, swim_relay.c) ---- */
void swim_probe_schedule(struct swim *swim); /* arms TIMER_PROBE */
struct swim_member *swim_probe_choose(struct swim *swim);
void swim_on_probe_timer(struct swim *swim);
void swim_probe_while_awake(struct swim *swim);
/* Whether swim_probe_begin will not refuse it. */
bool swim_probe_has_room(const struct swim *swim, enum probe_kind kind);
void swim_probe_begin(struct swim *swim, struct swim_member *member, enum probe_kind kind,
                      uint32_t delay_ms);
void swim_on_probing_timer(struct swim *swim, struct swim_probe *probe);
/* True: it was an answer to a probe of ours. */
bool swim_probe_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4);
void swim_probe_on_fack(struct swim *swim, uint64_t seq);
void swim_probe_on_nack(struct swim *swim, uint64_t seq);
void swim_probe_on_stream(struct swim *swim, uint64_t seq);
void swim_probes_void(struct swim *swim);
bool swim_is_witness(struct swim *swim, const struct swim_member *member);
void swim_relay_on_request(struct swim *swim, const struct swim_addr *asker,
                           const struct swim_frame *request);
bool swim_relay_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4);
void swim_on_burst_timer(struct swim *swim);
/* True: it was an answer to a ping of a burst. */
bool swim_burst_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4);
/* Where the t1 of a ping under way is kept, or NULL. */
int64_t *swim_probe_t1(struct swim *swim, uint64_t seq);
int64_t *swim_relay_t1(struct swim *swim, uint64_t seq);
int64_t *swim_burst_t1(struct swim *swim, uint64_t seq);
/* The four stamps of an answered ping. */
void swim_take_clock(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                     int64_t t1, int64_t t4);
/* A live member that founded this timeline, or ourselves. */
bool swim_root_is_live(const struct swim *swim, uint64_t root);
void swim_on_relay_timer(struct swim *swim, struct swim_relay *relay);
void swim_take_round_trip(struct swim *swim, struct swim_member *member, uint64_t ns);

/* ---- gossip (swim_rumors.c) ---- */
void swim_rumor(struct swim *swim, struct swim_member *member); /* tell of it, from the start */
void swim_rumor_drop(struct swim *swim, struct swim_member *member);
/* Fills what room there is; gives what was put in. */
uint32_t swim_rumors_fill(struct swim *swim, struct pack *pack);
/* A peer is known to hold all that we do: as if each record had been sent once more. Fates are not
 * shortened: a single farewell would die out among those who know before the last has heard it. */
void swim_rumors_known(struct swim *swim);
void swim_on_gossip_timer(struct swim *swim);

/* ---- messages (swim_outbox.c) ---- */
/* A slot to be filled, zeroed but for its kind and place; NULL when too many wait (counted). */
struct swim_work *swim_post(struct swim *swim, enum work_kind kind, const struct swim_addr *addr,
                            uint64_t peer);
struct swim_work *swim_post_conn(struct swim *swim, enum work_kind kind, uint32_t conn);
void swim_post_frame(struct swim *swim, const struct swim_member *to,
                     const struct swim_frame *frame);
/* To whom the message is from: its sender on its stream or at its address. Copies the sids; 0:
 * nothing is posted. */
void swim_post_sids(struct swim *swim, enum work_kind kind, const struct swim_message *to,
                    const uint64_t *sids, uint32_t n);
void swim_outbox_deinit(struct swim *swim);

/* ---- anti-entropy (swim_sync.c, swim_stream.c) ---- */
void swim_sync_compare(struct swim *swim, struct swim_member *from, const struct swim_frame *frame);
void swim_on_sync_timer(struct swim *swim);
void swim_on_digest(struct swim *swim, const struct swim_message *m,
                    const struct swim_frame *frame);
void swim_on_want(struct swim *swim, const struct swim_message *m, const struct swim_frame *frame);
void swim_on_push_pull_timer(struct swim *swim);
void swim_on_digest_timer(struct swim *swim);
/* Opens a stream; 0: too many. */
uint32_t swim_stream_open(struct swim *swim, const struct swim_addr *addr,
                          enum conn_purpose purpose);
/* The same, for a ping to that member. */
uint32_t swim_stream_ping(struct swim *swim, const struct swim_member *member, uint64_t probe_seq);
struct swim_conn *swim_conn_find(const struct swim *swim, uint32_t id);
void swim_conn_close(struct swim *swim, struct swim_conn *conn);
void swim_conn_closed(struct swim *swim, uint32_t id); /* as was asked for */
void swim_stream_say_done(struct swim *swim, struct swim_conn *conn);
void swim_stream_on_sync(struct swim *swim, uint32_t id, const struct swim_frame *frame);
void swim_stream_on_ping(struct swim *swim, uint32_t id, const struct swim_frame *ping);
void swim_stream_on_ack(struct swim *swim, uint32_t id, const struct swim_frame *ack);
void swim_on_conn_timer(struct swim *swim, struct swim_conn *conn);
void swim_streams_deinit(struct swim *swim);

/* ---- finding others (swim_join.c) ---- */
void swim_on_join_timer(struct swim *swim);
void swim_on_join_sync_timer(struct swim *swim);
void swim_on_settle_timer(struct swim *swim);
void swim_on_reconnect_timer(struct swim *swim);
void swim_try_the_dead(struct swim *swim); /* from now on, as long as there are any */
void swim_on_expire_timer(struct swim *swim);
/* A tombstone in the second half of its time: it is not told of any more, and nothing that would
 * renew it is taken, so that it is gone everywhere before anybody could bring it back. */
bool swim_is_fading(const struct swim *swim, const struct swim_member *member);
void swim_join_answered(struct swim *swim, const struct swim_addr *from);
void swim_hello(struct swim *swim, const struct swim_addr *to);

/* ---- desired state (swim_kv.c) ---- */
void swim_kv_compare(struct swim *swim, struct swim_member *from, uint32_t khash);
void swim_kv_on_list(struct swim *swim, const struct swim_message *m,
                     const struct swim_frame *frame);
void swim_kv_on_frame(struct swim *swim, const struct swim_frame *frame, bool by_sync);
/* What a WORK_KV says; true when all of it is said. */
bool swim_kv_write(struct swim *swim, struct swim_work *work, struct pack *pack);
/* Rumors of records, into what room there is. */
void swim_kv_fill(struct swim *swim, struct pack *pack);
/* What is ordered of that id, to whom the message is from. */
void swim_kv_tell_orders(struct swim *swim, const struct swim_message *to, uint64_t sid);
bool swim_kv_order(const struct swim *swim, enum swim_order_kind kind, uint64_t sid,
                   struct swim_order_view *view);
uint32_t swim_kv_n_rumors(const struct swim *swim);
void swim_kv_deinit(struct swim *swim);

/* ---- orders (swim_obey.c) ---- */
struct swim_order;
/* Whether it was given by somebody who may, not too far ahead. */
bool swim_order_may(const struct swim *swim, const struct swim_kv *kv,
                    const struct swim_order *order);
void swim_order_apply(struct swim *swim, const struct swim_order_view *order);
/* No record of that life is to be taken. */
bool swim_order_refuses(const struct swim *swim, uint64_t sid, uint64_t boot);

/* The time has come to be `now`: before every input. Sees stalls and steps of the wall clock. */
void swim_look(struct swim *swim, struct swim_now now);
/* Arms one of the timers that there is one of, `ms` from now. */
void swim_arm(struct swim *swim, enum timer_kind kind, uint64_t ms);
static inline bool swim_is_armed(const struct swim *swim, enum timer_kind kind)
{
    return swim_timer_is_armed(&swim->own_timers[kind]);
}
/* Every frame of a message, in order. conn 0: a datagram. */
void swim_take_frames(struct swim *swim, const uint8_t *bytes, size_t n, struct swim_message *m);
