/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/replay_posix.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* A batch also ends here; one frame may be larger and is then sent alone. */
#define BATCH_BYTES (512u * 1024u)
/* Long waits are cut, so that a signal that comes just before one is seen. */
#define SLEEP_MAX_NS  250000000u
#define STOP_EVERY_NS 20000000u
#define NS_PER_SECOND UINT64_C(1000000000)
#define SLACK_DEFAULT 50000u
#define SHOWN_WAIT_NS NS_PER_SECOND

/* struct sched_attr of the kernel, first version; not every C library has it. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/* The shortest slice that there is. Since Linux 6.12 a thread may ask for it without any rights: it
 * gets no more of the processor, but sooner after it wakes (EEVDF). With three busy processes on
 * two cores that is the difference between 4 ms and 1 ms of error at the 99th percentile. */
#define SLICE_NS 100000u

struct replay {
    struct replay_opts opts;
    struct scheduling scheduling; /* as it was; size 0 = unknown */
    struct replay_report report;
    uint64_t asked_stop_ns;
    uint64_t last_sent_ns; /* when the packet before went out */
    bool is_stopped;
    struct inject *to; /* of the batch */
    uint32_t n;
    uint32_t used;
    struct iovec frames[INJECT_BATCH_MAX];
    uint8_t data[BATCH_BYTES];
};

static void ask_for_short_slices(struct replay *replay)
{
    struct scheduling *before = &replay->scheduling;

    if (syscall(SYS_sched_getattr, 0, before, sizeof *before, 0) < 0) {
        before->size = 0;
        return;
    }
    if (before->policy == 0) { /* SCHED_OTHER: else somebody has arranged for more than this */
        struct scheduling mine = *before;
        mine.runtime_ns = SLICE_NS;
        (void)syscall(SYS_sched_setattr, 0, &mine, 0);
    }
}

struct replay *replay_new(const struct replay_opts *opts)
{
    struct replay *replay = x_alloc(sizeof *replay);

    replay->opts = *opts;
    pacing_init(&replay->report.pacing, opts->speed);
    /* The kernel may wake a sleeper so much late to save power; the default is 50 us. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    ask_for_short_slices(replay);
    return replay;
}

void replay_free(struct replay *replay)
{
    if (replay != NULL) {
        prctl(PR_SET_TIMERSLACK, (unsigned long)SLACK_DEFAULT, 0UL, 0UL, 0UL);
        if (replay->scheduling.size > 0) {
            (void)syscall(SYS_sched_setattr, 0, &replay->scheduling, 0);
        }
    }
    mem_free(replay);
}

static bool should_stop(struct replay *replay, uint64_t now_ns)
{
    if (!replay->is_stopped && replay->opts.stop != NULL) {
        replay->asked_stop_ns = now_ns;
        replay->is_stopped = replay->opts.stop(replay->opts.arg);
    }
    return replay->is_stopped;
}

static void sleep_until(uint64_t ns)
{
    const struct timespec at = {.tv_sec = (time_t)(ns / NS_PER_SECOND),
                                .tv_nsec = (long)(ns % NS_PER_SECOND)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Returns the time, which is due_ns or later unless stopped. */
static uint64_t wait_until(struct replay *replay, uint64_t due_ns)
{
    uint64_t now_ns = clock_monotonic_ns();

    while (due_ns > now_ns + REPLAY_SPIN_NS) {
        uint64_t left = due_ns - now_ns;
        if (left > SHOWN_WAIT_NS && replay->opts.waiting != NULL) {
            replay->opts.waiting(left, replay->opts.arg);
        }
        sleep_until(left - REPLAY_SPIN_NS > SLEEP_MAX_NS ? now_ns + SLEEP_MAX_NS
                                                         : due_ns - REPLAY_SPIN_NS);
        now_ns = clock_monotonic_ns();
        if (should_stop(replay, now_ns)) {
            return now_ns;
        }
    }
    while (now_ns < due_ns) {
        now_ns = clock_monotonic_ns();
    }
    return now_ns;
}

static void note_done(struct replay *replay, uint64_t n, uint64_t bytes, uint64_t now_ns)
{
    struct replay_report *report = &replay->report;

    report->done += n;
    report->bytes += bytes;
    report->ended_ns = now_ns;
}

/* sent_ns is the moment just before the packet was handed to the kernel. */
static void note_timing(struct replay *replay, uint64_t due_ns, uint64_t sent_ns)
{
    struct replay_report *report = &replay->report;

    pacing_errors_add(&report->late, sent_ns > due_ns ? sent_ns - due_ns : 0);
    if (replay->last_sent_ns != 0) {
        uint64_t gap = sent_ns - replay->last_sent_ns;
        uint64_t wanted = report->pacing.gap_ns;
        pacing_errors_add(&report->gaps, gap > wanted ? gap - wanted : wanted - gap);
    }
    replay->last_sent_ns = sent_ns;
}

static int send_frames(struct replay *replay, struct inject *to, const struct iovec *frames,
                       uint32_t n, struct err *err)
{
    const struct inject_stats before = *inject_stats(to);
    const struct inject_stats *after = inject_stats(to);
    uint32_t n_sent;
    int r = inject_send(to, frames, n, &n_sent, err);

    note_done(replay, after->sent - before.sent, after->bytes - before.bytes, clock_monotonic_ns());
    replay->report.not_sent[SENDABLE_REFUSED] += after->refused - before.refused;
    return r;
}

static int send_one(struct replay *replay, struct inject *to, const struct packet_view *packet,
                    struct err *err)
{
    /* sendmsg does not write through the pointer. */
    const struct iovec frame = {.iov_base = (uint8_t *)packet->data, .iov_len = packet->caplen};

    return send_frames(replay, to, &frame, 1, err);
}

static int flush(struct replay *replay, struct err *err)
{
    uint32_t n = replay->n;

    replay->n = 0;
    replay->used = 0;
    return n == 0 ? 0 : send_frames(replay, replay->to, replay->frames, n, err);
}

/* True when the packets of this run, sent and gathered, are as many as were asked for. */
static bool is_enough(const struct replay *replay)
{
    return replay->opts.count != 0 && replay_taken(replay) >= replay->opts.count;
}

static int gather(struct replay *replay, struct inject *to, const struct packet_view *packet,
                  struct err *err)
{
    int r = 0;

    if (replay->n == INJECT_BATCH_MAX || replay->to != to ||
        packet->caplen > BATCH_BYTES - replay->used) {
        r = flush(replay, err);
    }
    if (r < 0 || packet->caplen > BATCH_BYTES) {
        return r < 0 ? r : send_one(replay, to, packet, err);
    }
    replay->to = to;
    replay->frames[replay->n++] =
        (struct iovec){.iov_base = replay->data + replay->used, .iov_len = packet->caplen};
    memcpy(replay->data + replay->used, packet->data, packet->caplen);
    replay->used += packet->caplen;
    return r == 0 && is_enough(replay) ? flush(replay, err) : r;
}

/* The moment has come. */
static int put_out(struct replay *replay, struct inject *to, const struct packet_view *packet,
                   void *packet_arg, struct err *err)
{
    if (replay->opts.show != NULL) {
        replay->opts.show(packet, packet_arg, replay->opts.arg);
        note_done(replay, 1, packet->caplen, clock_monotonic_ns());
        return 0;
    }
    return replay->opts.speed == 0 ? gather(replay, to, packet, err)
                                   : send_one(replay, to, packet, err);
}

int replay_packet(struct replay *replay, struct inject *to, const struct packet_view *packet,
                  uint32_t link_type, void *packet_arg, struct err *err)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (replay->is_stopped || is_enough(replay) ||
        (now_ns - replay->asked_stop_ns >= STOP_EVERY_NS && should_stop(replay, now_ns))) {
        return 0;
    }
    if (replay->opts.show == NULL) {
        enum sendable_reason reason =
            sendable_check(inject_kind(to), inject_mtu(to), link_type, packet);
        if (reason != SENDABLE_YES) {
            replay->report.not_sent[reason]++;
            return 1;
        }
    }
    uint64_t due_ns = pacing_due(&replay->report.pacing, packet->time_ns, now_ns);
    if (replay->opts.speed != 0) {
        uint64_t sent_ns = wait_until(replay, due_ns);
        if (replay->is_stopped) {
            return 0;
        }
        note_timing(replay, due_ns, sent_ns);
    }
    if (replay->report.started_ns == 0) {
        replay->report.started_ns = clock_monotonic_ns();
    }
    int r = put_out(replay, to, packet, packet_arg, err);
    return r < 0 ? r : is_enough(replay) ? 0 : 1;
}

void replay_loop(struct replay *replay)
{
    pacing_loop(&replay->report.pacing);
}

int replay_finish(struct replay *replay, struct err *err)
{
    return flush(replay, err);
}

uint64_t replay_taken(const struct replay *replay)
{
    return replay->report.done + replay->n;
}

const struct replay_report *replay_report(const struct replay *replay)
{
    return &replay->report;
}
