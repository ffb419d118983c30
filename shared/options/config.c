/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/options/option_layers.h"
#include "shared/options/options.h"

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < config->n_lines; i++) {
        mem_free(config->lines[i].section);
        mem_free(config->lines[i].name);
        mem_free(config->lines[i].value);
    }
    for (size_t i = 0; i < config->n_problems; i++) {
        mem_free(config->problems[i].text);
    }
    mem_free(config->lines);
    mem_free(config->problems);
    *config = (struct config){0};
}

void config_add_problem(struct config *config, unsigned line, const char *fmt, ...)
{
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&err, ERR_USAGE, fmt, ap);
    va_end(ap);
    size_t n = (config->n_problems + 1) * sizeof *config->problems;
    config->problems = x_realloc(config->problems, n);
    config->problems[config->n_problems++] =
        (struct config_problem){.line = line, .text = x_strdup(err.text)};
}

/* The sections of a table, each once; at most as many as there are options. */
static size_t sections_of(const struct command *command, const char *names[COMMAND_OPTIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < command->n_options; i++) {
        const char *section = command->options[i].section;
        bool known = section == NULL;
        for (size_t k = 0; k < n && !known; k++) {
            known = strcmp(names[k], section) == 0;
        }
        if (!known) {
            names[n++] = section;
        }
    }
    return n;
}

static bool is_section(const struct command *command, const char *name)
{
    const char *names[COMMAND_OPTIONS_MAX];
    size_t n = sections_of(command, names);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_section(struct config *config, const struct command *command,
                          const struct config_line *line)
{
    const char *names[COMMAND_OPTIONS_MAX];
    size_t n = sections_of(command, names);

    if (is_section(command, line->section)) {
        return;
    }
    const char *near = text_nearest(line->section, names, n);
    if (near != NULL) {
        config_add_problem(config, line->line, "unknown section '[%s]'; did you mean '[%s]'?",
                           line->section, near);
        return;
    }
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof list; i++) {
        int more =
            snprintf(list + used, sizeof list - used, "%s[%s]", i == 0 ? "" : ", ", names[i]);
        used += (size_t)more;
    }
    config_add_problem(config, line->line, "unknown section '[%s]'; there are %s", line->section,
                       list);
}

static const struct command_option *find(const struct command *command, const char *name)
{
    for (size_t i = 0; i < command->n_options; i++) {
        if (strcmp(command->options[i].name, name) == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

static void unknown_name(struct config *config, const struct command *command,
                         const struct config_line *line)
{
    const char *names[COMMAND_OPTIONS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < command->n_options; i++) {
        if (command->options[i].section != NULL) {
            names[n++] = command->options[i].name;
        }
    }
    const char *near = text_nearest(line->name, names, n);
    if (near == NULL) {
        config_add_problem(config, line->line, "unknown name '%s'", line->name);
        return;
    }
    config_add_problem(config, line->line, "unknown name '%s'; did you mean '%s' in [%s]?",
                       line->name, near, find(command, near)->section);
}

/* False, with the problem noted, when the option cannot stand where it does. */
static bool check_place(struct config *config, const struct command *command,
                        const struct config_line *line, const struct command_option *option)
{
    char other[64];

    if (option->section == NULL) {
        snprintf(other, sizeof other, "%s-file", option->name);
        const struct command_option *file = find(command, other);
        if (file != NULL && file->section != NULL) {
            config_add_problem(config, line->line,
                               "'%s' cannot stand in a file; write '%s' in [%s]", option->name,
                               other, file->section);
        } else {
            config_add_problem(config, line->line,
                               "'%s' cannot stand in a file, only on the command line",
                               option->name);
        }
        return false;
    }
    if (strcmp(option->section, line->section) == 0) {
        return true;
    }
    if (line->section[0] == '\0') {
        config_add_problem(config, line->line, "'%s' stands before any section; it belongs in [%s]",
                           option->name, option->section);
    } else {
        config_add_problem(config, line->line, "'%s' belongs in [%s], not in [%s]", option->name,
                           option->section, line->section);
    }
    return false;
}

static bool is_quoted(const char *value)
{
    size_t n = strlen(value);

    return n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0];
}

static void apply_line(struct config *config, struct command_context *ctx,
                       const struct config_line *line, uint64_t now_ns)
{
    const struct command_option *option = find(ctx->command, line->name);
    struct err err = {0};

    if (line->section[0] != '\0' && !is_section(ctx->command, line->section)) {
        return; /* told at its head */
    }
    if (option == NULL) {
        unknown_name(config, ctx->command, line);
        return;
    }
    if (!check_place(config, ctx->command, line, option)) {
        return;
    }
    size_t i = (size_t)(option - ctx->command->options);
    if (ctx->lines[i] != 0 && option->kind != OPT_LIST && option->kind != OPT_PAIRS) {
        config_add_problem(config, line->line, "'%s' is given twice, first in line %u",
                           option->name, ctx->lines[i]);
        return;
    }
    if (is_quoted(line->value)) {
        config_add_problem(config, line->line, "'%s': write the value without quotes",
                           option->name);
        return;
    }
    ctx->lines[i] = ctx->lines[i] != 0 ? ctx->lines[i] : line->line;
    char *text = x_strdup(line->value);
    options_keep(ctx, text);
    if (options_set(ctx, i, text, ORIGIN_FILE, now_ns, &err) < 0) {
        config_add_problem(config, line->line, "'%s': %s", option->name, err.text);
    }
}

void config_apply(struct config *config, struct command_context *ctx, uint64_t now_ns)
{
    for (size_t i = 0; i < config->n_lines; i++) {
        const struct config_line *line = &config->lines[i];
        if (line->name == NULL) {
            check_section(config, ctx->command, line);
        } else {
            apply_line(config, ctx, line, now_ns);
        }
    }
    config_sort_problems(config);
}

static int by_line(const void *a, const void *b)
{
    unsigned x = ((const struct config_problem *)a)->line;
    unsigned y = ((const struct config_problem *)b)->line;

    return (x > y) - (x < y);
}

void config_sort_problems(struct config *config)
{
    if (config->n_problems > 1) {
        qsort(config->problems, config->n_problems, sizeof *config->problems, by_line);
    }
}

char *config_problem_text(const struct config *config, size_t i)
{
    const struct config_problem *problem = &config->problems[i];

    if (problem->line == 0) {
        return x_sprintf("%s: %s", config->file, problem->text);
    }
    return x_sprintf("%s:%u: %s", config->file, problem->line, problem->text);
}

int config_verdict(const struct config *config, struct err *err)
{
    if (config->n_problems == 0) {
        return 0;
    }
    char *text = config_problem_text(config, 0);
    if (config->n_problems == 1) {
        err_set(err, ERR_USAGE, "%s", text);
    } else {
        err_set(err, ERR_USAGE, "%s (and %zu more: 'packetrecorder config check %s' lists all)",
                text, config->n_problems - 1, config->file);
    }
    mem_free(text);
    return ERR_USAGE;
}
