/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config_doc.h"

#include <string.h>

#include "shared/options/option_value.h"

#define WIDTH 100

struct section {
    const char *name;
    const char *about;
};

static const struct section sections[] = {
    {"node", "Who the node is and where it keeps things."},
    {"store", "The store that it records into."},
    {"http", "Who can reach it, and how."},
    {"rpc", "Who can control it."},
    {"capture", "What it does with the interfaces of this host."},
    {"ingest", "What sniffers elsewhere send to it."},
    {"swarm", "The other nodes: how they find each other, and who may."},
};

static const char head[] =
    "# Configuration of a node\n"
    "\n"
    "<!-- Made by 'packetrecorder config doc' out of shared/options/node_options.c. -->\n"
    "\n"
    "Every option of `packetrecorder serve` (`packetrecorderd`) is here. It can be a flag, in "
    "some\n"
    "cases a variable of the environment, and a line of the configuration file. Flags beat the\n"
    "environment, the environment beats the file, the file beats the default.\n"
    "\n"
    "The file is the one that `--config` or `PACKETRECORDER_CONFIG` names; the service reads\n"
    "`/etc/packetrecorder/packetrecorder.conf`. It is INI: `[section]`, `name = value`, comments\n"
    "behind `#` at the start of a line or behind ` ;`, no quotes around values, a line of at most\n"
    "199 bytes. The names are those of the flags. A flag without a value takes `yes` or `no`; "
    "what\n"
    "may be repeated stands on several lines. Sizes, durations and counts are written as on the\n"
    "command line (`64MiB`, `1m30s`, `50k`).\n"
    "\n"
    "    packetrecorder config check FILE    # all that is wrong with it, with line and way out\n"
    "    packetrecorder config show FILE     # the values in force and where each comes from\n"
    "    packetrecorder doctor               # what is wrong on this host\n"
    "\n"
    "On SIGHUP the node reads the log level, the certificate and the API keys again; everything "
    "else\n"
    "takes a restart, and the node says so.\n";

static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (column > 0 && column + 1 + n > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column > 0 ? " " : "", (int)n, text);
        column += n + (column > 0 ? 1 : 0);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static const char *kind_text(const struct command_option *option)
{
    switch (option->kind) {
    case OPT_FLAG:
    case OPT_NEGATABLE:
        return "yes or no";
    case OPT_SIZE:
        return "size";
    case OPT_DURATION:
        return "duration";
    case OPT_COUNT:
        return "count";
    case OPT_LIST:
        return "text, may be repeated";
    case OPT_SECRET:
        return "secret";
    case OPT_CHOICE:
        return "one word";
    default:
        return "text";
    }
}

static void print_option(FILE *out, const struct command_option *option)
{
    const char *value = option->value != NULL ? option->value : option->note;

    fprintf(out, "\n### %s\n\n", option->name);
    print_wrapped(out, option->help);
    fprintf(out, "\n- kind: %s", kind_text(option));
    for (size_t i = 0; option->words != NULL && option->words[i] != NULL; i++) {
        fprintf(out, "%s`%s`", i == 0 ? ": " : ", ", option->words[i]);
    }
    if (option_is_flag(option)) {
        value = option->value != NULL ? option->value : "no";
    }
    fprintf(out, "\n- default: %s\n", value);
    fprintf(out, "- flag: `--%s%s%s`\n", option->name, option->placeholder == NULL ? "" : " ",
            option->placeholder == NULL ? "" : option->placeholder);
    if (option->environment != NULL) {
        fprintf(out, "- variable: `%s`\n", option->environment);
    }
}

void config_doc_print(FILE *out, const struct command *serve)
{
    fputs(head, out);
    fputs("\n## Outside the file\n\nThese cannot stand in the file itself.\n", out);
    for (size_t i = 0; i < serve->n_options; i++) {
        if (serve->options[i].section == NULL) {
            print_option(out, &serve->options[i]);
        }
    }
    for (size_t k = 0; k < sizeof sections / sizeof sections[0]; k++) {
        fprintf(out, "\n## [%s]\n\n%s\n", sections[k].name, sections[k].about);
        for (size_t i = 0; i < serve->n_options; i++) {
            if (serve->options[i].section != NULL &&
                strcmp(serve->options[i].section, sections[k].name) == 0) {
                print_option(out, &serve->options[i]);
            }
        }
    }
}
