/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include "shared/options/help.h"
#include "shared/options/option_value.h"

#define PHRASE_MAX 256

static const char head[] =
    "# fish completion for packetrecorder, made by 'packetrecorder completion fish'\n"
    "function __packetrecorder_sessions\n"
    "    set -l db packets.db\n"
    "    set -l words (commandline -opc)\n"
    "    for k in (seq (count $words))\n"
    "        if contains -- $words[$k] -d --database; and test $k -lt (count $words)\n"
    "            set db $words[(math $k + 1)]\n"
    "        end\n"
    "    end\n"
    "    packetrecorder __complete sessions $db 2>/dev/null\n"
    "end\n"
    /* True when the words that are no options begin with the arguments and, behind --only, are
     * no more. */
    "function __packetrecorder_at\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    set -l found\n"
    "    set -l k 1\n"
    "    while test $k -le (count $words)\n"
    "        switch $words[$k]\n";

static const char after_skips[] = "                set k (math $k + 1)\n"
                                  "            case '-*'\n"
                                  "            case '*'\n"
                                  "                set -a found $words[$k]\n"
                                  "        end\n"
                                  "        set k (math $k + 1)\n"
                                  "    end\n"
                                  "    set -l wanted $argv\n"
                                  "    if test \"$wanted[1]\" = --only\n"
                                  "        set -e wanted[1]\n"
                                  "        test (count $found) -eq (count $wanted); or return 1\n"
                                  "    end\n"
                                  "    for k in (seq (count $wanted))\n"
                                  "        test \"$found[$k]\" = $wanted[$k]; or return 1\n"
                                  "    end\n"
                                  "end\n"
                                  "complete -c packetrecorder -f\n";

static void print_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
    fputc('\'', out);
}

static void print_action(FILE *out, enum option_complete complete, const char *const *words)
{
    if (words != NULL) {
        for (size_t i = 0; words[i] != NULL; i++) {
            fprintf(out, "%s%s", i == 0 ? " -x -a '" : " ", words[i]);
        }
        fputc('\'', out);
        return;
    }
    switch (complete) {
    case COMPLETE_NOTHING:
        fputs(" -x", out);
        break;
    case COMPLETE_FILE:
        fputs(" -r -F", out);
        break;
    case COMPLETE_INTERFACE:
        fputs(" -x -a '(packetrecorder __complete interfaces 2>/dev/null)'", out);
        break;
    case COMPLETE_SESSION:
        fputs(" -x -a '(__packetrecorder_sessions)'", out);
        break;
    case COMPLETE_COMMAND:
        for (size_t i = 0; commands[i] != NULL; i++) {
            if (!commands[i]->hidden) {
                fprintf(out, "%s%s", i == 0 ? " -x -a '" : " ", commands[i]->name);
            }
        }
        fputc('\'', out);
        break;
    }
}

static void print_condition(FILE *out, const struct command *command)
{
    fputs("complete -c packetrecorder", out);
    if (command != NULL) {
        char name[COMMAND_NAME_MAX];
        fprintf(out, " -n '__packetrecorder_at %s'", command_format_name(command, name));
    }
}

static void print_option(FILE *out, const struct command *command,
                         const struct command_option *option)
{
    char phrase[PHRASE_MAX];

    print_condition(out, command);
    if (option->letter != '\0') {
        fprintf(out, " -s %c", option->letter);
    }
    fprintf(out, " -l %s", option->name);
    if (!option_is_flag(option)) {
        print_action(out, option->complete, option->words);
    }
    help_first_sentence(option->help, phrase, sizeof phrase);
    fputs(" -d ", out);
    print_quoted(out, phrase);
    fputc('\n', out);
    if (option->kind == OPT_NEGATABLE) {
        print_condition(out, command);
        fprintf(out, " -l no-%s\n", option->name);
    }
}

static void print_command(FILE *out, const struct command *command)
{
    const struct command *group = command->group;

    fprintf(out, "complete -c packetrecorder -n '__packetrecorder_at --only%s%s' -a %s -d ",
            group == NULL ? "" : " ", group == NULL ? "" : group->name, command->name);
    print_quoted(out, command->summary);
    fputc('\n', out);
    for (size_t i = 0; i < command->n_options; i++) {
        print_option(out, command, &command->options[i]);
    }
    if (command->n_words > 0) {
        print_condition(out, command);
        print_action(out, command->words[0].complete, command->words[0].words);
        fputc('\n', out);
    }
    for (size_t i = 0; command->commands != NULL && command->commands[i] != NULL; i++) {
        print_command(out, command->commands[i]);
    }
}

/* "            case --endpoint --timeout": options whose value stands in a word of its own. */
static void print_skips(FILE *out, const struct command_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!option_is_flag(&options[i])) {
            fprintf(out, " --%s", options[i].name);
        }
    }
}

void completion_print_fish(FILE *out)
{
    fputs(head, out);
    fputs("            case", out);
    print_skips(out, global_options, n_global_options);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (commands[i]->commands != NULL) {
            print_skips(out, commands[i]->options, commands[i]->n_options);
        }
    }
    fputc('\n', out);
    fputs(after_skips, out);
    for (size_t i = 0; i < n_global_options; i++) {
        print_option(out, NULL, &global_options[i]);
    }
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->hidden) {
            print_command(out, commands[i]);
        }
    }
}
