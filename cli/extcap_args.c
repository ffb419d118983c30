/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_args.h"

#include <string.h>

#include "shared/base/mem.h"

#define AT(member) .offset = offsetof(struct extcap_args, member)
#define SECTION    .section = "extcap"

/* clang-format off */
static const struct command_option options[] = {
    {.name = "extcap-interfaces", .kind = OPT_FLAG,
     .help = "List the interfaces of the node as interfaces of Wireshark.", AT(list)},
    {.name = "extcap-version", .kind = OPT_STRING, .placeholder = "VERSION",
     .help = "The version of Wireshark that asks.", AT(wireshark)},
    {.name = "extcap-interface", .kind = OPT_STRING, .placeholder = "NAME",
     .help = "The interface that is meant: packetrecorder:IFACE, or packetrecorder for a node that "
             "the other options name.", AT(interface)},
    {.name = "extcap-dlts", .kind = OPT_FLAG,
     .help = "Say which link type the interface has.", AT(dlts)},
    {.name = "extcap-config", .kind = OPT_FLAG,
     .help = "Say what can be chosen in Wireshark's dialog.", AT(config)},
    {.name = "extcap-reload-option", .kind = OPT_STRING, .placeholder = "OPTION",
     .help = "With --extcap-config: ask the node again for the values of this option.",
     AT(reload)},
    {.name = "extcap-capture-filter", .kind = OPT_STRING, .placeholder = "FILTER",
     .help = "The capture filter. Without --capture it is checked, and what is wrong with it goes "
             "to standard output.", AT(filter)},
    {.name = "capture", .kind = OPT_FLAG,
     .help = "Capture until whoever reads the FIFO has seen enough, or SIGTERM.", AT(capture)},
    {.name = "fifo", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Where packets go, as pcapng.", .complete = COMPLETE_FILE, AT(fifo)},
    {.name = "extcap-control-in", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Pipe from Wireshark's toolbar.", .complete = COMPLETE_FILE, AT(control_in)},
    {.name = "extcap-control-out", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Pipe to Wireshark's toolbar: what was received and lost, and a log.",
     .complete = COMPLETE_FILE, AT(control_out)},
    {.name = "endpoint", .kind = OPT_STRING, .placeholder = "ENDPOINT",
     .help = "The node: HOST:PORT, http:// or https://.", SECTION,
     .environment = "PACKETRECORDER_ENDPOINT", AT(endpoint)},
    {.name = "remote-interface", .kind = OPT_STRING, .placeholder = "IFACE",
     .help = "The interface of the node, where the name of ours does not say it.", SECTION,
     AT(remote_interface)},
    {.name = "api-key-file", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "File with the API key for the node; only its owner may read it. Else "
             "PACKETRECORDER_API_KEY or PACKETRECORDER_API_KEY_FILE.",
     .complete = COMPLETE_FILE, SECTION, AT(api_key_file)},
    {.name = "ca-file", .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Trust the certificate authorities in this PEM file.", .note = "those of the system",
     .complete = COMPLETE_FILE, SECTION, AT(ca_file)},
    {.name = "snaplen", .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Send at most so much of each packet; 0 means all of it.", .value = "0",
     .max = 262144, SECTION, AT(snaplen)},
    {.name = "history", .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "Begin with what the node's store has of so long ago.", .value = "0", SECTION,
     AT(history_ns)},
    {.name = "compress", .kind = OPT_FLAG, .help = "Compress on the wire (zstd).", SECTION,
     AT(compress)},
};

static const struct command_option global_options[] = {
    {.name = "help", .letter = 'h', .kind = OPT_FLAG, .help = "Show this help.",
     .offset = offsetof(struct global_args, help)},
    {.name = "version", .letter = 'V', .kind = OPT_FLAG, .help = "Show the version.",
     .offset = offsetof(struct global_args, version)},
};
/* clang-format on */

static const struct command *const no_commands[] = {NULL};

const struct program extcap_program = {
    .name = "packetrecorder-extcap",
    .version = PR_VERSION,
    .usage = "packetrecorder-extcap [OPTIONS]",
    .intro = "Shows the interfaces of a node as interfaces of Wireshark.",
    .commands = no_commands,
    .global_options = global_options,
    .n_global_options = ARRAY_LEN(global_options),
    .fallback = &extcap_command,
};

const struct command extcap_command = {
    .name = "packetrecorder-extcap",
    .summary = "the interfaces of a node in Wireshark",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .uses_endpoint = true,
    .uses_api_key = true,
    .args_size = sizeof(struct extcap_args),
    .description =
        (const char *const[]){
            "Wireshark and tshark run this program (extcap(4)); 'packetrecorder install-extcap' "
            "puts it where they look for it. They then list the interfaces of a node, "
            "packetrecorder:eth0 and so on, beside those of this host, and one named "
            "packetrecorder for any other node, which is named in its options.",
            "The node whose interfaces are listed is named by PACKETRECORDER_ENDPOINT, or in the "
            "section [extcap] of the file packetrecorder/extcap in the folder XDG_CONFIG_HOME "
            "(~/.config), with the names and values of the options below: endpoint = "
            "https://node.example. A node that does not answer within 150 ms is left out.",
            "While it captures, a toolbar (View, Interface Toolbars) shows how many packets were "
            "received and how many were lost on the way, and a log of what happened.",
            NULL,
        },
    .run = NULL,
};

bool extcap_is_generic(const struct extcap_args *args)
{
    return args->interface != NULL && strcmp(args->interface, EXTCAP_NAME) == 0;
}

const char *extcap_remote_interface(const struct extcap_args *args)
{
    static const char prefix[] = EXTCAP_NAME ":";
    const char *name = args->interface == NULL ? "" : args->interface;

    if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
        name += sizeof prefix - 1;
        return *name == '\0' ? NULL : name;
    }
    bool chosen = args->remote_interface != NULL && args->remote_interface[0] != '\0';
    return chosen ? args->remote_interface : NULL;
}
