/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of commands. Help, man pages, completion, the parser and the tests all walk it, so a
 * command exists in one place only.
 *
 * To add a command: write cli/cmd_NAME.c as below, declare `extern const struct command cmd_NAME;`
 * here, list it in cli/commands.c (the order of the overview) and in PR_COMMAND_FILES of
 * cli/CMakeLists.txt (its man page follows from that).
 *
 *     struct sessions_args {
 *         struct store_args store;
 *         uint64_t limit;
 *     };
 *
 *     static const struct command_option options[] = {
 *         OPTIONS_STORE(struct sessions_args, store),
 *         {.name = "limit", .letter = 'l', .kind = OPT_COUNT, .placeholder = "N",
 *          .help = "Show at most N sessions; 0 means all.", .value = "0",
 *          .offset = offsetof(struct sessions_args, limit)},
 *     };
 *
 *     static int run(struct command_context *ctx, void *args_)
 *     {
 *         const struct sessions_args *args = args_;
 *         …
 *         return 0;     or: return err_set(&ctx->err, ERR_NOT_FOUND, "no session '%s'", name);
 *     }
 *
 *     const struct command cmd_sessions = {
 *         .name = "sessions",
 *         .summary = "list the sessions of a store",
 *         .options = options,
 *         .n_options = ARRAY_LEN(options),
 *         .args_size = sizeof(struct sessions_args),
 *         .description = (const char *const[]){"One paragraph.", "Another.", NULL},
 *         .examples = (const struct command_example[]){{"sessions -d p.db", "what it does"}, {0}},
 *         .run = run,
 *     };
 *
 * Fragments that several commands share (OPTIONS_STORE, OPTION_FILTER, OPTIONS_RANGE …) are in
 * cli/option_groups.h. The args struct comes zeroed with every `.value` (the default, parsed as if
 * the user had typed it) filled in. Strings in it are borrowed and live as long as the context. A
 * run function writes its answer to stdout, says everything else on stderr, and leaves its error in
 * ctx->err: main prints `packetrecorder: SENTENCE` and ends with err_exit_code().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

/* What an option is and, in brackets, what stands at its offset. */
enum option_kind {
    OPT_FLAG,      /* [bool] set by being there */
    OPT_NEGATABLE, /* [bool] --promisc and --no-promisc; .value is "yes" or "no" */
    OPT_STRING,    /* [const char *] NULL when not given and no .value */
    OPT_SECRET,    /* [const char *] as a string, but erased from argv and warned about; lives in
                      sodium memory */
    OPT_SIZE,      /* [uint64_t] bytes */
    OPT_DURATION,  /* [uint64_t] nanoseconds */
    OPT_COUNT,     /* [uint64_t] */
    OPT_DECIMAL,   /* [double] */
    OPT_TIME,      /* [uint64_t] nanoseconds since 1970 */
    OPT_LIST,      /* [struct option_list] repeated strings */
    OPT_PAIRS,     /* [struct option_pairs] repeated K=V */
    OPT_CHOICE,    /* [int] index into .words; -1 when not given and no .value */
};

/* What completion offers for a value or an argument without fixed words. */
enum option_complete {
    COMPLETE_NOTHING,
    COMPLETE_FILE,
    COMPLETE_INTERFACE,
    COMPLETE_SESSION,
    COMPLETE_COMMAND,
};

struct option_list {
    const char **items;
    size_t n;
};

struct option_pair {
    const char *key;
    const char *value;
};

struct option_pairs {
    struct option_pair *items;
    size_t n;
};

struct command_option {
    const char *name;       /* long name, without dashes */
    const char *aliases[2]; /* other long names, accepted, not shown in the synopsis */
    char letter;            /* 0 for none */
    enum option_kind kind;
    const char *placeholder;  /* "FILE"; NULL for flags */
    const char *help;         /* a sentence: capital, full stop */
    const char *value;        /* the default as the user would type it; shown and used */
    const char *note;         /* the default in words, where no value says it: "unlimited" */
    uint64_t initial;         /* for numbers without .value: what stands there when not given */
    uint64_t min;             /* numbers below are refused */
    uint64_t max;             /* numbers above are refused; 0 = no limit */
    const char *const *words; /* OPT_CHOICE: NULL-terminated */
    enum option_complete complete;
    bool takes_rest; /* what follows "--" is joined with blanks into this OPT_STRING */
    bool required;
    size_t offset;
};

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
    const struct command_option *options; /* at most 64 */
    size_t n_options;
    size_t args_size;
    const char *const *description;         /* paragraphs, NULL-terminated */
    const struct command_example *examples; /* ends with a NULL line */
    bool hidden;                            /* not in help, man pages or completion */
    int (*run)(struct command_context *ctx, void *args);
};

/* The options that every command takes, before or after its name. */
struct global_args {
    bool json;
    bool quiet;
    bool no_color;
    bool help;
    bool version;
    const char *endpoint;
    const char *api_key_file;
};

struct command_context {
    struct global_args global;
    const struct command *command; /* NULL when none was named */
    const char **words;            /* positional arguments, borrowed */
    size_t n_words;
    struct err err;
    /* From here on options.c alone. */
    void *args;
    uint64_t given; /* bit i: option i of the command was given */
    char *rest;
    bool secret_in_argv;
};

extern const struct command_option global_options[];
extern const size_t n_global_options;

/* NULL-terminated, in the order of the overview. */
extern const struct command *const commands[];

/* NULL when there is none. */
const struct command *command_find(const char *name);

/* The same with ERR_USAGE and the nearest name in the sentence. */
int command_look_up(const char *name, const struct command **out, struct err *err);

extern const struct command cmd_list_interfaces;
extern const struct command cmd_capture;
extern const struct command cmd_sessions;
extern const struct command cmd_query;
extern const struct command cmd_export;
extern const struct command cmd_sql;
extern const struct command cmd_replay;
extern const struct command cmd_delete;
extern const struct command cmd_prune;
extern const struct command cmd_verify;
extern const struct command cmd_rekey;
extern const struct command cmd_keys;
extern const struct command cmd_help;
extern const struct command cmd_completion;
extern const struct command cmd_man;
extern const struct command cmd_complete;
