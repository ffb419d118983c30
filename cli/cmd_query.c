/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/packet_print.h"
#include "cli/session_choice.h"
#include "shared/base/mem.h"

#define LIMIT_DEFAULT "10"

struct query_args {
    struct store_args store;
    struct option_list sessions;
    const char *filter;
    struct range_args range;
    uint64_t limit;
    uint64_t offset;
    bool show_data;
    bool count;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct query_args, store),
    OPTION_SESSIONS(struct query_args, sessions),
    OPTION_FILTER(struct query_args, filter),
    OPTIONS_RANGE(struct query_args, range),
    {.name = "limit",
     .letter = 'l',
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "Show at most N packets; 0 means all.",
     .value = LIMIT_DEFAULT,
     .offset = offsetof(struct query_args, limit)},
    {.name = "offset",
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "Leave out the first N packets that match.",
     .value = "0",
     .offset = offsetof(struct query_args, offset)},
    {.name = "show-data",
     .kind = OPT_FLAG,
     .help = "Show the bytes of each packet too, in hex and ASCII; with --json in hex, as data.",
     .offset = offsetof(struct query_args, show_data)},
    {.name = "count",
     .kind = OPT_FLAG,
     .help = "Print nothing but the number of packets that match, whatever --limit says.",
     .offset = offsetof(struct query_args, count)},
};

/* One query at work. */
struct query {
    struct command_context *ctx;
    const struct query_args *args;
    struct session_choice choice;
    struct scan *scan;
    bool is_all; /* neither filter nor time range: the catalogue knows how many */
    uint64_t shown;
    struct packet_print print;
};

/* 1 when the limit ended it, 0 at the end of the packets. */
static int print_packets(struct query *q)
{
    struct scan_packet packet;
    uint64_t limit = q->args->limit == 0 ? UINT64_MAX : q->args->limit;
    uint64_t skip = q->args->offset;
    int r;

    while (q->shown < limit) {
        r = scan_next(q->scan, &packet, &q->ctx->err);
        if (r <= 0) {
            return r;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        r = packet_print(&q->print, &packet, &q->ctx->err);
        if (r < 0) {
            return r;
        }
        q->shown++;
    }
    return 1;
}

/* What the limit left out. How many there are is known without a filter; with one it would take
 * reading on to the end. */
static void tell_rest(const struct query *q)
{
    uint64_t total = 0;

    if (q->ctx->global.quiet) {
        return;
    }
    if (!q->is_all) {
        fprintf(stderr, "%" PRIu64 " packets shown, more may follow: -l 0 shows all\n", q->shown);
        return;
    }
    for (size_t i = 0; i < q->choice.n; i++) {
        total += q->choice.sessions[i].packets;
    }
    if (q->shown < total) {
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " packets shown: -l 0 shows all\n", q->shown,
                total);
    }
}

static int print_count(struct query *q)
{
    uint64_t count;
    int r = scan_count(q->scan, &count, &q->ctx->err);

    if (r == 0) {
        printf("%" PRIu64 "\n", count);
    }
    return r;
}

static void look_at_choice(struct query *q)
{
    const struct query_args *args = q->args;
    uint64_t n_ifaces = 0;

    for (size_t i = 0; i < q->choice.n; i++) {
        n_ifaces += q->choice.sessions[i].n_ifaces;
    }
    q->print.with_interface = n_ifaces > 1;
    q->is_all = (args->filter == NULL || args->filter[0] == '\0') && args->range.from_ns == 0 &&
                args->range.to_ns == UINT64_MAX;
}

static int query(struct query *q, struct store *store)
{
    const struct query_args *args = q->args;
    int r = session_choice_make(store, &args->sessions, &q->choice, &q->ctx->err);

    if (r < 0) {
        return r;
    }
    session_choice_check_filter(&q->choice, args->filter);
    look_at_choice(q);
    const struct scan_spec spec = {
        .sessions = q->choice.sessions,
        .n = q->choice.n,
        .from_ns = args->range.from_ns,
        .to_ns = args->range.to_ns,
        .filter = args->filter,
        .time_order = q->choice.n > 1 || q->choice.all,
    };
    r = scan_new(store, &spec, &q->scan, &q->ctx->err);
    if (r < 0) {
        return r;
    }
    r = args->count ? print_count(q) : print_packets(q);
    if (r < 0) {
        return r;
    }
    if (fflush(stdout) != 0) {
        return packet_print_failed(&q->ctx->err);
    }
    if (r > 0) {
        tell_rest(q);
    }
    return session_choice_damage(scan_damage(q->scan), &q->ctx->err);
}

static int run(struct command_context *ctx, void *args_)
{
    const struct query_args *args = args_;
    struct query q = {
        .ctx = ctx,
        .args = args,
        .print = {.out = stdout, .json = ctx->global.json, .show_data = args->show_data},
    };
    struct store *store = NULL;

    if (args->range.from_ns > args->range.to_ns) {
        return err_set(&ctx->err, ERR_USAGE, "--from is later than --to");
    }
    int r = database_open(&args->store, STORE_READ, &store, &ctx->err);
    if (r == 0) {
        r = query(&q, store);
    }
    scan_free(q.scan);
    session_choice_deinit(&q.choice);
    packet_print_deinit(&q.print);
    store_close(store);
    return r;
}

const struct command cmd_query = {
    .name = "query",
    .summary = "show packets of a store",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct query_args),
    .description =
        (const char *const[]){
            "Prints one line a packet, in the words of tcpdump -nn: time in UTC with nanoseconds, "
            "the interface where there are several, then addresses, ports, flags and lengths. The "
            "first 10 packets are shown unless -l says otherwise; what was left out is said on "
            "standard error.",
            "-s is not needed when the store holds one session. One session comes in the order it "
            "was recorded; several, or 'all', in the order of their times.",
            "Filters are those of tcpdump, see pcap-filter(7). Time range and filter go through "
            "the index of the store, so that only the parts that may hold a match are read.",
            "With --json each line is an object: session, number, time, interface, caplen, len, "
            "link_type, src, dst, sport, dport, proto, flags, info, and with --show-data data; "
            "unknown values are null.",
            "Ends with 0 also when nothing matches, with 1 for a filter that is wrong, with 3 when "
            "a part of the store was damaged and left out.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"query -d packets.db", "the first 10 packets of the only session"},
            {"query -s last -l 0 -- host 10.0.0.1 and tcp port 443",
             "all packets of one host in the newest session"},
            {"query -s all --from -10m --json | jq -r .info", "the last ten minutes of all"},
            {"query -s last --count -- udp", "how many there are"},
            {NULL, NULL},
        },
    .run = run,
};
