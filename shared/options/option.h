/* SPDX-License-Identifier: Apache-2.0
 *
 * One record an option: what it is called, what kind of value it has, where in the args struct the
 * value goes. Flags, the environment, the configuration file, help, man pages, completion and the
 * tests walk the same records.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    const char *section;     /* of the configuration file; NULL: cannot stand there */
    const char *environment; /* the variable with its value; NULL: none */
    bool takes_rest;         /* what follows "--" is joined with blanks into this OPT_STRING */
    bool required;
    size_t offset;
};
