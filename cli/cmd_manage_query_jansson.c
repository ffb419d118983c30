/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets of a node, as `packetrecorder query` shows those of a store.
 */
#include "cli/manage.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/manage_nodes.h"
#include "cli/manage_packets.h"
#include "cli/option_groups.h"
#include "cli/packet_print.h"
#include "shared/base/mem.h"

struct query_args {
    struct option_list sessions;
    const char *filter;
    struct range_args range;
    uint64_t limit;
    uint64_t offset;
    bool show_data;
    bool count;
};

/* clang-format off */
static const struct command_option options[] = {
    {.name = "session", .letter = 's', .kind = OPT_LIST, .placeholder = "SESSION",
     .help = "Session of the node: id, a prefix of at least 8 characters, its name, 'last' or "
             "'all'; may be repeated.",
     .note = "the only one", .offset = offsetof(struct query_args, sessions)},
    OPTION_FILTER(struct query_args, filter),
    OPTIONS_RANGE(struct query_args, range),
    {.name = "limit", .letter = 'l', .kind = OPT_COUNT, .placeholder = "N",
     .help = "Show at most N packets; 0 means all.", .value = "10",
     .offset = offsetof(struct query_args, limit)},
    {.name = "offset", .kind = OPT_COUNT, .placeholder = "N",
     .help = "Leave out the first N packets that match.", .value = "0",
     .offset = offsetof(struct query_args, offset)},
    {.name = "show-data", .kind = OPT_FLAG,
     .help = "Show the bytes of each packet too, in hex and ASCII; with --json in hex, as data.",
     .offset = offsetof(struct query_args, show_data)},
    {.name = "count", .kind = OPT_FLAG,
     .help = "Print nothing but the number of packets that match, whatever --limit says.",
     .offset = offsetof(struct query_args, count)},
};
/* clang-format on */

static bool is_all(const struct query_args *args)
{
    return (args->filter == NULL || args->filter[0] == '\0') && args->range.from_ns == 0 &&
           args->range.to_ns == UINT64_MAX;
}

static int print_count(struct manage_packets *packets, bool all)
{
    const json_t *packet;
    uint64_t n = manage_packets_total(packets);
    int rc = 0;

    if (!all || n == UINT64_MAX) {
        for (n = 0; (rc = manage_packets_next(packets, &packet)) > 0; n++) {
        }
    }
    if (rc == 0) {
        printf("%" PRIu64 "\n", n);
    }
    return rc;
}

static void tell_rest(const struct command_context *ctx, const struct manage_packets *packets,
                      uint64_t shown, bool all)
{
    uint64_t total = manage_packets_total(packets);

    if (ctx->global.quiet || (all && total != UINT64_MAX && shown >= total)) {
        return;
    }
    if (all && total != UINT64_MAX) {
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " packets shown: -l 0 shows all\n", shown, total);
    } else {
        fprintf(stderr, "%" PRIu64 " packets shown, more may follow: -l 0 shows all\n", shown);
    }
}

static int print_packets(struct command_context *ctx, const struct query_args *args,
                         struct manage_packets *packets)
{
    struct packet_print print = {
        .out = stdout,
        .json = ctx->global.json,
        .show_data = args->show_data,
        .with_node = manage_nodes_are_named(ctx),
        .with_interface = manage_packets_of_several(packets),
    };
    const json_t *packet;
    uint64_t skip = args->offset;
    uint64_t shown = 0;
    int rc = 1;

    while (rc > 0 && (args->limit == 0 || shown < args->limit)) {
        rc = manage_packets_next(packets, &packet);
        if (rc > 0 && skip > 0) {
            skip--;
            continue;
        }
        if (rc > 0) {
            int printed = packet_print_object(&print, packet, &ctx->err);
            rc = printed < 0 ? printed : rc;
            shown++;
        }
    }
    packet_print_deinit(&print);
    if (rc >= 0 && fflush(stdout) != 0) {
        return packet_print_failed(&ctx->err);
    }
    if (rc > 0) {
        tell_rest(ctx, packets, shown, is_all(args));
    }
    return rc < 0 ? rc : 0;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct query_args *args = args_;
    const struct manage_packets_spec spec = {
        .names = &args->sessions,
        .filter = args->filter,
        .from_ns = args->range.from_ns,
        .to_ns = args->range.to_ns,
        /* Words are made of the bytes. */
        .with_data = !args->count && (args->show_data || !ctx->global.json),
        .wanted = args->count || args->limit == 0 || args->offset > UINT64_MAX - args->limit
                      ? 0
                      : args->offset + args->limit,
    };
    struct manage_packets *packets = NULL;
    struct manage *manage = NULL;

    if (args->range.from_ns > args->range.to_ns) {
        return err_set(&ctx->err, ERR_USAGE, "--from is later than --to");
    }
    int rc = manage_open_for_nodes(ctx, &manage);
    rc = rc < 0 ? rc : manage_packets_new(ctx, manage, &spec, &packets);
    if (rc == 0) {
        rc = args->count ? print_count(packets, is_all(args)) : print_packets(ctx, args, packets);
        rc = rc < 0 ? rc : manage_packets_damage(packets, &ctx->err);
    }
    manage_packets_free(packets);
    manage_close(manage);
    return rc;
}

const struct command cmd_manage_query = {
    .name = "query",
    .summary = "show packets of the node's store",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct query_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Prints packets of the node's sessions as 'packetrecorder query' prints those of a "
            "store, in the same words and with the same JSON; the node searches, and only what "
            "matches crosses the network. Several sessions, or 'all', come in the order of their "
            "times. For many packets use 'manage download-pcap'.",
            "With --nodes, --all or --select the packets of all these nodes come in the order of "
            "their times, as the clocks of their hosts gave them; each line, or object, has its "
            "node.",
            "Ends with 0 also when nothing matches, with 3 when a part of the store was damaged "
            "and left out, or a node did not answer.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage query -s last -l 0 -- host 10.0.0.1 and tcp port 443",
             "all packets of one host in the newest session"},
            {"manage query -s all --from -10m --json | jq -r .info", "the last ten minutes of all"},
            {NULL, NULL},
        },
    .run = run,
};
