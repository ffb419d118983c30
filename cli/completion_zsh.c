/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include "shared/options/help.h"
#include "shared/options/option_value.h"

#define PHRASE_MAX 256

static const char head[] =
    "#compdef packetrecorder\n"
    "# zsh completion for packetrecorder, made by 'packetrecorder completion zsh'\n"
    "_packetrecorder_interfaces() {\n"
    "    local -a names\n"
    "    names=(${(f)\"$(packetrecorder __complete interfaces 2>/dev/null)\"})\n"
    "    compadd -a names\n"
    "}\n"
    "_packetrecorder_sessions() {\n"
    "    local -a names\n"
    "    local db=${opt_args[--database]:-${opt_args[-d]:-packets.db}}\n"
    "    names=(${(f)\"$(packetrecorder __complete sessions \"$db\" 2>/dev/null)\"})\n"
    "    compadd -a names\n"
    "}\n";

/* Inside single quotes, in a place of _arguments where brackets and colons mean something. */
static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
            continue;
        }
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

static void print_phrase(FILE *out, const char *help)
{
    char phrase[PHRASE_MAX];

    help_first_sentence(help, phrase, sizeof phrase);
    fputc('[', out);
    print_escaped(out, phrase);
    fputc(']', out);
}

static void print_action(FILE *out, enum option_complete complete, const char *const *words)
{
    static const char *const actions[] = {
        [COMPLETE_NOTHING] = " ",
        [COMPLETE_FILE] = "_files",
        [COMPLETE_INTERFACE] = "_packetrecorder_interfaces",
        [COMPLETE_SESSION] = "_packetrecorder_sessions",
        [COMPLETE_COMMAND] = "_packetrecorder_commands",
    };

    if (words == NULL) {
        fputs(actions[complete], out);
        return;
    }
    for (size_t i = 0; words[i] != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "(" : " ", words[i]);
    }
    fputc(')', out);
}

/* '(-i --interface)'{-i+,--interface=}'[help]:IFACE:_packetrecorder_interfaces' */
static void print_option(FILE *out, const struct command_option *option)
{
    bool flag = option_is_flag(option);
    bool repeated = option->kind == OPT_LIST || option->kind == OPT_PAIRS;
    const char *plus = flag ? "" : "+";
    const char *equals = flag ? "" : "=";

    fputs(" \\\n            ", out);
    if (option->kind == OPT_NEGATABLE) {
        fprintf(out, "'(--%s --no-%s)'{--%s,--no-%s}'", option->name, option->name, option->name,
                option->name);
    } else if (option->letter == '\0') {
        fprintf(out, "'%s--%s%s", repeated ? "*" : "", option->name, equals);
    } else if (repeated) {
        fprintf(out, "'*'{-%c%s,--%s%s}'", option->letter, plus, option->name, equals);
    } else {
        fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'", option->letter, option->name, option->letter,
                plus, option->name, equals);
    }
    print_phrase(out, option->help);
    if (!flag) {
        fputc(':', out);
        print_escaped(out, option->placeholder);
        fputc(':', out);
        print_action(out, option->complete, option->words);
    }
    fputc('\'', out);
}

static void print_options(FILE *out, const struct command_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        print_option(out, &options[i]);
    }
}

static void print_command(FILE *out, const struct command *command)
{
    const struct command *group = command->group;

    fprintf(out, "    %s)\n        _arguments -s", command->name);
    print_options(out, command->options, command->n_options);
    if (group != NULL) {
        print_options(out, group->options, group->n_options);
    }
    print_options(out, global_options, n_global_options);
    for (size_t i = 0; i < command->n_words; i++) {
        const struct command_word *word = &command->words[i];
        fputs(" \\\n            '", out);
        if (word->many) {
            fputs("*:", out);
        } else {
            fprintf(out, "%zu:%s", i + 1, word->optional ? ":" : "");
        }
        print_escaped(out, word->name);
        fputc(':', out);
        print_action(out, word->complete, word->words);
        fputc('\'', out);
    }
    fputs(" && ret=0\n        ;;\n", out);
}

/* The function that offers the names: _packetrecorder_commands, and _packetrecorder_manage_commands
 * for those of a group. */
static void print_names(FILE *out, const char *group, const struct command *const *list)
{
    fprintf(out, "_packetrecorder%s_commands() {\n    local -a list\n    list=(\n", group);
    for (size_t i = 0; list[i] != NULL; i++) {
        if (!list[i]->hidden) {
            fprintf(out, "        '%s:", list[i]->name);
            print_escaped(out, list[i]->summary);
            fputs("'\n", out);
        }
    }
    fputs("    )\n    _describe command list\n}\n", out);
}

/* The options, the word that names a command (offered by _packetrecorder`group`_commands), and what
 * follows it, for which `case` goes on. */
static void print_level(FILE *out, const char *group, const struct command_option *options,
                        size_t n)
{
    fputs("    local curcontext=$curcontext state line ret=1\n"
          "    typeset -A opt_args\n"
          "    _arguments -C",
          out);
    print_options(out, options, n);
    if (options != global_options) {
        print_options(out, global_options, n_global_options);
    }
    fprintf(out,
            " \\\n            '1:command:_packetrecorder%s_commands'"
            " \\\n            '*::argument:->arguments' && ret=0\n"
            "    [[ $state == arguments ]] || return ret\n"
            "    case $words[1] in\n",
            group);
}

/* _packetrecorder_manage() */
static void print_group(FILE *out, const struct command *group)
{
    char name[COMMAND_NAME_MAX];

    snprintf(name, sizeof name, "_%s", group->name);
    print_names(out, name, group->commands);
    fprintf(out, "_packetrecorder%s() {\n", name);
    print_level(out, name, group->options, group->n_options);
    for (size_t i = 0; group->commands[i] != NULL; i++) {
        print_command(out, group->commands[i]);
    }
    fputs("    esac\n    return ret\n}\n", out);
}

void completion_print_zsh(FILE *out)
{
    fputs(head, out);
    print_names(out, "", commands);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (commands[i]->commands != NULL) {
            print_group(out, commands[i]);
        }
    }
    fputs("_packetrecorder() {\n", out);
    print_level(out, "", global_options, n_global_options);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (commands[i]->commands != NULL) {
            fprintf(out, "    %s) _packetrecorder_%s && ret=0 ;;\n", commands[i]->name,
                    commands[i]->name);
        } else if (!commands[i]->hidden) {
            print_command(out, commands[i]);
        }
    }
    /* Works from $fpath, where the file is the function, and from `source <(…)`. */
    fputs("    esac\n    return ret\n}\n"
          "if [[ $funcstack[1] == _packetrecorder ]]; then\n"
          "    _packetrecorder \"$@\"\n"
          "else\n"
          "    compdef _packetrecorder packetrecorder\n"
          "fi\n",
          out);
}
