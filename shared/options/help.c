/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/help.h"

#include <string.h>

#include "shared/options/option_value.h"

#define WIDTH  80
#define INDENT 8

/* Words of `text` from column `column` on, broken at WIDTH, each new line indented. */
static void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned column)
{
    bool first = true;

    while (*text != '\0') {
        unsigned n = (unsigned)strcspn(text, " ");
        if (!first && column + 1 + n > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)n, text);
        column += n + (first ? 0 : 1);
        first = false;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_paragraph(FILE *out, const char *text, unsigned indent)
{
    fprintf(out, "%*s", (int)indent, "");
    print_wrapped(out, text, indent, indent);
}

void help_print_version(FILE *out, const struct program *program)
{
    fprintf(out, "%s %s%s\n", program->name, program->version,
            PR_SQLCIPHER ? "" : ", without encryption (built without SQLCipher)");
}

static void print_option(FILE *out, const struct command_option *option)
{
    fputs("  ", out);
    if (option->letter != '\0') {
        fprintf(out, "-%c, ", option->letter);
    }
    fprintf(out, "--%s%s", option->kind == OPT_NEGATABLE ? "[no-]" : "", option->name);
    if (option->placeholder != NULL) {
        fprintf(out, " %s", option->placeholder);
    }
    fputc('\n', out);
    print_paragraph(out, option->help, INDENT);
    if (option->words != NULL) {
        fprintf(out, "%*sOne of:", INDENT, "");
        for (size_t i = 0; option->words[i] != NULL; i++) {
            fprintf(out, "%s %s", i == 0 ? "" : ",", option->words[i]);
        }
        fputs(".\n", out);
    }
    const char *value = option->value != NULL ? option->value : option->note;
    if (value != NULL) {
        fprintf(out, "%*sDefault: %s\n", INDENT, "", value);
    }
}

static void print_usage(FILE *out, const struct program *program, const struct command *command)
{
    char name[COMMAND_NAME_MAX];
    bool rest = false;

    fprintf(out, "Usage: %s", program->name);
    if (command != program->fallback) {
        fprintf(out, " %s", command_format_name(command, name));
    }
    fputs(command->n_options > 0 ? " [OPTIONS]" : "", out);
    fputs(command->commands != NULL ? " COMMAND [ARGUMENTS]" : "", out);
    for (size_t i = 0; i < command->n_words; i++) {
        const struct command_word *word = &command->words[i];
        fprintf(out, " %s%s%s%s", word->optional ? "[" : "", word->name, word->many ? "..." : "",
                word->optional ? "]" : "");
    }
    for (size_t i = 0; i < command->n_options; i++) {
        rest = rest || command->options[i].takes_rest;
    }
    fprintf(out, "%s\n", rest ? " [-- FILTER]" : "");
}

static void print_option_names(FILE *out, const struct command_option *options, size_t n)
{
    fprintf(out, "%*s", INDENT - 1, "");
    for (size_t i = 0; i < n; i++) {
        fprintf(out, " --%s", options[i].name);
    }
    fputc('\n', out);
}

/* Their sentences stand in the overviews; here they would bury the command's own. */
static void print_other_names(FILE *out, const struct program *program, const struct command *group)
{
    if (group != NULL && group->n_options > 0) {
        fprintf(out, "\nOptions that all of them take, explained by '%s %s --help':\n",
                program->name, group->name);
        print_option_names(out, group->options, group->n_options);
    }
    fprintf(out, "\nGlobal options, explained by 'packetrecorder help':\n");
    print_option_names(out, program->global_options, program->n_global_options);
}

static void print_commands(FILE *out, const struct command *const *commands,
                           const struct command *fallback)
{
    fputs("\nCommands:\n", out);
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->hidden) {
            fprintf(out, "  %-16s %s%s\n", commands[i]->name, commands[i]->summary,
                    commands[i] == fallback ? " (when none is named)" : "");
        }
    }
}

/* The help of a command that needs no name is the overview too. */
static void print_program(FILE *out, const struct program *program)
{
    for (size_t i = 0; i < program->n_global_options; i++) {
        print_option(out, &program->global_options[i]);
    }
    print_commands(out, program->commands, program->fallback);
}

void help_print_command(FILE *out, const struct program *program, const struct command *command)
{
    print_usage(out, program, command);
    fprintf(out, "\n%c%s.\n", command->summary[0] & ~0x20, command->summary + 1);
    for (size_t i = 0; command->description != NULL && command->description[i] != NULL; i++) {
        fputc('\n', out);
        print_paragraph(out, command->description[i], 0);
    }
    if (command->commands != NULL) {
        print_commands(out, command->commands, NULL);
        fprintf(out, "\nSee '%s %s COMMAND --help'.\n", program->name, command->name);
    }
    for (size_t i = 0; i < command->n_words; i++) {
        fprintf(out, "%s  %s\n", i == 0 ? "\nArguments:\n" : "", command->words[i].name);
        print_paragraph(out, command->words[i].help, INDENT);
    }
    for (size_t i = 0; i < command->n_options; i++) {
        fputs(i == 0 ? "\nOptions:\n" : "", out);
        print_option(out, &command->options[i]);
    }
    if (command == program->fallback) {
        print_program(out, program);
    } else {
        print_other_names(out, program, command->group);
    }
    for (size_t i = 0; command->examples != NULL && command->examples[i].line != NULL; i++) {
        fprintf(out, "%s  %s %s\n", i == 0 ? "\nExamples:\n" : "", program->name,
                command->examples[i].line);
        print_paragraph(out, command->examples[i].what, INDENT);
    }
}

void help_print_overview(FILE *out, const struct program *program)
{
    fprintf(out, "Usage: %s\n\n%s\n", program->usage, program->intro);
    print_commands(out, program->commands, NULL);
    fputs("\nGlobal options:\n", out);
    for (size_t i = 0; i < program->n_global_options; i++) {
        print_option(out, &program->global_options[i]);
    }
    fprintf(out, "\nSee '%s COMMAND --help'.\n", program->name);
}

void help_first_sentence(const char *help, char *out, size_t n)
{
    const char *end = strstr(help, ". ");
    size_t length = end != NULL ? (size_t)(end - help) : strlen(help);

    if (length > 0 && help[length - 1] == '.') {
        length--;
    }
    snprintf(out, n, "%.*s", (int)length, help);
}
