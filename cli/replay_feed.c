/* SPDX-License-Identifier: Apache-2.0
 *
 * Where replayed packets come from. Both feeds open every interface that they can know of before
 * the first packet goes out, so that a name that does not exist is no surprise in the middle.
 */
#include <stdio.h>

#include "cli/database.h"
#include "cli/replay_args.h"
#include "cli/session_choice.h"
#include "shared/base/log.h"
#include "shared/capture/source_file.h"
#include "shared/packet/filter.h"

/* More of the rounds that --loop asks for? A round in which nothing went out would repeat itself
 * without end. */
static bool goes_round(const struct replay_args *args, struct replay *replay, uint64_t round,
                       uint64_t *done_before)
{
    uint64_t done = replay_taken(replay);
    bool is_empty = round > 0 && done == *done_before;

    *done_before = done;
    if ((args->loop != 0 && round >= args->loop) || is_empty) {
        return false;
    }
    if (round > 0) {
        replay_loop(replay);
    }
    return true;
}

/* One round. 1 at the end of the packets, 0 when the replay is over. */
static int feed_scan(struct scan *scan, struct replay_targets *targets, struct replay *replay,
                     bool with_interface, struct err *err)
{
    struct scan_packet packet;
    struct replay_shown shown = {.packet = &packet, .with_interface = with_interface};
    struct inject *to;
    int r;

    while ((r = scan_next(scan, &packet, err)) > 0) {
        r = replay_target_for(targets, packet.iface, &to, err);
        if (r == 0) {
            r = replay_packet(replay, to, &packet.view, packet.iface->link_type, &shown, err);
        }
        if (r <= 0) {
            return r;
        }
    }
    return r < 0 ? r : 1;
}

static int feed_sessions(struct command_context *ctx, const struct replay_args *args,
                         struct store *store, const struct session_choice *choice,
                         struct replay_targets *targets, struct replay *replay)
{
    const struct scan_spec spec = {
        .sessions = choice->sessions,
        .n = choice->n,
        .to_ns = UINT64_MAX,
        .filter = args->filter,
        .time_order = choice->n > 1,
    };
    uint64_t n_ifaces = 0;
    uint64_t done = 0;
    int r = 1;

    for (size_t i = 0; i < choice->n; i++) {
        n_ifaces += choice->sessions[i].n_ifaces;
    }
    for (uint64_t round = 0; r > 0 && goes_round(args, replay, round, &done); round++) {
        struct scan *scan = NULL;
        r = scan_new(store, &spec, &scan, &ctx->err);
        if (r == 0) {
            r = feed_scan(scan, targets, replay, n_ifaces > 1, &ctx->err);
        }
        if (r >= 0 && session_choice_damage(scan_damage(scan), &ctx->err) < 0) {
            r = ERR_PARTLY;
        }
        scan_free(scan);
    }
    return r < 0 ? r : 0;
}

int replay_feed_store(struct command_context *ctx, const struct replay_args *args,
                      struct replay_targets *targets, struct replay *replay)
{
    struct session_choice choice = {0};
    struct store *store = NULL;
    int r = database_open(&args->store, STORE_READ, &store, &ctx->err);

    if (r == 0) {
        r = session_choice_make(store, &args->sessions, &choice, &ctx->err);
    }
    if (r == 0) {
        session_choice_check_filter(&choice, args->filter);
    }
    for (size_t i = 0; i < choice.n && r == 0; i++) {
        r = replay_targets_open(targets, choice.sessions[i].ifaces, choice.sessions[i].n_ifaces,
                                &ctx->err);
    }
    if (r == 0) {
        r = feed_sessions(ctx, args, store, &choice, targets, replay);
    }
    session_choice_deinit(&choice);
    store_close(store);
    return r;
}

struct file_feed {
    struct source_sink sink;
    struct source *source;
    struct filter_set *filters;
    struct replay_targets *targets;
    struct replay *replay;
    uint64_t number;
    struct err *err;
    int result; /* of the last packet, as replay_packet */
};

static bool matches(struct file_feed *feed, const struct packet_view *packet, uint32_t link_type)
{
    const char *why = NULL;

    if (feed->filters == NULL) {
        return true;
    }
    const struct filter *filter = filter_set_for(feed->filters, link_type, &why);
    if (why != NULL) {
        log_warn("%s", why);
    }
    return filter != NULL && filter_matches(filter, packet);
}

static bool on_packet(struct source_sink *sink, const struct packet_view *view)
{
    struct file_feed *feed = (struct file_feed *)sink;
    const struct iface *iface = &feed->source->ifaces[view->iface];
    struct scan_packet packet = {.view = *view, .iface = iface, .number = ++feed->number};
    struct replay_shown shown = {.packet = &packet, .with_interface = feed->source->n_ifaces > 1};
    struct inject *to = NULL;

    if (!matches(feed, view, iface->link_type)) {
        return true;
    }
    feed->result = replay_target_for(feed->targets, iface, &to, feed->err);
    if (feed->result == 0) {
        feed->result = replay_packet(feed->replay, to, view, iface->link_type, &shown, feed->err);
    }
    return feed->result > 0;
}

/* One round. 1 at the end of the packets, 0 when the replay is over. */
static int feed_round(struct file_feed *feed)
{
    int r =
        replay_targets_open(feed->targets, feed->source->ifaces, feed->source->n_ifaces, feed->err);

    feed->number = 0;
    while (r >= 0) {
        r = feed->source->ops->read(feed->source, &feed->sink, feed->err);
        if (r == SOURCE_END) {
            return 1;
        }
        if (r == SOURCE_STOPPED) {
            return feed->result;
        }
    }
    return r;
}

int replay_feed_file(struct command_context *ctx, const struct replay_args *args,
                     struct replay_targets *targets, struct replay *replay)
{
    struct file_feed feed = {
        .sink.packet = on_packet, .targets = targets, .replay = replay, .err = &ctx->err};
    uint64_t done = 0;
    int r = 1;

    if (args->filter != NULL && args->filter[0] != '\0') {
        r = filter_set_new(args->filter, &feed.filters, &ctx->err);
        r = r < 0 ? r : 1;
    }
    for (uint64_t round = 0; r > 0 && goes_round(args, replay, round, &done); round++) {
        r = source_file_open(args->read, &feed.source, &ctx->err);
        if (r == 0) {
            r = feed_round(&feed);
            feed.source->ops->close(feed.source);
        }
    }
    filter_set_free(feed.filters);
    return r < 0 ? r : 0;
}
