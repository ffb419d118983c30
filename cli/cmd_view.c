/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/swarm_view_posix.h"
#include "cli/terminal_posix.h"
#include "cli/view_args.h"
#include "shared/base/mem.h"

#define AT(member) .offset = offsetof(struct view_args, member)

static const struct command_word words[] = {
    {.name = "ENDPOINT",
     .help = "The HTTP address of the node: HOST:PORT, http://, https://, ws:// or wss://."},
};

/* clang-format off */
static const struct command_option options[] = {
    {.name = "interface", .letter = 'i', .kind = OPT_LIST, .placeholder = "IFACE",
     .help = "Follow this interface of the node, or NODE/IFACE: one of another member of its swarm; "
             "may be repeated. swarm:all: those of all members, in order.",
     .note = "the only one that is up and not the loopback", AT(interfaces)},
    OPTION_FILTER(struct view_args, filter),
    {.name = "write", .letter = 'w', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Write a capture file in place of lines; '-' is standard output, which then carries "
             "pcapng and nothing else. Classic pcap when the name ends in .pcap, else pcapng.",
     .complete = COMPLETE_FILE, AT(write)},
    {.name = "count", .letter = 'c', .kind = OPT_COUNT, .placeholder = "COUNT",
     .help = "End after exactly so many packets.", .note = "unlimited", AT(count)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "End after so long.", .note = "unlimited", AT(duration_ns)},
    {.name = "snaplen", .letter = 's', .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Send at most so much of each packet.", .note = "all of it", .max = 262144,
     AT(snaplen)},
    {.name = "history", .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "Begin with what the node's store has of so long ago.", .note = "from now on",
     AT(history_ns)},
    {.name = "compress", .kind = OPT_FLAG,
     .help = "Compress on the wire (zstd).", AT(compress)},
    {.name = "show-data", .kind = OPT_FLAG,
     .help = "Show the bytes of each packet too, in hex and ASCII; with --json in hex, as data.",
     AT(show_data)},
    {.name = "wait", .kind = OPT_FLAG,
     .help = "Wait for a node or interface that is not there yet.", AT(wait)},
    {.name = "reconnect", .kind = OPT_NEGATABLE,
     .help = "Connect again when the connection breaks.", .value = "yes", AT(reconnect)},
    {.name = "ca-file", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Trust the certificate authorities in this PEM file.", .note = "those of the system",
     .complete = COMPLETE_FILE, AT(ca_file)},
};
/* clang-format on */

static int check_swarm(struct command_context *ctx, const struct view_args *args)
{
    size_t n = args->write == NULL ? 0 : strlen(args->write);

    if (args->interfaces.n > 1) {
        return err_set(&ctx->err, ERR_USAGE, SWARM_ALL " is all interfaces: name no others");
    }
    if (args->history_ns > 0) {
        return err_set(&ctx->err, ERR_USAGE,
                       SWARM_ALL
                       " is live: what the nodes' stores have is brought into one order by "
                       "'manage download-pcap'");
    }
    if (n > 5 && strcmp(args->write + n - 5, ".pcap") == 0) {
        return err_set(&ctx->err, ERR_USAGE,
                       "'%s': only pcapng can say which node a packet is from; name it .pcapng",
                       args->write);
    }
    return 0;
}

static int check(struct command_context *ctx, const struct view_args *args)
{
    bool to_stdout = args->write != NULL && strcmp(args->write, "-") == 0;

    if (args->interfaces.n > LIVE_VIEW_LINKS_MAX) {
        return err_set(&ctx->err, ERR_USAGE, "at most %d interfaces at once", LIVE_VIEW_LINKS_MAX);
    }
    for (size_t i = 0; i < args->interfaces.n; i++) {
        if (strcmp(args->interfaces.items[i], SWARM_ALL) == 0) {
            int code = check_swarm(ctx, args);
            if (code < 0) {
                return code;
            }
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(args->interfaces.items[i], args->interfaces.items[k]) == 0) {
                return err_set(&ctx->err, ERR_USAGE, "interface '%s' is named twice",
                               args->interfaces.items[i]);
            }
        }
    }
    if (to_stdout && ctx->global.json) {
        return err_set(&ctx->err, ERR_USAGE,
                       "with -w - standard output holds packets, so --json cannot go there");
    }
    if (args->write != NULL && args->show_data) {
        return err_set(&ctx->err, ERR_USAGE, "--show-data is for lines; -w writes packets");
    }
    if (to_stdout && terminal_is_on(stdout)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "packets are not for a terminal; send standard output to a file or a "
                       "program, as in view ... -w - | wireshark -k -i -");
    }
    return 0;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct view_args *args = args_;
    int code = check(ctx, args);

    return code == 0 ? view_run(ctx, args) : code;
}

const struct command cmd_view = {
    .name = "view",
    .summary = "follow the packets of a node live",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .options = options,
    .n_options = ARRAY_LEN(options),
    .uses_api_key = true,
    .args_size = sizeof(struct view_args),
    .description =
        (const char *const[]){
            "Connects to packetrecorderd and shows what an interface of that host sees, a line a "
            "packet as query does, or with -w as a capture file, which other programs can read "
            "while it grows.",
            "Several interfaces are one output, in the order in which packets arrive; time stamps "
            "are the node's. -i swarm:all follows every interface of the swarm that is up when it "
            "begins, in order of time, corrected by what is known of the nodes' clocks; a packet "
            "waits at most 0.2 s for earlier ones ('manage watch' has more to say about it).",
            "When the connection breaks it is made again, after a random wait of up to 0.25 s, "
            "then twice that, at most 15 s. The node goes on where it was as long as it "
            "remembers the stream (30 s); after that, or when it was restarted, its store fills "
            "in what it has recorded. No packet comes twice. What was lost is told on standard "
            "error and written into the file, as statistics of the interface with a comment.",
            "A node that cannot be reached at the start, a missing or wrong key, a filter that is "
            "wrong end it at once; with --wait it waits for node and interface. It ends with 0 "
            "when whoever reads its output has seen enough.",
            "The key comes from --api-key-file, PACKETRECORDER_API_KEY or "
            "PACKETRECORDER_API_KEY_FILE.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"view 10.0.0.5:8080 -i eth0 -- tcp port 443", "lines, as they come"},
            {"view https://node.example -i eth0 --api-key-file key -w - | wireshark -k -i -",
             "live in Wireshark; tshark -i - takes it too"},
            {"view node.example:8080 -i eth0 -i eth1 --history 5m -w incident.pcapng",
             "two interfaces into one file, and the last five minutes first"},
            {"view node.example:8080 --json | jq -r .info", "for other programs"},
            {NULL, NULL},
        },
    .run = run,
};
