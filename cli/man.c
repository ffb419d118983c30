/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/man.h"

#include <string.h>

#include "cli/extcap_args.h"
#include "shared/base/mem.h"
#include "shared/options/option_value.h"

#define LINE_MAX_BYTES 72

struct entry {
    const char *name;
    const char *text;
};

static const struct entry environment[] = {
    {"PACKETRECORDER_DB_KEY", "Key or passphrase of encrypted stores. Options come first."},
    {"PACKETRECORDER_DB_KEY_FILE",
     "File with that key; a file that others than its owner can read is refused."},
    {"PACKETRECORDER_API_KEY",
     "API key for the node that is asked or sent to; --api-key-file comes first."},
    {"PACKETRECORDER_API_KEY_FILE", "File with that key; only its owner may read it."},
    {"PACKETRECORDER_CONFIG", "Configuration file of serve, where --config does not name one."},
    {"PACKETRECORDERD", "The program that serve and sniff run, where it is not beside this one."},
    {"PACKETRECORDER_LOG",
     "What is told on standard error: debug, info, warn or error. Without it warn; serve and sniff "
     "info."},
    {"NO_COLOR", "No colours when set to anything."},
};

static const struct entry exit_codes[] = {
    {"0", "Done."},
    {"1", "Failed; the reason is on standard error."},
    {"2", "Wrong usage."},
    {"3", "Partly done; what is missing is on standard error."},
    {"130", "Interrupted before it was done; a capture by a second interrupt."},
};

static const struct entry notations[] = {
    {"sizes", "Bytes with an optional k, M, G or T (by 1000) or KiB, MiB, GiB or TiB (by 1024), as "
              "in 1.5M or 64KiB."},
    {"durations", "Seconds, or numbers with ns, us, ms, s, m, h or d, as in 0.5 or 1m30s."},
    {"times", "RFC 3339, as in 2026-01-31T12:00:00+01:00 (UTC where no offset stands), a date "
              "alone, @SECONDS since 1970, or -10m for ten minutes ago."},
    {"sessions", "An id, a prefix of it of at least 8 characters, a name that only one session "
                 "has, or the word last."},
};

static void print_escaped(FILE *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\') {
            fputs("\\e", out);
        } else if (text[i] == '-') {
            fputs("\\-", out);
        } else {
            fputc(text[i], out);
        }
    }
}

/* Within a line that a word of ours already began. */
static void print_text(FILE *out, const char *text)
{
    print_escaped(out, text, strlen(text));
}

/* An argument of a macro: as text, in quotes, so that no word of it is taken for a macro. */
static void print_argument(FILE *out, const char *text)
{
    fputs(" \"", out);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"') {
            fputc('"', out);
        }
        print_escaped(out, p, 1);
    }
    fputc('"', out);
}

/* Words in lines of their own: short ones, and a new one for each sentence, as mdoc wants it. A dot
 * or quote at the start of a line would be a request. */
static void print_paragraph(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        bool sentence_ends = n > 0 && text[n - 1] == '.';
        if (column > 0 && column + n + 1 > LINE_MAX_BYTES) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0 && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        } else if (column > 0) {
            fputc(' ', out);
        }
        print_escaped(out, text, n);
        column += n + 1;
        text += n;
        text += strspn(text, " ");
        if (sentence_ends && *text != '\0') {
            fputc('\n', out);
            column = 0;
        }
    }
    fputc('\n', out);
}

static void print_entries(FILE *out, const char *macro, const struct entry *entries, size_t n)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, ".It %s", macro);
        print_argument(out, entries[i].name);
        fputc('\n', out);
        print_paragraph(out, entries[i].text);
    }
    fputs(".El\n", out);
}

static void print_names(FILE *out, const struct command_option *option, const char *between)
{
    const char *no = option->kind == OPT_NEGATABLE ? "[no\\-]" : "";

    if (option->letter != '\0') {
        fprintf(out, " Fl %c%s", option->letter, between);
    }
    fprintf(out, " Fl \\-%s", no);
    print_text(out, option->name);
    if (option->placeholder != NULL) {
        fputs(" Ar", out);
        print_argument(out, option->placeholder);
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct command_option *option)
{
    fputs(".It", out);
    print_names(out, option, " ,");
    print_paragraph(out, option->help);
    for (size_t i = 0; option->words != NULL && option->words[i] != NULL; i++) {
        fputs(i == 0 ? "One of " : ", ", out);
        print_text(out, option->words[i]);
        fputs(option->words[i + 1] == NULL ? ".\n" : "", out);
    }
    const char *value = option->value != NULL ? option->value : option->note;
    if (value != NULL) {
        fputs("The default is ", out);
        print_text(out, value);
        fputs(".\n", out);
    }
}

static void print_options(FILE *out, const struct command_option *options, size_t n)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < n; i++) {
        print_option(out, &options[i]);
    }
    fputs(".El\n", out);
}

static int upper(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static void print_head(FILE *out, const struct command *command)
{
    fprintf(out, ".Dd %s\n.Dt PACKETRECORDER", PR_MAN_DATE);
    for (const char *p = command == NULL ? "" : command->name; *p != '\0'; p++) {
        if (p == command->name) {
            fputs("\\-", out);
        }
        if (*p == '-') {
            fputs("\\-", out);
        } else {
            fputc(upper(*p), out);
        }
    }
    fprintf(out, " 1\n.Os packetrecorder %s\n.Sh NAME\n.Nm packetrecorder", PR_VERSION);
    if (command != NULL) {
        fputs("\\-", out);
        print_text(out, command->name);
    }
    fputs("\n.Nd ", out);
    print_text(out, command == NULL ? "record packets into an indexed, encrypted store"
                                    : command->summary);
    fputc('\n', out);
}

/* Options and arguments, a line each. */
static void print_usage(FILE *out, const struct command *command)
{
    bool rest = false;

    for (size_t i = 0; i < command->n_options; i++) {
        const struct command_option *option = &command->options[i];
        fputs(option->required ? "." : ".Op", out);
        if (option->required) {
            fprintf(out, "Fl \\-%s Ar %s\n", option->name, option->placeholder);
        } else {
            print_names(out, option, " |");
        }
        rest = rest || option->takes_rest;
    }
    for (size_t i = 0; i < command->n_words; i++) {
        const struct command_word *word = &command->words[i];
        fputs(word->optional ? ".Op Ar" : ".Ar", out);
        print_argument(out, word->name);
        fputs(word->many ? " ...\n" : "\n", out);
    }
    fputs(rest ? ".Op Fl \\- Ar FILTER\n" : "", out);
    fputs(command->commands != NULL ? ".Ar COMMAND\n.Op Ar ARGUMENTS\n" : "", out);
}

static void print_synopsis(FILE *out, const struct command *command)
{
    fputs(".Sh SYNOPSIS\n.Nm packetrecorder", out);
    print_argument(out, command->name);
    fputc('\n', out);
    print_usage(out, command);
}

/* n: how many stand above them on the page. */
static size_t print_example_lines(FILE *out, const struct command_example *example, size_t n)
{
    for (; example != NULL && example->line != NULL; example++) {
        fputs(n++ == 0 ? ".Sh EXAMPLES\n" : ".Pp\n", out);
        fputc(upper(example->what[0]), out);
        print_text(out, example->what + 1);
        fputs(":\n.Dl packetrecorder", out);
        print_argument(out, example->line);
        fputc('\n', out);
    }
    return n;
}

static void print_examples(FILE *out, const struct command *command)
{
    size_t n = print_example_lines(out, command->examples, 0);

    for (size_t i = 0; command->commands != NULL && command->commands[i] != NULL; i++) {
        n = print_example_lines(out, command->commands[i]->examples, n);
    }
}

static void print_words(FILE *out, const struct command *command)
{
    if (command->n_words == 0) {
        return;
    }
    fputs(".Pp\nThe arguments are:\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < command->n_words; i++) {
        fputs(".It Ar", out);
        print_argument(out, command->words[i].name);
        fputc('\n', out);
        print_paragraph(out, command->words[i].help);
    }
    fputs(".El\n", out);
}

/* Paragraphs, arguments and options. */
static void print_body(FILE *out, const struct command *command)
{
    for (size_t i = 0; command->description != NULL && command->description[i] != NULL; i++) {
        fputs(i > 0 ? ".Pp\n" : "", out);
        print_paragraph(out, command->description[i]);
    }
    print_words(out, command);
    if (command->n_options > 0) {
        fputs(".Pp\nThe options are:\n", out);
        print_options(out, command->options, command->n_options);
    }
}

/* The commands of a group, a subsection each. */
static void print_commands(FILE *out, const struct command *group)
{
    char name[COMMAND_NAME_MAX];

    fputs(".Sh COMMANDS\n", out);
    for (size_t i = 0; group->commands[i] != NULL; i++) {
        fputs(".Ss", out);
        print_argument(out, command_format_name(group->commands[i], name));
        fputs("\n.Nm packetrecorder", out);
        print_argument(out, name);
        fputc('\n', out);
        print_usage(out, group->commands[i]);
        fputs(".Pp\n", out);
        print_body(out, group->commands[i]);
    }
}

static void print_command(FILE *out, const struct command *command)
{
    print_head(out, command);
    print_synopsis(out, command);
    fputs(".Sh DESCRIPTION\n", out);
    print_body(out, command);
    fputs(".Pp\nThe global options, the notation of sizes, durations and times, and the\n"
          "environment are described in\n.Xr packetrecorder 1 .\n",
          out);
    if (command->commands != NULL) {
        print_commands(out, command);
    }
    fputs(".Sh EXIT STATUS\n", out);
    print_entries(out, "Li", exit_codes, ARRAY_LEN(exit_codes));
    print_examples(out, command);
    fputs(".Sh SEE ALSO\n.Xr packetrecorder 1 ,\n.Xr pcap-filter 7\n", out);
}

static void print_program(FILE *out)
{
    print_head(out, NULL);
    fputs(".Sh SYNOPSIS\n.Nm packetrecorder\n.Op Ar GLOBAL OPTIONS\n.Ar COMMAND\n.Op Ar OPTIONS\n"
          ".Sh DESCRIPTION\n"
          "Captures packets into a store that is indexed and, with a key, encrypted; lists, "
          "queries, exports and replays what is in it.\n"
          "Answers are on standard output, everything else on standard error.\n"
          ".Pp\nThe commands are, each with a page of its own:\n.Bl -tag -width Ds\n",
          out);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->hidden) {
            fprintf(out, ".It Xr packetrecorder-%s 1\n", commands[i]->name);
            fputc(upper(commands[i]->summary[0]), out);
            print_text(out, commands[i]->summary + 1);
            fputs(".\n", out);
        }
    }
    fputs(".El\n.Pp\nThe global options stand before or behind the command:\n", out);
    print_options(out, global_options, n_global_options);
    fputs(".Pp\nWhat is typed as:\n", out);
    print_entries(out, "Em", notations, ARRAY_LEN(notations));
    fputs(".Sh ENVIRONMENT\n", out);
    print_entries(out, "Ev", environment, ARRAY_LEN(environment));
    fputs(".Sh FILES\n.Bl -tag -width Ds\n.It Pa packets.db\n"
          "The catalogue of a store; beside it\n.Pa packets.db.d\n"
          "holds the packets.\nBoth move together.\n.El\n.Sh EXIT STATUS\n",
          out);
    print_entries(out, "Li", exit_codes, ARRAY_LEN(exit_codes));
    fputs(".Sh SEE ALSO\n.Xr tcpdump 1 ,\n.Xr pcap-filter 7\n", out);
}

static const struct entry daemon_signals[] = {
    {"SIGTERM, SIGINT",
     "End: nothing new is accepted, viewers get a close frame, captures are written out, within "
     "five seconds. A second one ends at once with 130."},
    {"SIGHUP", "Read the certificate, the API keys and the log level again. What else changed in "
               "the configuration file takes a restart, and a line says so."},
};

static const struct entry daemon_files[] = {
    {"/etc/packetrecorder/packetrecorder.conf",
     "The configuration file that the service reads; packetrecorder config doc explains it."},
    {"/var/lib/packetrecorder/packets.db",
     "The store of the service: a catalogue, and beside it a directory of the same name with .d "
     "that holds the packets and the API keys."},
};

static void print_variables(FILE *out, const struct command *command)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < command->n_options; i++) {
        const struct command_option *option = &command->options[i];
        if (option->environment != NULL) {
            fprintf(out, ".It Ev %s\nAs\n.Fl \\-", option->environment);
            print_text(out, option->name);
            fputs(" .\n", out);
        }
    }
    fputs(".El\n", out);
}

/* packetrecorderd(8): what `serve` takes, and what an administrator asks of a daemon. */
void man_print_daemon(FILE *out)
{
    const struct command *serve = command_find("serve");

    fprintf(out,
            ".Dd %s\n.Dt PACKETRECORDERD 8\n.Os packetrecorder %s\n.Sh NAME\n"
            ".Nm packetrecorderd\n.Nd the node of packetrecorder\n"
            ".Sh SYNOPSIS\n.Nm packetrecorderd\n.Op Cm serve\n.Op Ar OPTIONS\n"
            ".Nm packetrecorderd\n.Cm sniff\n.Ar OPTIONS\n.Sh DESCRIPTION\n",
            PR_MAN_DATE, PR_VERSION);
    for (size_t i = 0; serve->description[i] != NULL; i++) {
        fputs(i > 0 ? ".Pp\n" : "", out);
        print_paragraph(out, serve->description[i]);
    }
    fputs(".Pp\nWith\n.Cm sniff\nit is the sending end of an uplink:\n"
          ".Xr packetrecorder-sniff 1 .\n"
          ".Pp\nFlags beat the environment, the environment beats the configuration file.\n"
          "The options are:\n",
          out);
    print_options(out, serve->options, serve->n_options);
    fputs(".Sh SIGNALS\n", out);
    print_entries(out, "Dv", daemon_signals, ARRAY_LEN(daemon_signals));
    fputs(".Sh ENVIRONMENT\n", out);
    print_variables(out, serve);
    fputs(".Sh FILES\n", out);
    print_entries(out, "Pa", daemon_files, ARRAY_LEN(daemon_files));
    fputs(".Sh EXIT STATUS\n", out);
    print_entries(out, "Li", exit_codes, ARRAY_LEN(exit_codes));
    print_examples(out, serve);
    fputs(".Sh SEE ALSO\n.Xr packetrecorder 1 ,\n.Xr packetrecorder-config 1 ,\n"
          ".Xr packetrecorder-keys 1 ,\n.Xr packetrecorder-sniff 1 ,\n.Xr pcap-filter 7\n",
          out);
}

/* packetrecorder-extcap(1), which Wireshark runs. */
void man_print_extcap(FILE *out)
{
    fprintf(out,
            ".Dd %s\n.Dt PACKETRECORDER-EXTCAP 1\n.Os packetrecorder %s\n.Sh NAME\n"
            ".Nm packetrecorder-extcap\n.Nd ",
            PR_MAN_DATE, PR_VERSION);
    print_text(out, extcap_command.summary);
    fputs("\n.Sh SYNOPSIS\n.Nm packetrecorder-extcap\n.Op Ar OPTIONS\n.Sh DESCRIPTION\n", out);
    for (size_t i = 0; extcap_command.description[i] != NULL; i++) {
        fputs(i > 0 ? ".Pp\n" : "", out);
        print_paragraph(out, extcap_command.description[i]);
    }
    fputs(".Pp\nThe options are:\n", out);
    print_options(out, extcap_command.options, extcap_command.n_options);
    fputs(".Sh EXIT STATUS\n", out);
    print_entries(out, "Li", exit_codes, ARRAY_LEN(exit_codes));
    fputs(".Sh SEE ALSO\n.Xr packetrecorder-install-extcap 1 ,\n.Xr packetrecorder-view 1 ,\n"
          ".Xr wireshark 1 ,\n.Xr extcap 4\n",
          out);
}

void man_print(FILE *out, const struct command *command)
{
    if (command == NULL) {
        print_program(out);
    } else {
        print_command(out, command);
    }
}
