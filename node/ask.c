/* SPDX-License-Identifier: Apache-2.0 */
#include "node/ask.h"

#include <jansson.h>

#include "node/gauges.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/mem.h"

static void run(void *arg)
{
    struct ask *ask = arg;

    ask->run(ask);
    if (ask->err.code == 0 && ask->asker.encode != NULL) {
        ask->asker.encode(ask->asker.arg, &ask->answer);
    }
}

static void end(struct ask *ask)
{
    gauges_wake(ask->node); /* a reader of the store may stand idle now */
    json_decref(ask->answer.json);
    buf_deinit(&ask->answer.text);
    ask->release(ask);
}

static void refuse(struct ask *ask, bool is_ending)
{
    const char *why =
        is_ending ? "the node is ending" : "the node has too much to do: try again later";

    if (ask->asker.refused != NULL) {
        ask->asker.refused(ask->asker.arg, is_ending, why);
    } else {
        err_set(&ask->err, ERR_LIMIT, "%s", why);
        ask->asker.done(ask->asker.arg, NULL, &ask->err);
    }
    end(ask);
}

static void done(void *arg, bool cancelled)
{
    struct ask *ask = arg;

    if (cancelled) {
        refuse(ask, true);
        return;
    }
    if (ask->err.code == 0 && ask->settle != NULL) {
        ask->settle(ask);
    }
    bool failed = ask->err.code < 0;
    ask->asker.done(ask->asker.arg, failed ? NULL : &ask->answer, failed ? &ask->err : NULL);
    end(ask);
}

void ask_start(struct ask *ask, struct node *node, const struct asker *asker)
{
    ask->node = node;
    ask->asker = *asker;
    if (!work_run(node, run, done, ask)) {
        refuse(ask, false);
    }
}

void ask_read(struct ask *ask, int (*use)(struct store *store, struct ask *ask, struct err *err))
{
    struct store *store = NULL;

    if (node_store_borrow(ask->node->store, &store, &ask->err) < 0) {
        return;
    }
    int r = use(store, ask, &ask->err);
    node_store_return(ask->node->store, store, r);
    if (r < 0 && ask->err.code == 0) {
        err_set(&ask->err, r, "%s", err_name(r));
    }
}
