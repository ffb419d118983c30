/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/replay_args.h"
#include "cli/signals_posix.h"
#include "cli/terminal_posix.h"
#include "shared/base/mem.h"
#include "shared/options/options.h"
#include "shared/store/packet_row.h"

#define SPEED_MAX 1e6
#define SPEED_MIN 1e-6

#define AT(member) .offset = offsetof(struct replay_args, member)

/* clang-format off */
static const struct command_option options[] = {
    OPTIONS_STORE(struct replay_args, store),
    OPTION_SESSIONS(struct replay_args, sessions),
    {.name = "read", .letter = 'r', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Replay a pcap or pcapng file in place of a session; '-' is standard input.",
     .complete = COMPLETE_FILE, AT(read)},
    {.name = "interface", .letter = 'i', .kind = OPT_STRING, .placeholder = "IFACE",
     .help = "Send on this interface.", .note = "the recorded one",
     .complete = COMPLETE_INTERFACE, AT(interface)},
    OPTION_FILTER(struct replay_args, filter),
    {.name = "speed", .kind = OPT_DECIMAL, .placeholder = "X",
     .help = "How fast: 1 as recorded, 2 twice as fast, 0 as fast as possible.", .value = "1",
     AT(speed)},
    {.name = "count", .letter = 'c', .kind = OPT_COUNT, .placeholder = "N",
     .help = "End after N packets were sent in all.", .note = "unlimited", AT(count)},
    {.name = "loop", .kind = OPT_COUNT, .placeholder = "N",
     .help = "Replay N times in a row; 0 means for ever.", .value = "1", AT(loop)},
    {.name = "display-only", .kind = OPT_FLAG,
     .help = "Send nothing: print each packet at its moment. Needs no rights.", AT(display_only)},
};
/* clang-format on */

struct replaying {
    const struct command_context *ctx;
    struct replay *replay;
    struct progress progress;
    struct packet_row row;
    struct buf line;
    int write_errno; /* of standard output */
};

static void show_json(struct replaying *self, const struct replay_shown *shown)
{
    static const struct store_session no_session;
    struct scan_packet packet = *shown->packet;

    packet.session = packet.session == NULL ? &no_session : packet.session;
    buf_reset(&self->line);
    packet_row_make(&self->row, &packet);
    packet_row_json(&self->line, &self->row, false);
    fwrite(self->line.data, 1, self->line.len, stdout);
}

static void show_text(struct replaying *self, const struct replay_shown *shown)
{
    const struct scan_packet *packet = shown->packet;
    char time[TEXT_NUMBER_MAX];
    char summary[SUMMARY_MAX];
    struct decoded decoded;

    decode_packet(&packet->view, packet->iface->link_type, &decoded);
    summary_line(&packet->view, &decoded, summary, sizeof summary);
    text_format_time(packet->view.time_ns, time);
    buf_reset(&self->line);
    if (shown->with_interface) {
        buf_put_u8(&self->line, ' ');
        output_put_name(&self->line, packet->iface->name);
    }
    printf("%s%.*s %s\n", time, (int)self->line.len, (const char *)self->line.data, summary);
}

/* Flushed at once: the moment is what is shown. */
static void show(const struct packet_view *packet, void *packet_arg, void *arg)
{
    struct replaying *self = arg;

    (void)packet;
    progress_end(&self->progress);
    if (self->ctx->global.json) {
        show_json(self, packet_arg);
    } else {
        show_text(self, packet_arg);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && self->write_errno == 0) {
        self->write_errno = errno;
    }
}

static void print_counters(const struct replaying *self)
{
    const struct replay_report *report = replay_report(self->replay);

    fprintf(stderr, "%llu packets, %llu bytes so far\n", (unsigned long long)report->done,
            (unsigned long long)report->bytes);
}

static bool should_stop(void *arg)
{
    struct replaying *self = arg;
    int number;

    if (ferror(stdout)) {
        return true;
    }
    while ((number = signals_next()) == SIGUSR1) {
        print_counters(self);
    }
    progress_say(&self->progress, "%llu packets",
                 (unsigned long long)replay_report(self->replay)->done);
    return number != 0;
}

static void say_waiting(uint64_t left_ns, void *arg)
{
    struct replaying *self = arg;
    char left[TEXT_NUMBER_MAX];

    text_format_duration(left_ns, left);
    progress_say(&self->progress, "the next packet is due in %s", left);
}

static int check(struct command_context *ctx, const struct replay_args *args)
{
    static const char *const store_only[] = {"database", "session", "encryption-key",
                                             "encryption-key-file"};

    for (size_t i = 0; args->read != NULL && i < ARRAY_LEN(store_only); i++) {
        if (options_given(ctx, store_only[i])) {
            return err_set(&ctx->err, ERR_USAGE, "--%s has no meaning with -r", store_only[i]);
        }
    }
    if (args->read != NULL && strcmp(args->read, "-") == 0 && args->loop != 1) {
        return err_set(&ctx->err, ERR_USAGE,
                       "standard input can be read once: --loop needs a file or a session");
    }
    if (args->speed != 0 && (args->speed < SPEED_MIN || args->speed > SPEED_MAX)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--speed is between 0.000001 and 1000000, or 0: as fast as possible");
    }
    if (args->display_only && args->interface != NULL) {
        return err_set(&ctx->err, ERR_USAGE, "--display-only sends nothing, so -i has no meaning");
    }
    return 0;
}

static int replay(struct replaying *self, struct command_context *ctx,
                  const struct replay_args *args)
{
    struct replay_targets targets = {.only = args->interface, .none = args->display_only};
    const struct replay_opts opts = {
        .speed = args->speed,
        .count = args->count,
        .show = args->display_only ? show : NULL,
        .stop = should_stop,
        .waiting = say_waiting,
        .arg = self,
    };

    self->replay = replay_new(&opts);
    int r = args->read != NULL ? replay_feed_file(ctx, args, &targets, self->replay)
                               : replay_feed_store(ctx, args, &targets, self->replay);
    /* What was gathered before an error is still sent, so that the count is right. */
    int finished = replay_finish(self->replay, r < 0 ? NULL : &ctx->err);
    r = r < 0 ? r : finished;
    progress_end(&self->progress);
    const struct replay_report *report = replay_report(self->replay);
    if (r == 0 || report->done > 0) {
        int said = replay_summary(args->display_only ? stderr : stdout,
                                  ctx->global.json && !args->display_only, args, &targets, report,
                                  r < 0 ? NULL : &ctx->err);
        r = r < 0 ? r : said;
    }
    if (r >= 0 && self->write_errno != 0) {
        r = err_errno(&ctx->err, self->write_errno, "writing to standard output");
    }
    replay_targets_deinit(&targets);
    replay_free(self->replay);
    return r;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct replay_args *args = args_;
    struct replaying self = {.ctx = ctx};
    int r = check(ctx, args);

    if (r < 0) {
        return r;
    }
    r = signals_catch(&ctx->err);
    if (r == 0) {
        progress_start(&self.progress, ctx);
        r = replay(&self, ctx, args);
        signals_release();
    }
    buf_deinit(&self.line);
    return r;
}

const struct command cmd_replay = {
    .name = "replay",
    .summary = "send recorded packets again, at their moments",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct replay_args),
    .description =
        (const char *const[]){
            "Sends the packets of a session, or of a capture file with -r, with the distances in "
            "time that they were recorded with, and says at the end how well the moments were met. "
            "Without -i each packet goes out on the interface of the name that it was recorded "
            "on.",
            "Packets are sent as they were or not at all. Those that were cut when they were "
            "captured, that are larger than the interface's MTU (captures show such frames where "
            "GRO or TSO is on), or that are of another link type than the interface's, are counted "
            "by reason, and the command ends with 3. Ethernet interfaces send Ethernet frames; "
            "tunnels (tun, WireGuard, IP in IP) send bare IP packets. The loopback is refused, "
            "since this host would take the packets for its own.",
            "Where the recorded clock was set back, no gap is kept. Loops follow each other "
            "without a gap. Sending at the exact moment takes most of one processor at high rates. "
            "SIGINT ends cleanly, SIGUSR1 prints the counters.",
            "With --json the summary is an object: sent, bytes, duration_ns, speed, not_sent by "
            "reason, gap_error and lateness with median, p99 and max in nanoseconds, clock_steps, "
            "interfaces. With --display-only packets are printed as query prints them, and the "
            "summary goes to standard error.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"replay -s last -i veth0", "the newest session, in real time"},
            {"replay -r capture.pcapng -i eth1 --speed 10 --loop 0", "ten times as fast, for ever"},
            {"replay -s last -i veth0 --speed 0 -- udp port 53", "only DNS, as fast as possible"},
            {"replay -s last --display-only", "watch a session as it happened"},
            {NULL, NULL},
        },
    .run = run,
};
