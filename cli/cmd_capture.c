/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <string.h>

#include "cli/capture_args.h"
#include "shared/base/mem.h"
#include "shared/capture/file_writer_posix.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/capture/source_pcap.h"
#include "shared/options/options.h"

static const char *const directions[] = {"inout", "in", "out", NULL};
static const char *const compressions[] = {"auto", "on", "off", NULL};
static const char *const full_rules[] = {"wait", "stop", "drop-oldest", NULL};

#define AT(member) .offset = offsetof(struct capture_args, member)

/* clang-format off */
static const struct command_option options[] = {
    {.name = "interface", .letter = 'i', .kind = OPT_LIST, .placeholder = "IFACE",
     .help = "Capture on this interface; may be repeated, all are one session. 'any' is all of "
             "this host.",
     .complete = COMPLETE_INTERFACE, AT(interfaces)},
    {.name = "read", .letter = 'r', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Read packets from a pcap or pcapng file in place of an interface; '-' is standard "
             "input.",
     .complete = COMPLETE_FILE, AT(read)},
    OPTION_FILTER(struct capture_args, filter),
    OPTIONS_STORE(struct capture_args, store),
    {.name = "write", .letter = 'w', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Write a capture file in place of a store; '-' is standard output. Classic pcap when "
             "the name ends in .pcap, else pcapng.",
     .complete = COMPLETE_FILE, AT(write)},
    {.name = "pcap", .letter = 'p', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Write a capture file beside the store.", .complete = COMPLETE_FILE, AT(beside)},
    {.name = "count", .letter = 'c', .kind = OPT_COUNT, .placeholder = "COUNT",
     .help = "End after exactly so many packets.", .note = "unlimited", AT(count)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "End after so long; with -r in packet time.", .note = "unlimited", AT(duration_ns)},
    {.name = "max-bytes", .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "End before more packet bytes than this are captured.", .note = "unlimited",
     AT(max_bytes)},
    {.name = "snaplen", .letter = 's', .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Capture at most so much of each packet.", .value = "262144",
     .max = SOURCE_PCAP_SNAPLEN_MAX, AT(snaplen)},
    {.name = "promisc", .kind = OPT_NEGATABLE,
     .help = "Also packets that are not for this host (promiscuous mode).", .value = "yes",
     AT(promisc)},
    {.name = "buffer-size", .letter = 'b', .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "The kernel's buffer for each interface.", .value = "32MiB", .min = 1,
     .max = SOURCE_PCAP_BUFFER_MAX, AT(buffer_bytes)},
    {.name = "direction", .kind = OPT_CHOICE, .placeholder = "WAY",
     .help = "Only packets that come in, only those that go out, or both.", .value = "inout",
     .words = directions, AT(direction)},
    {.name = "rotate-size", .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "Begin a new file of -w or -p before this size is exceeded.", .note = "never",
     AT(rotate_bytes)},
    {.name = "rotate-time", .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "Begin a new file of -w or -p after so long.", .note = "never", AT(rotate_ns)},
    {.name = "rotate-files", .kind = OPT_COUNT, .placeholder = "N",
     .help = "Keep only the newest N files.", .note = "all", .max = FILE_WRITER_MAX_FILES,
     AT(rotate_files)},
    {.name = "name", .kind = OPT_STRING, .placeholder = "TEXT",
     .help = "A name for the session.", AT(name)},
    {.name = "tag", .kind = OPT_PAIRS, .placeholder = "K=V",
     .help = "A tag for the session; may be repeated.", AT(tags)},
    {.name = "quota", .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "What the whole store may take on disk; the oldest packets go first.",
     .note = "unlimited", AT(quota_bytes)},
    {.name = "compression", .kind = OPT_CHOICE, .placeholder = "WHEN",
     .help = "Compress in the store: auto is whenever there is time.",
     .note = "auto, with -r on", .words = compressions, AT(compression)},
    {.name = "on-disk-full", .kind = OPT_CHOICE, .placeholder = "RULE",
     .help = "What to do when the store's disk is full: wait for room and count what is lost, "
             "stop, or drop the oldest packets. With -r always stop.",
     .value = "wait", .words = full_rules, AT(on_disk_full)},
};
/* clang-format on */

struct names {
    char text[512];
    size_t len;
};

static void add_name(const char *name, void *arg)
{
    struct names *names = arg;
    size_t n = strlen(name);

    if (names->len + n + 3 < sizeof names->text) {
        memcpy(names->text + names->len, names->len > 0 ? ", " : "", names->len > 0 ? 2 : 0);
        names->len += names->len > 0 ? 2 : 0;
        memcpy(names->text + names->len, name, n + 1);
        names->len += n;
    }
}

static int no_source(struct err *err)
{
    struct names names = {0};

    (void)interfaces_names(add_name, &names, NULL);
    return err_set(err, ERR_USAGE, "name an interface with -i%s%s%s, or a capture file with -r",
                   names.len > 0 ? " (" : "", names.text, names.len > 0 ? ")" : "");
}

/* The first of the given options that makes no sense where it stands, or NULL. */
static const char *first_given(const struct command_context *ctx, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (options_given(ctx, *names)) {
            return *names;
        }
    }
    return NULL;
}

static int check_source(struct command_context *ctx, const struct capture_args *args)
{
    static const char *const live_only[] = {"promisc", "buffer-size", "direction", NULL};
    const char *wrong;

    if (args->interfaces.n == 0 && args->read == NULL) {
        return no_source(&ctx->err);
    }
    if (args->interfaces.n > 0 && args->read != NULL) {
        return err_set(&ctx->err, ERR_USAGE, "-i and -r exclude each other");
    }
    if (args->interfaces.n > SESSION_MAX_SOURCES) {
        return err_set(&ctx->err, ERR_USAGE, "at most %d interfaces in one session",
                       SESSION_MAX_SOURCES);
    }
    for (size_t i = 0; i < args->interfaces.n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(args->interfaces.items[i], args->interfaces.items[k]) == 0) {
                return err_set(&ctx->err, ERR_USAGE, "interface '%s' is named twice",
                               args->interfaces.items[i]);
            }
        }
    }
    if (args->read != NULL && (wrong = first_given(ctx, live_only)) != NULL) {
        return err_set(&ctx->err, ERR_USAGE, "--%s has no meaning with -r", wrong);
    }
    return 0;
}

static int check_targets(struct command_context *ctx, const struct capture_args *args)
{
    static const char *const store_only[] = {"database", "encryption-key", "encryption-key-file",
                                             "quota",    "compression",    "on-disk-full",
                                             NULL};
    const char *wrong;

    if (args->write != NULL && args->beside != NULL) {
        return err_set(&ctx->err, ERR_USAGE,
                       "-w writes in place of a store, -p beside one; give one of them");
    }
    if (args->write != NULL && (wrong = first_given(ctx, store_only)) != NULL) {
        return err_set(
            &ctx->err, ERR_USAGE,
            "--%s has no meaning with -w, which writes no store; -p writes a file beside "
            "one",
            wrong);
    }
    if (args->write != NULL && strcmp(args->write, "-") == 0 && ctx->global.json) {
        return err_set(&ctx->err, ERR_USAGE,
                       "with -w - standard output holds packets, so --json cannot go there");
    }
    if (args->beside != NULL && strcmp(args->beside, "-") == 0 && ctx->global.json) {
        return err_set(&ctx->err, ERR_USAGE,
                       "with -p - standard output holds packets, so --json cannot go there");
    }
    bool rotates = args->rotate_bytes != 0 || args->rotate_ns != 0;
    if ((rotates || args->rotate_files != 0) && args->write == NULL && args->beside == NULL) {
        return err_set(&ctx->err, ERR_USAGE,
                       "rotation is for the files of -w or -p; a store has "
                       "--quota");
    }
    if (args->rotate_files != 0 && !rotates) {
        return err_set(&ctx->err, ERR_USAGE, "--rotate-files needs --rotate-size or --rotate-time");
    }
    return 0;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct capture_args *args = args_;
    int code = check_source(ctx, args);

    code = code == 0 ? check_targets(ctx, args) : code;
    code = code == 0 ? capture_check_name(args->name, &ctx->err) : code;
    return code == 0 ? capture_run(ctx, args) : code;
}

const struct command cmd_capture = {
    .name = "capture",
    .summary = "capture packets into a store or a file",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct capture_args),
    .description =
        (const char *const[]){
            "Captures from interfaces, or takes the packets of a file, into a store (packets.db "
            "where -d says nothing else), or with -w into a capture file. The id of the session "
            "is printed on standard error when it starts, the counters at its end.",
            "The first SIGINT or SIGTERM ends the capture with everything written. A second one "
            "ends it at once, with every file valid (exit code 130). SIGUSR1 prints the counters "
            "and goes on.",
            "Packets are lost only where a counter says so: in the kernel when its buffer is "
            "full, at the interface, at the store or file when the disk is slower than the "
            "packets come, and at the limit, for those that the kernel held when -c or "
            "--max-bytes was reached. What libpcap leaves out by itself is received but not "
            "captured: the other way with --direction, the second copy of each packet on the "
            "loopback.",
            "Files of a rotation are named NAME_00001_20261121120000.pcapng. Each is complete in "
            "itself.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"capture -i eth0", "into packets.db until you press Ctrl-C"},
            {"capture -i eth0 -i eth1 -t 10m --name baseline -- tcp port 443",
             "HTTPS on two interfaces for ten minutes"},
            {"capture -r old.pcap -d archive.db --encryption-key-file store.key",
             "a file into an encrypted store"},
            {"capture -i eth0 -w - | tcpdump -r -", "packets to another program"},
            {"capture -i eth0 -w ring.pcapng --rotate-size 100MB --rotate-files 10",
             "the last gigabyte, in ten files"},
            {NULL, NULL},
        },
    .run = run,
};
