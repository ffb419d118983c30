/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/session_internal_posix.h"

#define MS_NS 1000000u

/* Slices in which a full queue is waited for, between looks at the kernel's drop counter. */
#define WAIT_SLICE_MS 5
/* A nap: how long, after how many packets since the last wait, and what the kernel's ring takes for
 * a packet beside its bytes. */
#define NAP_NS            3000000u
#define NAP_PACKETS       512u
#define RING_PACKET_BYTES 96u
/* The loop looks at requests and failed consumers at least so often. */
#define IDLE_MS 100
/* libpcap's counters are read at least so often, long before 32 bits can wrap twice. */
#define STATS_MS 10000
/* After a source was halted: its ring gives out the last, unfilled block after at most two of the
 * kernel's block timeouts (10 ms), each rounded up to a tick of the kernel. */
#define DRAIN_MS 40
#define EARLY_MS 5
/* So old a packet may be that the kernel has not shown yet: a block that is not full, its timer (10
 * ms, rounded up to ticks), and what a loaded processor adds. */
#define SETTLE_NS 25000000u

static uint64_t kernel_drops(const struct session *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->intake.n_ifaces; i++) {
        uint64_t one = s->intake.ledgers[i].kernel;
        sum += one == LEDGER_UNKNOWN ? 0 : one;
    }
    return sum;
}

/* Offers to every lane in `pending` (a bit each); returns those that had no room. */
static uint32_t offer_all(struct session *s, struct block *block, uint32_t pending)
{
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if ((pending & 1u << i) != 0 && lane_offer(s->lanes[i], block, s->intake.n_ifaces)) {
            pending &= ~(1u << i);
        }
    }
    return pending;
}

/* Takes the block from the lanes that are not to be waited for any more; returns those left. */
static uint32_t give_up(struct session *s, const struct block *block, uint32_t pending,
                        bool ring_overflows)
{
    bool aborted = atomic_load(&s->abort);

    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if ((pending & 1u << i) == 0) {
            continue;
        }
        if (s->lane_overloaded[i] && lane_is_relaxed(s->lanes[i])) {
            s->lane_overloaded[i] = false;
        }
        if (ring_overflows) {
            s->lane_overloaded[i] = true;
        }
        if (aborted || s->lane_overloaded[i]) {
            lane_lose(s->lanes[i], block->n_packets);
            pending &= ~(1u << i);
        }
    }
    return pending;
}

static uint32_t lowest_bit(uint32_t bits)
{
    return (uint32_t)__builtin_ctz(bits);
}

/* To all lanes; the reference goes. Only a full queue makes it wait. */
static void push_block(struct session *s, struct block *block)
{
    block->sealed_ns = clock_monotonic_ns();
    uint32_t pending = offer_all(s, block, (1u << s->n_lanes) - 1);

    if (pending != 0) {
        bool overflows = false;
        uint64_t before = 0;

        if (s->live) {
            session_read_stats(s);
            before = kernel_drops(s);
        }
        while ((pending = give_up(s, block, pending, overflows)) != 0) {
            lane_wait_for_room(s->lanes[lowest_bit(pending)], WAIT_SLICE_MS);
            session_serve_snapshot(s);
            pending = offer_all(s, block, pending);
            if (s->live && pending != 0) {
                session_read_stats(s);
                overflows = kernel_drops(s) > before;
            }
        }
    }
    block_unref(block);
    s->open_since_ns = 0;
}

static bool a_lane_failed(struct session *s)
{
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if (lane_has_failed(s->lanes[i])) {
            return true;
        }
    }
    return false;
}

struct block *session_exchange(struct block *full, uint32_t need, void *arg)
{
    struct session *s = arg;

    if (full != NULL) {
        push_block(s, full);
    }
    if (atomic_load(&s->abort) || a_lane_failed(s)) {
        return NULL;
    }
    struct block *fresh = block_pool_get(s->pool, need);
    if (fresh == NULL) {
        struct err err = {0};
        err_set(&err, ERR_NO_MEMORY, "no memory for a packet of %u bytes", need);
        session_fail(s, ERR_NO_MEMORY, &err);
    }
    return fresh;
}

static void end_with(struct session *s, enum session_end end)
{
    if (!s->ended) {
        s->ended = true;
        s->result.end = end;
    }
}

/* The counters until the first instant, looked at often, so that hardly a loss before it is taken
 * for one behind it, and none the other way round. */
static void look_early(struct session *s, uint64_t now)
{
    if (now >= s->from_mono_ns) {
        s->is_early = false;
    } else if (now - s->early_read_ns >= (uint64_t)EARLY_MS * MS_NS) {
        s->early_read_ns = now;
        session_read_stats(s);
    }
}

static void serve_requests(struct session *s, uint64_t now)
{
    if (s->is_early) {
        look_early(s, now);
    }
    session_serve_snapshot(s);
    if (atomic_load(&s->abort)) {
        end_with(s, SESSION_END_ABORTED);
    } else if (atomic_load(&s->stop)) {
        end_with(s, SESSION_END_STOPPED);
    } else if (now >= s->deadline_ns) {
        end_with(s, SESSION_END_LIMIT);
    } else if (a_lane_failed(s)) {
        end_with(s, SESSION_END_FAILED); /* lane_join knows why */
    }
    if (s->live && now - s->stats_at_ns >= (uint64_t)STATS_MS * MS_NS) {
        s->stats_at_ns = now;
        session_read_stats(s);
        for (uint32_t i = 0; i < s->n_lanes; i++) {
            lane_tell_counters(s->lanes[i], s->intake.ledgers, s->intake.n_ifaces, clock_wall_ns());
        }
    }
}

/* One batch of one source. True when there may be more at once. */
static bool read_source(struct session *s, uint32_t i)
{
    struct intake_feed *feed = &s->feeds[i];
    struct err err = {0};
    int got = feed->source->ops->read(feed->source, &feed->sink, &err);

    switch (got) {
    case SOURCE_MORE:
        return true;
    case SOURCE_IDLE:
        return false;
    case SOURCE_END:
        s->source_ended[i] = true;
        return false;
    case SOURCE_STOPPED:
        if (s->intake.state == INTAKE_FAILED && s->intake.err.code < 0) {
            session_fail(s, s->intake.err.code, &s->intake.err);
        }
        end_with(s, s->intake.state == INTAKE_REACHED ? SESSION_END_LIMIT
                    : atomic_load(&s->abort)          ? SESSION_END_ABORTED
                                                      : SESSION_END_FAILED);
        return false;
    default:
        s->source_ended[i] = true;
        session_fail(s, got, &err);
        return false;
    }
}

/* One batch of every source. True when any may have more at once. */
static bool read_sources(struct session *s, bool draining)
{
    bool more = false;
    bool all_ended = true;

    for (uint32_t i = 0; i < s->n_sources && (draining || !s->ended); i++) {
        if (!s->source_ended[i]) {
            more = read_source(s, i) || more;
        }
        all_ended = all_ended && s->source_ended[i];
    }
    if (all_ended) {
        end_with(s, SESSION_END_INPUT);
    }
    return more;
}

/* In a flood every ring block would wake the loop. Sleeping a little, so that several are ready,
 * saves most of these wake-ups; never so long that more than a small part of the ring could fill.
 * Returns nanoseconds, 0 = wait for the next packet. */
static uint64_t nap_ns(const struct session *s, uint64_t now)
{
    uint64_t room = UINT64_MAX;
    struct ledger total;

    for (uint32_t i = 0; i < s->n_sources; i++) {
        uint64_t bytes = s->feeds[i].source->buffer_bytes;
        room = bytes < room ? bytes : room;
    }
    intake_total(&s->intake, &total);
    uint64_t packets = total.captured - s->waited_at.captured;
    uint64_t bytes = total.bytes - s->waited_at.bytes + packets * RING_PACKET_BYTES;
    if (packets < NAP_PACKETS || now <= s->waited_at_ns) {
        return 0;
    }
    /* what came in `elapsed` comes again; a sixteenth of the ring may fill meanwhile */
    uint64_t elapsed = now - s->waited_at_ns;
    uint64_t safe = room / 16 / (bytes / (elapsed / 1000 + 1) + 1) * 1000;
    uint64_t nap = safe < NAP_NS ? safe : NAP_NS;
    return nap < NAP_NS / 4 ? 0 : nap;
}

/* Sleeps until a packet, a request, or the time when something is due. */
static void wait_for_packets(struct session *s, uint64_t now, uint64_t until_ns)
{
    struct pollfd fds[SESSION_MAX_SOURCES + 1];
    nfds_t n = 0;
    char bytes[64];

    for (uint32_t i = 0; i < s->n_sources; i++) {
        if (!s->source_ended[i]) {
            struct source *source = s->feeds[i].source;
            fds[n++] = (struct pollfd){.fd = source->ops->fd(source), .events = POLLIN};
        }
    }
    fds[n++] = (struct pollfd){.fd = s->wake_fds[0], .events = POLLIN};
    uint64_t nap = s->live ? nap_ns(s, now) : 0;
    s->waited_at_ns = now;
    intake_total(&s->intake, &s->waited_at);
    if (nap > 0) {
        nanosleep(&(struct timespec){.tv_nsec = (long)nap}, NULL);
    }
    uint64_t wait_ms = until_ns <= now ? 0 : (until_ns - now + MS_NS - 1) / MS_NS;
    (void)poll(fds, n, wait_ms > IDLE_MS ? IDLE_MS : (int)wait_ms);
    if ((fds[n - 1].revents & POLLIN) != 0) {
        (void)!read(s->wake_fds[0], bytes, sizeof bytes);
    }
}

static bool all_lanes_have_room(struct session *s)
{
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if (!lane_has_room(s->lanes[i])) {
            return false;
        }
    }
    return true;
}

/* Seals the open block when it is old enough. While a queue is full it keeps filling instead.
 * `more` = there is something to read at once. */
static void seal_when_old(struct session *s, uint64_t now, bool more)
{
    const struct block *open = s->intake.open;

    if (open == NULL || open->n_packets == 0) {
        return;
    }
    if (s->open_since_ns == 0) {
        s->open_since_ns = now;
    }
    uint64_t age = now - s->open_since_ns;
    bool due = s->seal_ns == 0 ? !more || age >= (uint64_t)SESSION_SEAL_MS * MS_NS
                               : age >= s->seal_ns && age > 0;
    if (due && all_lanes_have_room(s)) {
        push_block(s, intake_take_open(&s->intake));
    }
}

/* An old block that is still open waits for a consumer: looked after again soon. */
static uint64_t next_due(const struct session *s, uint64_t now)
{
    uint64_t due = now + (uint64_t)IDLE_MS * MS_NS;

    if (s->open_since_ns != 0) {
        uint64_t seal = s->open_since_ns + s->seal_ns;
        seal = seal > now ? seal : now + WAIT_SLICE_MS * (uint64_t)MS_NS;
        due = seal < due ? seal : due;
    }
    if (s->is_early && now + (uint64_t)EARLY_MS * MS_NS < due) {
        due = now + (uint64_t)EARLY_MS * MS_NS;
    }
    return s->deadline_ns < due ? s->deadline_ns : due;
}

/* Reads what came before the end. By a stop or the end of the time it is captured, after a count or
 * bytes limit it is only counted. */
static void drain(struct session *s)
{
    bool can_halt = true;

    for (uint32_t i = 0; i < s->n_sources; i++) {
        struct source *source = s->feeds[i].source;
        if (source->ops->halt != NULL) {
            source->ops->halt(source);
        } else {
            can_halt = false;
        }
    }
    uint64_t until = clock_monotonic_ns() + (uint64_t)DRAIN_MS * MS_NS;
    for (;;) {
        bool more = read_sources(s, true);
        uint64_t now = clock_monotonic_ns();

        session_serve_snapshot(s);
        if (atomic_load(&s->abort) || s->intake.state == INTAKE_FAILED ||
            (now >= until && !(more && can_halt))) {
            break;
        }
        seal_when_old(s, now, more);
        if (!more) {
            wait_for_packets(s, now, now + 5u * MS_NS);
        }
    }
}

static void end_lanes(struct session *s)
{
    struct block *last = intake_take_open(&s->intake);
    struct lane_end end;

    if (last != NULL) {
        push_block(s, last);
    }
    session_read_stats(s);
    session_total(s, &end.total);
    s->result.ended_ns = clock_wall_ns();
    end.ledgers = s->intake.ledgers;
    end.n_ledgers = s->intake.n_ifaces;
    end.ended_ns = s->result.ended_ns;
    end.drop_queue = atomic_load(&s->abort);
    if (end.drop_queue) {
        s->result.end = SESSION_END_ABORTED;
    }
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        lane_end(s->lanes[i], &end);
    }
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        while (!lane_wait_for_end(s->lanes[i], IDLE_MS)) {
            session_serve_snapshot(s);
            if (atomic_load(&s->abort) && !end.drop_queue) {
                end.drop_queue = true;
                s->result.end = SESSION_END_ABORTED;
                for (uint32_t k = 0; k < s->n_lanes; k++) {
                    lane_end(s->lanes[k], &end);
                }
            }
        }
    }
}

/* Nothing older than this will be read once all sources have nothing more. */
static uint64_t sources_watermark(const struct session *s)
{
    uint64_t least = clock_wall_ns() - SETTLE_NS;

    for (uint32_t i = 0; i < s->n_sources; i++) {
        struct source *source = s->feeds[i].source;
        if (source->ops->watermark != NULL) {
            uint64_t one = source->ops->watermark(source);
            least = s->n_sources == 1 || one < least ? one : least;
        }
    }
    return least;
}

void session_loop(struct session *s)
{
    while (!s->ended) {
        uint64_t now = clock_monotonic_ns();

        serve_requests(s, now);
        if (s->ended) {
            break;
        }
        uint64_t watermark = s->live ? sources_watermark(s) : 0;
        bool more = read_sources(s, false);
        now = s->live ? clock_monotonic_ns() : now;
        seal_when_old(s, now, more);
        if (!more && (s->intake.open == NULL || s->intake.open->n_packets == 0)) {
            atomic_store(&s->idle_ns, watermark);
        }
        if (!more && !s->ended) {
            wait_for_packets(s, now, next_due(s, now));
        }
    }
    if (s->live && s->result.end != SESSION_END_ABORTED) {
        drain(s);
    }
    end_lanes(s);
}
