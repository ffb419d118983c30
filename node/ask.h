/* SPDX-License-Identifier: Apache-2.0
 *
 * A question to the node that a worker answers, for HTTP and RPC alike: `run` there with a reader
 * of the store, then back to the loop. Who asks is an `asker`: three words that say what to do with
 * the answer. Embedded in the struct of whoever can answer something (node/sessions), which holds
 * what the two threads tell each other.
 */
#pragma once

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/store/store.h"

struct json_t;

/* One of the two: objects, or JSON that was written as text in the first place. */
struct answer {
    struct json_t *json; /* owned; NULL = text */
    struct buf text;
};

struct asker {
    /* On the worker, after an answer without an error: makes bytes of it, since thousands of
     * objects take time. NULL: nothing is made there. */
    void (*encode)(void *arg, const struct answer *answer);
    /* On the loop, once: the answer, borrowed, or NULL and why there is none. */
    void (*done)(void *arg, const struct answer *answer, const struct err *err);
    /* On the loop, instead of `done`: nothing was run, too much waits or the node is ending. NULL:
     * done, with ERR_LIMIT. */
    void (*refused)(void *arg, bool is_ending, const char *why);
    void *arg;
};

struct ask {
    struct node *node;
    struct asker asker;
    struct err err; /* set by run: then there is no answer */
    struct answer answer;
    /* On a worker. */
    void (*run)(struct ask *ask);
    /* On the loop, before the asker's done, when there is no error; NULL: nothing to do. */
    void (*settle)(struct ask *ask);
    /* On the loop, last; frees the struct around it. */
    void (*release)(struct ask *ask);
};

/* Starts it. When too much waits the asker is told so at once. */
void ask_start(struct ask *ask, struct node *node, const struct asker *asker);

/* On a worker: use(store, ask) with a reader; its error goes into ask->err. Where there is no store
 * yet: ERR_NOT_FOUND. */
void ask_read(struct ask *ask, int (*use)(struct store *store, struct ask *ask, struct err *err));
