/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_audit.h"

#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "node/rpc_job.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define AGAIN_MS 5000

struct rpc_audit {
    struct node *node;
    struct store_audit_entry *waiting; /* RPC_AUDIT_WAITING */
    size_t n_waiting;
    /* Of the worker while is_writing. */
    struct store_audit_entry *batch;
    size_t n_batch;
    struct err err;
    bool is_writing;
    uint64_t n_written;
    uint64_t n_lost;
    uv_timer_t again;
    struct log_limit limit;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- writing ---- */

static void run(void *arg)
{
    struct rpc_audit *audit = arg;
    struct store *store = NULL;

    audit->err = (struct err){0};
    if (node_store_hold(audit->node->store, &store, &audit->err) < 0) {
        return;
    }
    (void)store_audit_add(store, audit->batch, audit->n_batch, &audit->err);
    node_store_release(audit->node->store, store);
}

static void on_again(uv_timer_t *timer);
static void write_waiting(struct rpc_audit *audit);

static void on_timer_closed(uv_handle_t *handle)
{
    struct rpc_audit *audit = container_of((uv_timer_t *)handle, struct rpc_audit, again);
    void (*closed)(void *) = audit->closed;
    void *arg = audit->closed_arg;

    if (audit->n_waiting > 0) {
        log_warn("rpc: %zu entries of the audit stand in the log alone", audit->n_waiting);
    }
    mem_free(audit->waiting);
    mem_free(audit->batch);
    mem_free(audit);
    closed(arg);
}

/* Back in front of what came meanwhile; where there is no room, what is older goes. */
static void put_back(struct rpc_audit *audit)
{
    size_t room = RPC_AUDIT_WAITING - audit->n_waiting;
    size_t n = audit->n_batch < room ? audit->n_batch : room;

    memmove(audit->waiting + n, audit->waiting, audit->n_waiting * sizeof *audit->waiting);
    memcpy(audit->waiting, audit->batch + (audit->n_batch - n), n * sizeof *audit->waiting);
    audit->n_waiting += n;
    audit->n_lost += audit->n_batch - n;
}

static void on_failed(struct rpc_audit *audit, bool cancelled)
{
    uint64_t left_out;

    put_back(audit);
    if (!cancelled && log_allowed(&audit->limit, uv_now(audit->node->loop), 60000, &left_out)) {
        log_warn("rpc: the audit is not written: %s; trying again", audit->err.text);
    }
    if (audit->closed == NULL) {
        uv_timer_start(&audit->again, on_again, AGAIN_MS, 0);
    }
}

static void done(void *arg, bool cancelled)
{
    struct rpc_audit *audit = arg;
    bool failed = cancelled || audit->err.code < 0;

    audit->is_writing = false;
    if (failed) {
        on_failed(audit, cancelled);
    } else {
        audit->n_written += audit->n_batch;
        if (audit->n_waiting > 0) {
            write_waiting(audit);
        }
    }
    if (audit->closed != NULL && !audit->is_writing) {
        uv_close((uv_handle_t *)&audit->again, on_timer_closed);
    }
}

static void write_waiting(struct rpc_audit *audit)
{
    if (audit->is_writing || audit->n_waiting == 0) {
        return;
    }
    memcpy(audit->batch, audit->waiting, audit->n_waiting * sizeof *audit->batch);
    audit->n_batch = audit->n_waiting;
    audit->is_writing = work_run(audit->node, run, done, audit);
    if (audit->is_writing) {
        audit->n_waiting = 0;
    } else if (audit->closed == NULL) {
        uv_timer_start(&audit->again, on_again, AGAIN_MS, 0);
    }
}

static void on_again(uv_timer_t *timer)
{
    write_waiting(container_of(timer, struct rpc_audit, again));
}

void rpc_audit_add(struct rpc_audit *audit, const struct store_audit_entry *entry)
{
    if (audit->n_waiting == RPC_AUDIT_WAITING) {
        audit->n_waiting--;
        audit->n_lost++;
        memmove(audit->waiting, audit->waiting + 1, audit->n_waiting * sizeof *audit->waiting);
    }
    audit->waiting[audit->n_waiting++] = *entry;
    if (!uv_is_active((uv_handle_t *)&audit->again)) {
        write_waiting(audit);
    }
}

/* ---- its life ---- */

struct rpc_audit *rpc_audit_open(struct node *node)
{
    struct rpc_audit *audit = x_alloc(sizeof *audit);

    audit->node = node;
    audit->waiting = x_alloc(RPC_AUDIT_WAITING * sizeof *audit->waiting);
    audit->batch = x_alloc(RPC_AUDIT_WAITING * sizeof *audit->batch);
    uv_timer_init(node->loop, &audit->again);
    uv_unref((uv_handle_t *)&audit->again);
    return audit;
}

void rpc_audit_close(struct rpc_audit *audit, void (*closed)(void *arg), void *arg)
{
    audit->closed = closed;
    audit->closed_arg = arg;
    uv_timer_stop(&audit->again);
    write_waiting(audit);
    if (!audit->is_writing) {
        uv_close((uv_handle_t *)&audit->again, on_timer_closed);
    }
}

uint64_t rpc_audit_written(const struct rpc_audit *audit)
{
    return audit->n_written;
}

uint64_t rpc_audit_lost(const struct rpc_audit *audit)
{
    return audit->n_lost;
}

/* ---- node.audit ---- */

struct list_job {
    struct rpc_job job;
    uint64_t limit;
    struct store_audit_entry *entries;
    size_t n;
};

static int use(struct store *store, struct ask *ask, struct err *err)
{
    struct list_job *list = container_of(ask, struct list_job, job.ask);

    return store_audit_list(store, (size_t)list->limit, &list->entries, &list->n, err);
}

static void run_list(struct ask *ask)
{
    ask_read(ask, use);
    if (ask->err.code == ERR_NOT_FOUND) {
        ask->err = (struct err){0}; /* no store: nothing was changed */
    }
}

static void reply_list(struct rpc_job *job)
{
    struct list_job *list = container_of(job, struct list_job, job);
    json_t *answer = json_array();

    for (size_t i = 0; i < list->n; i++) {
        const struct store_audit_entry *e = &list->entries[i];
        json_array_append_new(
            answer, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "time", to_json_time(e->time_ns),
                              "who", to_json_text(e->who), "peer", to_json_text(e->peer), "method",
                              to_json_text(e->method), "target", to_json_text(e->target), "outcome",
                              to_json_text(e->outcome)));
    }
    rpc_call_reply(job->call, answer);
}

static void release_list(struct ask *ask)
{
    struct list_job *list = container_of(ask, struct list_job, job.ask);

    mem_free(list->entries);
    mem_free(list);
}

static void list_audit(struct rpc_call *call, struct node *node)
{
    struct list_job *list = x_alloc(sizeof *list);

    list->job.ask.run = run_list;
    list->job.reply = reply_list;
    list->job.ask.release = release_list;
    list->limit = rpc_arg_count(rpc_call_args(call), "limit", 100);
    rpc_job_start(&list->job, call, node);
}

static const struct rpc_handler handlers[] = {
    {"node.audit", list_audit},
};

const struct rpc_handler_group rpc_audit_handlers = {handlers, ARRAY_LEN(handlers)};
