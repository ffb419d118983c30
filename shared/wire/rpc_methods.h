/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of RPC methods: what a node can be asked, by whom, with which parameters, and what it
 * answers. The server checks calls against it before a handler sees them, docs/rpc.md is generated
 * from it, and tests walk it. Names of parameters are those of the HTTP API and of results.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/api_key.h"

#define RPC_TEXT_MAX  4096 /* bytes of a text */
#define RPC_TEXTS_MAX 64   /* of a list of them */

enum rpc_type {
    RPC_TEXT,  /* not empty */
    RPC_TEXTS, /* an array of them, at least one */
    RPC_BOOL,
    RPC_COUNT,    /* a whole number, or a text such as "10k" */
    RPC_SIZE,     /* bytes: a whole number, or a text such as "64KiB" */
    RPC_REAL,     /* a number that is not negative */
    RPC_DURATION, /* seconds, also broken ones, or a text such as "1m30s" */
    RPC_TIME,     /* a text: RFC 3339, "@SECONDS", "-10m" */
    RPC_FILTER,   /* a pcap filter within what filters may cost (filter_bound.h) */
    RPC_TAGS,     /* a map of text to text */
    RPC_WORD,     /* one of `words` */
};

struct rpc_param {
    const char *name;
    enum rpc_type type;
    bool required;
    uint64_t max;             /* of numbers; 0 = none */
    const char *const *words; /* of RPC_WORD, NULL-terminated */
    const char *what;
};

struct rpc_method {
    const char *name;
    enum api_right right;
    bool changes;  /* something: audited */
    bool streams;  /* notifications follow its answer */
    bool fans_out; /* takes the options nodes and select */
    bool of_nodes; /* what nodes ask each other: nobody else may */
    bool is_large; /* its answer may have megabytes */
    const char *what;
    const char *result;
    const char *limits; /* NULL: only those of all calls */
    const struct rpc_param *params;
    size_t n_params;
};

extern const struct rpc_method rpc_methods[];
extern const size_t n_rpc_methods;

/* NULL: there is none. */
const struct rpc_method *rpc_method_find(const char *name);
/* "text", "count", … */
const char *rpc_type_name(enum rpc_type type);

/* docs/rpc.md, whole. */
void rpc_methods_doc(struct buf *out);

/* ---- arguments: JSON of a call (NULL = {}) ---- */

struct json_t;

/* Every one is known, of its type and within bounds; those that must be there are. ERR_USAGE or
 * ERR_FILTER names the one that is not. */
int rpc_args_check(const struct rpc_method *method, const struct json_t *args, struct err *err);

/* After rpc_args_check; absent (or null) gives `otherwise`, NULL, false or 0. Texts are borrowed.
 */
const char *rpc_arg_text(const struct json_t *args, const char *name);
const struct json_t *rpc_arg(const struct json_t *args, const char *name); /* NULL when null */
bool rpc_arg_bool(const struct json_t *args, const char *name, bool otherwise);
uint64_t rpc_arg_count(const struct json_t *args, const char *name, uint64_t otherwise);
uint64_t rpc_arg_size(const struct json_t *args, const char *name, uint64_t otherwise);
double rpc_arg_real(const struct json_t *args, const char *name, double otherwise);
uint64_t rpc_arg_duration_ns(const struct json_t *args, const char *name, uint64_t otherwise);
uint64_t rpc_arg_time_ns(const struct json_t *args, const char *name, uint64_t now_ns,
                         uint64_t otherwise);
