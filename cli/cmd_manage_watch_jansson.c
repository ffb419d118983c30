/* SPDX-License-Identifier: Apache-2.0
 *
 * Interfaces of many nodes as one stream, live.
 */
#include <stdio.h>
#include <string.h>

#include "cli/option_groups.h"
#include "cli/terminal_posix.h"
#include "cli/watch_args.h"
#include "shared/base/mem.h"

#define AT(member) .offset = offsetof(struct watch_args, member)

/* clang-format off */
static const struct command_option options[] = {
    {.name = "interface", .letter = 'i', .kind = OPT_STRING, .placeholder = "PATTERN",
     .help = "Follow this interface of each node; with *, ? or [ all that fit, of the network "
             "devices that are up.",
     .required = true, AT(interface)},
    OPTION_FILTER(struct watch_args, filter),
    {.name = "write", .letter = 'w', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Where the packets go, as pcapng; '-' is standard output.",
     .complete = COMPLETE_FILE, .required = true, AT(write)},
    {.name = "snaplen", .letter = 's', .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Keep at most so much of each packet.", .note = "all of it", .max = 262144,
     AT(snaplen)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "End after so long.", .note = "unlimited", AT(duration_ns)},
    {.name = "max-packets", .letter = 'c', .kind = OPT_COUNT, .placeholder = "COUNT",
     .help = "End after exactly so many packets.", .note = "unlimited", AT(max_packets)},
    {.name = "hold", .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "A packet waits at most so long for earlier ones of other nodes; those that come later "
             "still are written where they come, and marked.",
     .value = "0.2", .min = 1, AT(hold_ns)},
};
/* clang-format on */

static int run(struct command_context *ctx, void *args_)
{
    const struct watch_args *args = args_;
    bool to_stdout = strcmp(args->write, "-") == 0;
    size_t n = strlen(args->write);

    if (to_stdout && ctx->global.json) {
        return err_set(&ctx->err, ERR_USAGE,
                       "with -w - standard output holds packets, so --json cannot go there");
    }
    if (to_stdout && terminal_is_on(stdout)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "packets are not for a terminal; send standard output to a file or a "
                       "program, as in watch ... -w - | wireshark -k -i -");
    }
    if (n > 5 && strcmp(args->write + n - 5, ".pcap") == 0) {
        return err_set(&ctx->err, ERR_USAGE,
                       "'%s': only pcapng can say which node a packet is from; name it .pcapng",
                       args->write);
    }
    return watch_run(ctx, args);
}

const struct command cmd_manage_watch = {
    .name = "watch",
    .summary = "follow interfaces of many nodes live, as one stream in order",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct watch_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Follows the interfaces of the nodes that --all, --nodes or --select mean, through the "
            "node asked, and writes what they see as one pcapng in order of time: an interface "
            "for each of each node, NODE/IFACE, the times corrected by what the swarm knows of "
            "the nodes' clocks.",
            "Nodes that join later are followed from then on. When a node dies or does not answer, "
            "that is told on standard error, the others go on, and it is followed again when it "
            "is back. What a node lost because this end was too slow is counted, told, and in the "
            "file, as interface statistics.",
            "It ends with --duration, --max-packets or Ctrl-C, which leave a whole file and "
            "nothing running on the nodes, and says what came of each node: with 0 when all of "
            "them were followed to the end, 3 when some were not, 1 when none was.",
            "With --json an object at the end: packets, nodes [{node, id, packets, bytes, lost, "
            "dropped, late, early, gaps, whole, why}].",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage watch --all -i 'eth*' -w - -- port 53 | wireshark -k -i -",
             "the name lookups of a whole swarm, live in Wireshark"},
            {"manage watch --nodes n1,n2 -i eth0 -t 60 -w both.pcapng", "two hosts for a minute"},
            {NULL, NULL},
        },
    .run = run,
};
