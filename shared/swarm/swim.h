/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership: SWIM with Lifeguard and what stands in docs/protocol-swarm.md, as a core that has no
 * clock, socket, thread, log or randomness of its own. Whoever drives it (node/swarm_uv, or the
 * simulator) gives it one input with the time in it, then takes what it wants done until there is
 * nothing left, then sleeps until the time it gave or the next input:
 *
 *     swim_on_datagram(swim, now, &from, bytes, n, stamp);
 *     while (swim_next(swim, now, &scratch, &action)) { … }
 *     sleep until swim_deadline(swim)
 *
 * Inputs go before timers: what has arrived is given before swim_on_time, so that a late process
 * does not accuse others of its own sleep. Nothing allocates after swim_new but a new member, and
 * what it needs is bounded by SWIM_MEMBERS_MAX.
 */
#pragma once

#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_limits.h"
#include "shared/swarm/swim_rules.h"
#include "shared/swarm/swim_types.h"

struct swim;

struct swim_config {
    const struct swim_rules *rules;   /* borrowed for the life of the core */
    const struct swim_crypto *crypto; /* the same */
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];
    struct swim_keyring keyring;
    uint8_t seed[SWIM_SEED_BYTES]; /* of all its randomness; never the same twice */
    uint64_t persisted_boot;       /* what the last SWIM_PERSIST said; 0: none */
    bool has_admin; /* orders (below) count when this key has signed them, and no other's do */
    uint8_t admin_key[SWIM_PUBLIC_BYTES];
    uint32_t mtu; /* bytes of a datagram, 0: 1400; at most SWIM_DATAGRAM_MAX */
    uint8_t n_addrs;
    struct swim_addr addrs[SWIM_ADDRS_MAX]; /* what others reach it by */
    const void *meta;                       /* copied */
    uint16_t n_meta;
    bool clock_is_anchor;  /* its wall clock is synchronised by something outside */
    int64_t time_ahead_ns; /* swarm time minus the wall clock, of the last life; 0: not known */
};

/* The first action is SWIM_PERSIST: do it durably before anything is sent. NULL: persisted_boot is
 * beyond SWIM_BOOT_MAX, so no node has ever said it and its file is damaged. */
struct swim *swim_new(const struct swim_config *config, struct swim_now now);
void swim_free(struct swim *swim);

/* ---- inputs ---- */

/* stamp_ns: wall time at which the kernel received it; 0: now. bytes is overwritten. */
void swim_on_datagram(struct swim *swim, struct swim_now now, const struct swim_addr *from,
                      uint8_t *bytes, size_t n, int64_t stamp_ns);

enum swim_stream_event {
    SWIM_STREAM_ACCEPTED, /* the other side opened it; conn is a number of the driver's, ≥ 2^31 */
    SWIM_STREAM_OPENED,   /* what SWIM_STREAM_OPEN asked for */
    SWIM_STREAM_MESSAGE,  /* bytes: a whole message as one SWIM_STREAM_WRITE was */
    SWIM_STREAM_CLOSED,   /* by the other side, or it never opened */
};
/* Messages are those of the secure channel: already opened, at most SWIM_STREAM_MESSAGE_MAX. */
void swim_on_stream(struct swim *swim, struct swim_now now, uint32_t conn_id,
                    enum swim_stream_event event, const struct swim_addr *from,
                    const uint8_t *bytes, size_t n);

/* When a datagram with action.ping left this host, by its wall clock: nearer to the truth than what
 * the core noted when it was made. `now` is later than that, and its mono_ns was read before its
 * wall_ns; so the stamp is early at most, and bounds are never too narrow for it. */
void swim_on_sent(struct swim *swim, struct swim_now now, uint64_t ping, int64_t stamp_ns);

void swim_on_time(struct swim *swim, struct swim_now now);

/* Seeds to find others by; copied, at most SWIM_SEEDS_MAX; tried for ever. */
void swim_join(struct swim *swim, struct swim_now now, const struct swim_addr *seeds, uint32_t n);
/* Tells the others. SWIM_LEAVE_DONE follows when enough of them know, or a second later. */
void swim_leave(struct swim *swim, struct swim_now now);
/* A new version of the own record. False: too long, or we are leaving. */
bool swim_set_meta(struct swim *swim, struct swim_now now, const void *meta, size_t n);
/* Where others reach us from now on, the first is used; 1 to SWIM_ADDRS_MAX. A new version of the
 * own record; false: we are leaving. */
bool swim_set_addrs(struct swim *swim, struct swim_now now, const struct swim_addr *addrs,
                    uint8_t n);
void swim_set_load(struct swim *swim, uint8_t load);
/* Measures the clocks of these members more closely: 8 pings to each, of all of them one every
 * 2 ms, that have no say in who is well. Those that are not live, and who is being measured
 * already, are not asked (again); at most SWIM_BURST_TARGETS at a time. Gives how many are. */
uint32_t swim_burst(struct swim *swim, struct swim_now now, const uint64_t *sids, uint32_t n);
/* The kernel dropped so many of our datagrams since the last call. */
void swim_on_kernel_drops(struct swim *swim, struct swim_now now, uint32_t n);
/* A datagram of ours to addr was too long for its path (EMSGSIZE), which takes `bytes`: from now on
 * none is longer, for ten minutes; NULL: to all. Below SWIM_MTU_LEAST nothing can be said: taken as
 * that. What was lost is told again as any loss is. */
void swim_on_mtu(struct swim *swim, struct swim_now now, const struct swim_addr *addr,
                 uint32_t bytes);
/* The key with which to seal; others that are installed still open. */
void swim_set_keyring(struct swim *swim, const struct swim_keyring *keyring);

/* ---- orders of an operator ----
 *
 * They go to every node and are held by it, also by who comes later. Each is signed: with the
 * admin's key where the config has one, else with that of the member that was asked. Orders about
 * one id follow each other in time; the last counts. */

enum swim_order_kind {
    SWIM_FORGET, /* a member that is gone, up to the life held here, as if it had never been; 24 h
                    long its records are refused; a later life of it is welcome */
    SWIM_BAN,    /* an id, whatever it says, until the ban is lifted */
    SWIM_UNBAN,
};

enum swim_order_result {
    SWIM_ORDER_TAKEN,
    SWIM_ORDER_UNKNOWN,   /* FORGET: nobody of that id is known */
    SWIM_ORDER_LIVES,     /* FORGET: it is not gone: stop it, or ban it */
    SWIM_ORDER_SELF,      /* nobody gives orders about itself */
    SWIM_ORDER_NOT_ADMIN, /* there is an admin's key, and this is not it */
    SWIM_ORDER_NO_CHANGE, /* BAN of who is banned, UNBAN of who is not */
    SWIM_ORDER_FULL,      /* SWIM_ORDERS_MAX are held */
    SWIM_ORDER_OLD,       /* one that was given later is held: draft another */
    SWIM_ORDER_NO_ORDER,  /* damaged, not signed with the key in it, or ahead of our clock */
};

/* admin_secret: the key to sign with (borrowed for the call); NULL: our own. */
enum swim_order_result swim_order(struct swim *swim, struct swim_now now, enum swim_order_kind kind,
                                  const struct swim_id *id,
                                  const uint8_t admin_secret[SWIM_SECRET_BYTES]);

/* For an admin whose secret key is elsewhere: what it has to sign, as swim_order_carry has it; then
 * what it has signed. The node that is asked never sees the key. */
enum swim_order_result swim_order_to_sign(struct swim *swim, struct swim_now now,
                                          enum swim_order_kind kind, const struct swim_id *id,
                                          const uint8_t admin_public[SWIM_PUBLIC_BYTES],
                                          uint8_t *carried);
enum swim_order_result swim_order_signed(struct swim *swim, struct swim_now now,
                                         const uint8_t *carried);

struct swim_order_view {
    enum swim_order_kind kind;
    struct swim_id id;
    struct swim_id by;  /* of the key that signed it */
    uint64_t boot;      /* FORGET: this life and all before it */
    uint64_t issued_ms; /* since the epoch, by the clock of who gave it, or a little more */
    int64_t until_ns;   /* swarm time at which it is over; INT64_MAX: never */
};
uint32_t swim_n_orders(const struct swim *swim);
bool swim_order_at(const struct swim *swim, uint32_t at, struct swim_order_view *view);
bool swim_is_banned(const struct swim *swim, const struct swim_id *id);

/* ---- outputs ---- */

enum swim_action_kind {
    SWIM_SEND,         /* bytes to addr */
    SWIM_STREAM_OPEN,  /* conn (< 2^31) to addr */
    SWIM_STREAM_WRITE, /* bytes on conn */
    SWIM_STREAM_CLOSE, /* conn; what was written goes out first */
    SWIM_EVENT,
    SWIM_PERSIST, /* boot, durably, before what follows */
    SWIM_LEAVE_DONE,
};

enum swim_event_kind {
    SWIM_EVENT_UP, /* for each (member, boot) Up and Down alternate, beginning with Up */
    SWIM_EVENT_DOWN,
    SWIM_EVENT_LEFT,    /* final for that boot; instead of Down */
    SWIM_EVENT_SUSPECT, /* still Up */
    SWIM_EVENT_CLEARED, /* of that suspicion */
    SWIM_EVENT_UPDATE,  /* a new record of the same boot */
    SWIM_EVENT_CLONE,   /* another process speaks with our key */
    SWIM_EVENT_ISOLATED,
    SWIM_EVENT_CONNECTED, /* we; sid 0 */
    SWIM_EVENT_BANNED,    /* sid may be our own: nobody listens to us any more */
    SWIM_EVENT_UNBANNED,
    SWIM_EVENT_FORGOTTEN,
    SWIM_EVENT_LOST,  /* sid 0: events were lost, since nobody took them: look at the members */
    SWIM_EVENT_CLOCK, /* of sid comes a boot that is a day ahead of our wall clock: one of the two
                         clocks is wrong; its record is refused, unless it is plain that it is ours
                       */
};

struct swim_action {
    enum swim_action_kind kind;
    struct swim_addr addr;
    uint32_t conn;
    const uint8_t *bytes; /* borrowed from the scratch until the next call */
    size_t n;
    enum swim_event_kind event;
    uint64_t sid; /* of the event; SWIM_SEND: to whose life it is bound, or 0 */
    struct swim_incarnation incarnation;
    uint64_t boot;   /* SWIM_PERSIST */
    uint64_t ping;   /* SWIM_SEND: swim_on_sent wants to know when it went out; 0: it does not */
    bool is_stamped; /* SWIM_SEND: it says when it was made, so what it waits for is an error */
};

/* Where messages are made; one may serve many cores, one after the other. */
struct swim_scratch {
    uint8_t bytes[SWIM_STREAM_MESSAGE_MAX];
};

/* False: nothing more. `now` may be fresher than the input's: time stamps are taken here. */
bool swim_next(struct swim *swim, struct swim_now now, struct swim_scratch *scratch,
               struct swim_action *action);
/* Monotonic ns at which swim_on_time has something to do; UINT64_MAX: never. */
uint64_t swim_deadline(const struct swim *swim);

/* ---- looking ---- */

struct swim_view {
    struct swim_id id;
    uint64_t sid;
    struct swim_incarnation incarnation;
    enum swim_state state;
    bool degraded; /* reached by streams only */
    bool banned;
    struct swim_addr addr;
    uint64_t since_ns; /* monotonic, of the state */
    uint8_t load;
    const uint8_t *record; /* borrowed until the next input */
    uint16_t n_record;
};

uint64_t swim_self(const struct swim *swim);
uint32_t swim_n_members(const struct swim *swim); /* known in any state, without itself */
uint32_t swim_n_live(const struct swim *swim);    /* alive or suspect, with itself */
/* In the order of sids; false behind the last. */
bool swim_member_at(const struct swim *swim, uint32_t at, struct swim_view *view);
bool swim_member_get(const struct swim *swim, uint64_t sid, struct swim_view *view);
/* A member's wall clock against ours. */
struct swim_wall_offset {
    int64_t offset_ns; /* its minus ours: the truth is within bound_ns of it */
    uint64_t bound_ns;
    uint64_t age_ns;   /* since it last told its clock; a step of it since then is not known */
    int32_t drift_ppb; /* SWIM_DRIFT_UNKNOWN (swim_offset.h) */
};
/* False: not known, or no clock was told yet. Of itself: 0. */
bool swim_wall_offset_get(const struct swim *swim, struct swim_now now, uint64_t sid,
                          struct swim_wall_offset *out);
/* Sum over (id, boot, seq) of members held alive or suspect, itself included. */
uint64_t swim_view_hash(const struct swim *swim);
struct swim_incarnation swim_own_incarnation(const struct swim *swim);
bool swim_is_isolated(const struct swim *swim);
uint32_t swim_local_health(const struct swim *swim);
/* Swarm time minus wall time, and how far that may be off. */
int64_t swim_time_correction(const struct swim *swim, struct swim_now now, uint64_t *bound_ns);
/* The timeline that this is. Two nodes' swarm times are one clock, within the sum of their bounds,
 * while they follow the same; swim_time_keeper is the member that founded it, 0: not live. */
uint64_t swim_time_root(const struct swim *swim);
/* Another member has told its own in this life; before, this one has nothing but its own clock. */
bool swim_time_is_agreed(const struct swim *swim);
uint64_t swim_time_keeper(const struct swim *swim);
/* Monotonic: a swarm whose clocks nothing outside keeps has just been founded, and until then its
 * time may still become that of another of the founders. Not after now: it is settled. */
uint64_t swim_time_settles_ns(const struct swim *swim);
/* Up to max live members that are not known to follow our timeline, in a round of which *at is the
 * place. Gives how many. */
uint32_t swim_time_others(const struct swim *swim, uint32_t *at, uint64_t *sids, uint32_t max);

/* Everything that was dropped, refused or lost, by cause; X-macro of names in swim_limits.h. */
struct swim_counters {
#define SWIM_COUNTER(name, what) uint64_t name;
#include "shared/swarm/swim_counters.inc"
#undef SWIM_COUNTER
};
const struct swim_counters *swim_get_counters(const struct swim *swim);
/* Bytes that this core has on the heap. */
size_t swim_memory(const struct swim *swim);
