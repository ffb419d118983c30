/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file: INI, `[section]` and `name = value`, the names those of the option table
 * (a flag takes yes or no, a list is the same name on several lines), comments behind ';' or '#'.
 * Everything wrong with a file is found in one go, each problem with its line, the nearest name and
 * the way out. inih reads the lines (config_inih.c), this gives them a meaning. Pure:
 * config_posix.c reads the file.
 */
#pragma once

#include <stddef.h>

#include "shared/options/command.h"

#define CONFIG_MAX_BYTES 262144

/* A line with a meaning: a section's head (name and value NULL), or a value. Owned texts. */
struct config_line {
    unsigned line;
    char *section; /* "" before the first */
    char *name;
    char *value;
};

struct config_problem {
    unsigned line; /* 0: the file as a whole */
    char *text;    /* owned */
};

struct config {
    const char *file; /* for messages; borrowed */
    struct config_line *lines;
    size_t n_lines;
    struct config_problem *problems;
    size_t n_problems;
};

/* A zeroed struct config is empty. */
void config_deinit(struct config *config);

void config_add_problem(struct config *config, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads n bytes of text into lines; what is no INI becomes problems. config_inih.c. */
void config_read_text(struct config *config, const char *text, size_t n);

/* The same for a file; "-" is not special. A file that cannot be read is an error, not a problem.
 * The name is borrowed until config_deinit. config_posix.c. */
int config_read_file(struct config *config, const char *path, struct err *err);

/* Gives the values to a context that holds defaults alone (options_begin); the texts are copied.
 * What does not fit the table becomes problems. */
void config_apply(struct config *config, struct command_context *ctx, uint64_t now_ns);

/* Problems by line. */
void config_sort_problems(struct config *config);

/* "FILE:LINE: TEXT" of a problem; mem_free. */
char *config_problem_text(const struct config *config, size_t i);

/* 0, or ERR_USAGE with the first problem and how many more there are. */
int config_verdict(const struct config *config, struct err *err);
