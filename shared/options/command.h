/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of a command and of a program with its commands. Each program has one table of them
 * (cli/commands.c, node/commands.c) and the parser (options.h), the help (help.h) and the tests
 * walk it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/options/option.h"

/* A positional argument; the values stand in ctx->words in the order typed. */
struct command_word {
    const char *name; /* "SESSION" */
    const char *help;
    bool optional;
    bool many;                /* the last one only: one or more (or none, with optional) */
    const char *const *words; /* fixed words, NULL-terminated, checked by the parser; or NULL */
    enum option_complete complete;
};

struct command_example {
    const char *line; /* behind "packetrecorder " */
    const char *what; /* what it does, lower case, no dot */
};

struct command_context;

struct command {
    const char *name;
    const char *summary; /* lower case, no dot, fits a line of 80 with the name */
    const struct command_word *words;
    size_t n_words;
    const struct command_option *options; /* at most COMMAND_OPTIONS_MAX */
    size_t n_options;
    size_t args_size;
    const char *const *description;         /* paragraphs, NULL-terminated */
    const struct command_example *examples; /* ends with a NULL line */
    bool uses_endpoint;                     /* --endpoint means something to it */
    bool uses_api_key;                      /* and --api-key-file */
    bool hidden;                            /* not in help, man pages or completion */
    /* A group has no words and no run(): the first word names one of these (NULL-terminated). Its
     * options may stand before and behind that word; they go to ctx->group_args. */
    const struct command *const *commands;
    const struct command *group; /* that this one stands in; NULL: in the program */
    int (*run)(struct command_context *ctx, void *args);
};

/* The options that every command takes, before or after its name. */
struct global_args {
    bool json;
    bool quiet;
    bool no_color;
    bool help;
    bool version;
    struct option_list endpoints;
    const char *api_key_file;
};

/* The last two of every program's global options. */
/* clang-format off */
#define OPTIONS_HELP_AND_VERSION                                                                   \
    {.name = "help", .letter = 'h', .kind = OPT_FLAG,                                              \
     .help = "Show help, of the command where one is named.",                                      \
     .offset = offsetof(struct global_args, help)},                                                \
    {.name = "version", .letter = 'V', .kind = OPT_FLAG, .help = "Show the version.",              \
     .offset = offsetof(struct global_args, version)}
/* clang-format on */

/* What one executable understands. */
struct program {
    const char *name;                      /* "packetrecorder" */
    const char *version;                   /* "0.1.0" */
    const char *usage;                     /* the first line of the overview, behind "Usage: " */
    const char *intro;                     /* a sentence or two */
    const struct command *const *commands; /* NULL-terminated, in the order of the overview */
    const struct command_option *global_options; /* into struct global_args */
    size_t n_global_options;
    const struct command *fallback; /* when the first word names no command; NULL: none */
};

#define COMMAND_OPTIONS_MAX 64
#define COMMAND_NAME_MAX    64 /* "manage list-interfaces" with its terminator */

/* Who said a value; the later ones come before the earlier. */
enum option_origin {
    ORIGIN_DEFAULT,
    ORIGIN_FILE,
    ORIGIN_ENVIRONMENT,
    ORIGIN_FLAG,
};

struct command_context {
    const struct program *program;
    struct global_args global;
    const struct command *command; /* NULL when none was named */
    const char **words;            /* positional arguments, borrowed */
    size_t n_words;
    struct err err;
    const struct command_option *secret_in_argv; /* NULL: none */
    const void *group_args; /* of the group that the command stands in; NULL: in none */
    /* From here on the files of shared/options alone. */
    void *args;
    unsigned char global_origins[COMMAND_OPTIONS_MAX]; /* enum option_origin */
    unsigned char group_origins[COMMAND_OPTIONS_MAX];
    unsigned char origins[COMMAND_OPTIONS_MAX]; /* enum option_origin of each option */
    unsigned lines[COMMAND_OPTIONS_MAX];        /* of the configuration file, from 1 */
    char **kept; /* texts that values point into and that nobody else holds */
    size_t n_kept;
};

/* NULL when there is none. */
const struct command *program_find(const struct program *program, const char *name);

/* The same with ERR_USAGE and the nearest name in the sentence. */
int program_look_up(const struct program *program, const char *name, const struct command **out,
                    struct err *err);

/* One of a group's, as program_find; NULL also when `group` is none. */
const struct command *group_find(const struct command *group, const char *name);
int group_look_up(const struct command *group, const char *name, const struct command **out,
                  struct err *err);

/* "capture", or "manage info" for one that stands in a group. Returns out. */
const char *command_format_name(const struct command *command, char out[COMMAND_NAME_MAX]);
