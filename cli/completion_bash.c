/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include <string.h>

#include "shared/options/option_value.h"

static const char head[] =
    "# bash completion for packetrecorder, made by 'packetrecorder completion bash'\n"
    "_packetrecorder_words()\n"
    "{\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
    "}\n"
    "_packetrecorder_files()\n"
    "{\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "}\n"
    "_packetrecorder_interfaces()\n"
    "{\n"
    "    _packetrecorder_words \"$(packetrecorder __complete interfaces 2>/dev/null)\"\n"
    "}\n"
    "_packetrecorder_sessions()\n"
    "{\n"
    "    local db=packets.db k\n"
    "    for ((k = 1; k < COMP_CWORD; k++)); do\n"
    "        case ${COMP_WORDS[k]} in\n"
    "        -d | --database) db=${COMP_WORDS[k + 1]} ;;\n"
    "        esac\n"
    "    done\n"
    "    _packetrecorder_words \"$(packetrecorder __complete sessions \"$db\" 2>/dev/null)\"\n"
    "}\n";

/* readline splits at '=', so that --x=V comes as three words. */
static const char find_command[] = "_packetrecorder()\n"
                                   "{\n"
                                   "    local cur prev command k\n"
                                   "    COMPREPLY=()\n"
                                   "    cur=${COMP_WORDS[COMP_CWORD]}\n"
                                   "    prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                                   "    if [[ $cur == = ]]; then\n"
                                   "        cur=\n"
                                   "    elif [[ $prev == = ]]; then\n"
                                   "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                                   "    fi\n"
                                   "    command=\n"
                                   "    for ((k = 1; k < COMP_CWORD; k++)); do\n"
                                   "        case ${COMP_WORDS[k]} in\n";

/* $command is "capture", or "manage/info" for one of a group; a group waits for its second word. */
static const char after_options[] = "        -*) ;;\n"
                                    "        *)\n"
                                    "            command=$command${command:+/}${COMP_WORDS[k]}\n"
                                    "            case $command in\n"
                                    "            ''";
static const char after_command[] = ") ;;\n"
                                    "            *) break ;;\n"
                                    "            esac\n"
                                    "            ;;\n"
                                    "        esac\n"
                                    "    done\n"
                                    "    case $command,$prev in\n";

static void print_words(FILE *out, const char *const *words)
{
    fputs("_packetrecorder_words '", out);
    for (size_t i = 0; words[i] != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    fputc('\'', out);
}

static void print_commands(FILE *out, const struct command *const *list)
{
    fputs("_packetrecorder_words '", out);
    for (size_t i = 0; list[i] != NULL; i++) {
        if (!list[i]->hidden) {
            fprintf(out, "%s%s", i == 0 ? "" : " ", list[i]->name);
        }
    }
    fputc('\'', out);
}

/* What $command is for it. */
static const char *key_of(const struct command *command, char out[COMMAND_NAME_MAX])
{
    command_format_name(command, out);
    if (command->group != NULL) {
        out[strlen(command->group->name)] = '/';
    }
    return out;
}

static void print_action(FILE *out, enum option_complete complete, const char *const *words)
{
    if (words != NULL) {
        print_words(out, words);
        return;
    }
    switch (complete) {
    case COMPLETE_NOTHING:
        fputc(':', out);
        break;
    case COMPLETE_FILE:
        fputs("_packetrecorder_files", out);
        break;
    case COMPLETE_INTERFACE:
        fputs("_packetrecorder_interfaces", out);
        break;
    case COMPLETE_SESSION:
        fputs("_packetrecorder_sessions", out);
        break;
    case COMPLETE_COMMAND:
        print_commands(out, commands);
        break;
    }
}

/* "capture,--interface | capture,-i) … return ;;" for each option with a value. */
static void print_values(FILE *out, const char *command, const struct command_option *options,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (option_is_flag(&options[i])) {
            continue;
        }
        fprintf(out, "    %s,--%s", command, options[i].name);
        if (options[i].letter != '\0') {
            fprintf(out, " | %s,-%c", command, options[i].letter);
        }
        fputs(") ", out);
        print_action(out, options[i].complete, options[i].words);
        fputs("; return ;;\n", out);
    }
}

static void print_option_names(FILE *out, const struct command_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fprintf(out, " --%s", options[i].name);
        if (options[i].kind == OPT_NEGATABLE) {
            fprintf(out, " --no-%s", options[i].name);
        }
        if (options[i].letter != '\0') {
            fprintf(out, " -%c", options[i].letter);
        }
    }
}

static void print_command(FILE *out, const struct command *command)
{
    char key[COMMAND_NAME_MAX];

    fprintf(out, "    %s)\n        if [[ $cur == -* ]]; then\n", key_of(command, key));
    fputs("            _packetrecorder_words \"$global", out);
    print_option_names(out, command->options, command->n_options);
    if (command->group != NULL) {
        print_option_names(out, command->group->options, command->group->n_options);
    }
    fputs("\"\n", out);
    if (command->n_words > 0) {
        fputs("        else\n            ", out);
        print_action(out, command->words[0].complete, command->words[0].words);
        fputc('\n', out);
    } else if (command->commands != NULL) {
        fputs("        else\n            ", out);
        print_commands(out, command->commands);
        fputc('\n', out);
    }
    fputs("        fi\n        ;;\n", out);
}

/* Words that are values, when the command is looked for. */
static void print_skips(FILE *out, const struct command_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!option_is_flag(&options[i])) {
            fprintf(out, "        --%s) ((k++)) ;;\n", options[i].name);
        }
    }
}

/* The values of a command's options, and of those of its commands. */
static void print_all_values(FILE *out, const struct command *command)
{
    char key[COMMAND_NAME_MAX];

    print_values(out, command->name, command->options, command->n_options);
    for (size_t i = 0; command->commands != NULL && command->commands[i] != NULL; i++) {
        const struct command *one = command->commands[i];
        print_values(out, key_of(one, key), one->options, one->n_options);
        print_values(out, key, command->options, command->n_options);
    }
}

static void print_all(FILE *out, const struct command *command)
{
    print_command(out, command);
    for (size_t i = 0; command->commands != NULL && command->commands[i] != NULL; i++) {
        print_command(out, command->commands[i]);
    }
}

void completion_print_bash(FILE *out)
{
    fputs(head, out);
    fputs(find_command, out);
    print_skips(out, global_options, n_global_options);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (commands[i]->commands != NULL) {
            print_skips(out, commands[i]->options, commands[i]->n_options);
        }
    }
    fputs(after_options, out);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (commands[i]->commands != NULL) {
            fprintf(out, " | %s", commands[i]->name);
        }
    }
    fputs(after_command, out);
    print_values(out, "*", global_options, n_global_options);
    for (size_t i = 0; commands[i] != NULL; i++) {
        print_all_values(out, commands[i]);
    }
    fputs("    esac\n    local global='", out);
    print_option_names(out, global_options, n_global_options);
    fputs("'\n    case $command in\n    '')\n        if [[ $cur == -* ]]; then\n"
          "            _packetrecorder_words \"$global\"\n        else\n            ",
          out);
    print_commands(out, commands);
    fputs("\n        fi\n        ;;\n", out);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->hidden) {
            print_all(out, commands[i]);
        }
    }
    fputs("    esac\n}\ncomplete -F _packetrecorder packetrecorder\n", out);
}
