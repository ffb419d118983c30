/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection, one thread: what comes is put into the merge, what the merge lets go is written,
 * and only then is more asked for. While the output takes nothing, nothing is asked for, and the
 * nodes count what they lose by that.
 */
#include "cli/watch_args.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "cli/terminal_posix.h"
#include "cli/watch.h"
#include "cli/watch_summary.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/capture/file_encode.h"
#include "shared/capture/file_output_posix.h"
#include "shared/wire/rpc_client.h"

#define MS_NS         UINT64_C(1000000)
#define S_NS          UINT64_C(1000000000)
#define TICK_NS       (20 * MS_NS)
#define LIST_NS       (5 * S_NS) /* so often the nodes are asked who is there */
#define CLOCK_NS      (10 * S_NS)
#define STATISTICS_NS (10 * S_NS)
#define CALL_NS       (15 * S_NS)
#define END_NS        (2 * S_NS)  /* what nodes have for their goodbyes */
#define STUCK_NS      (2 * S_NS)  /* after an interrupt, what the output has to take anything */
#define SILENT_NS     (30 * S_NS) /* calls are under way, and nothing comes: the node is gone */
#define BATCH_BYTES   (256u * 1024u)
#define BATCH_PACKETS (BATCH_BYTES / 32u) /* at most */
#define PIPE_BYTES    4096u               /* POSIX: so much goes into a pipe that is ready */
#define VALUES_MAX    1000000u

struct run {
    struct command_context *ctx;
    const struct watch_args *args;
    struct manage *manage;
    json_t *options; /* whom it is for; NULL: the node asked */
    struct merge *merge;
    struct watch *watch;
    struct file_output out;
    struct buf bytes;
    uint64_t packets; /* written; counted where there is a limit */
    uint32_t list_id; /* calls under way; 0 = none */
    uint32_t clock_id;
    bool is_listed;   /* once */
    bool is_followed; /* something was; the file begins then */
    uint64_t next_list_ns;
    uint64_t next_clock_ns;
    uint64_t next_statistics_ns;
    uint64_t heard_ns;
    uint64_t end_ns;
    int64_t ahead_ns; /* the common time minus our monotonic one */
    struct progress progress;
};

/* ---- calls ---- */

static int send_call(void *arg, const char *node, const char *method, struct rpc_span args,
                     uint32_t *id, struct err *err)
{
    struct run *run = arg;
    struct rpc_call_options options = {0};
    struct buf name = {0};

    if (node != NULL) {
        rpc_put_text(&name, node);
        options.node = (struct rpc_span){name.data, name.len};
    }
    int rc = rpc_client_send_with(manage_client(run->manage), method, args, &options,
                                  clock_monotonic_ns() + CALL_NS, id, err);
    buf_deinit(&name);
    return rc;
}

static void tell(void *arg, const char *text)
{
    struct run *run = arg;
    char *clean = x_strdup(text);

    output_clean(clean);
    progress_end(&run->progress);
    log_warn("%s", clean);
    mem_free(clean);
}

/* Of all nodes that are meant, or of the one asked. */
static int ask_list(struct run *run)
{
    struct rpc_call_options options = {0};
    struct buf nodes = {0};
    struct buf select = {0};
    const json_t *all = json_object_get(run->options, "nodes");
    const json_t *some = json_object_get(run->options, "select");

    if (all != NULL) {
        rpc_put_json(&nodes, all);
        options.nodes = (struct rpc_span){nodes.data, nodes.len};
    }
    if (some != NULL) {
        rpc_put_json(&select, some);
        options.select = (struct rpc_span){select.data, select.len};
    }
    run->next_list_ns = clock_monotonic_ns() + LIST_NS;
    int rc = rpc_client_send_with(manage_client(run->manage), "node.interfaces",
                                  (struct rpc_span){0}, &options, clock_monotonic_ns() + CALL_NS,
                                  &run->list_id, &run->ctx->err);
    buf_deinit(&nodes);
    buf_deinit(&select);
    return rc;
}

static int ask_clock(struct run *run)
{
    run->next_clock_ns = clock_monotonic_ns() + CLOCK_NS;
    return send_call(run, NULL, "node.info", (struct rpc_span){0}, &run->clock_id, &run->ctx->err);
}

/* ---- answers ---- */

static int take_list(struct run *run, struct rpc_span result)
{
    struct err *err = &run->ctx->err;
    uint64_t now_ns = clock_monotonic_ns();
    json_t *value = NULL;
    int rc = rpc_to_json(result, VALUES_MAX, &value, err);

    if (rc < 0) {
        return err_wrap(err, "the answer to node.interfaces");
    }
    rc = run->options == NULL
             ? watch_list_own(run->watch, value, now_ns, err)
             : watch_list(run->watch, json_object_get(value, "nodes"), now_ns, err);
    json_decref(value);
    run->is_listed = run->is_listed || rc == 0;
    return rc;
}

/* The common time is that of the node asked, corrected by what the swarm knows of it. Where it does
 * not say, our own clock has to do. */
static void take_clock(struct run *run, struct rpc_span result)
{
    json_t *value = NULL;
    int64_t now_ns = (int64_t)clock_wall_ns();

    if (result.bytes != NULL && rpc_to_json(result, VALUES_MAX, &value, NULL) == 0) {
        const json_t *clock = json_object_get(value, "clock");
        uint64_t time_ns = field_time_ns(clock, "time");
        if (time_ns != 0 && time_ns < INT64_MAX) {
            int64_t common_ns = (int64_t)time_ns;
            bool is_bad = __builtin_sub_overflow(
                common_ns, json_integer_value(json_object_get(clock, "offset_ns")), &common_ns);
            now_ns = is_bad || common_ns <= 0 ? now_ns : common_ns;
        }
    }
    run->ahead_ns = now_ns - (int64_t)clock_monotonic_ns();
    json_decref(value);
}

static void move_time(struct run *run)
{
    if (run->ahead_ns != 0) {
        merge_now(run->merge, clock_monotonic_ns() + (uint64_t)run->ahead_ns);
    }
}

/* What the first list says is the user's answer; later ones may fail once. */
static int list_failed(struct run *run)
{
    if (!run->is_listed) {
        return run->ctx->err.code;
    }
    tell(run, run->ctx->err.text);
    return 0;
}

static int take_answer(struct run *run, const struct rpc_message *message)
{
    struct rpc_error error = {.code = "error"};
    struct rpc_span result = {0};
    int rc = rpc_client_answer(manage_client(run->manage), message, &result, &run->ctx->err);

    if (message->id == run->list_id) {
        run->list_id = 0;
        rc = rc < 0 ? rc : take_list(run, result);
        return rc < 0 ? list_failed(run) : 0;
    }
    if (message->id == run->clock_id) {
        run->clock_id = 0;
        take_clock(run, result);
        return 0;
    }
    if (rc < 0) {
        snprintf(error.message, sizeof error.message, "%.*s", (int)sizeof error.message - 1,
                 run->ctx->err.text);
    }
    (void)watch_answer(run->watch, message->id, result, rc < 0 ? &error : NULL,
                       clock_monotonic_ns());
    return 0;
}

/* ---- the output ---- */

/* A pipe whose reader takes nothing must not keep an interrupt waiting. */
static int wait_for_room(struct run *run)
{
    uint64_t interrupted_ns = 0;
    struct pollfd out = {.fd = run->out.fd, .events = POLLOUT};

    while (poll(&out, 1, 100) == 0) {
        uint64_t now_ns = clock_monotonic_ns();
        if (manage_was_interrupted()) {
            interrupted_ns = interrupted_ns == 0 ? now_ns : interrupted_ns;
            if (now_ns - interrupted_ns > STUCK_NS) {
                return err_set(&run->ctx->err, ERR_INTERRUPTED, "nobody reads the output");
            }
        }
    }
    return 0;
}

static int put(struct run *run)
{
    const uint8_t *at = run->bytes.data;
    size_t left = run->bytes.len;
    int rc = 0;

    while (left > 0 && rc == 0) {
        size_t n = run->out.is_regular || left < PIPE_BYTES ? left : PIPE_BYTES;
        rc = run->out.is_regular ? 0 : wait_for_room(run);
        rc = rc < 0 ? rc : file_output_write(&run->out, at, n, file_whole_pcapng, &run->ctx->err);
        at += n;
        left -= n;
    }
    buf_reset(&run->bytes);
    return rc;
}

static void count(struct run *run)
{
    if (run->args->max_packets > 0) {
        run->packets = 0;
        for (uint32_t i = 0; i < merge_n_sources(run->merge); i++) {
            run->packets += merge_told(run->merge, i).packets;
        }
    }
}

static bool is_full(const struct run *run)
{
    return run->args->max_packets > 0 && run->packets >= run->args->max_packets;
}

/* What can go; one by one where the limit is near. */
static int write_merged(struct run *run)
{
    enum merge_state state = MERGE_MORE;
    uint32_t source;
    int rc = 0;

    while (rc == 0 && state == MERGE_MORE && !is_full(run)) {
        bool is_near =
            run->args->max_packets > 0 && run->args->max_packets - run->packets <= BATCH_PACKETS;
        state = merge_step(run->merge, &run->bytes, is_near ? 1 : BATCH_BYTES, &source);
        count(run);
        rc = put(run);
    }
    return rc;
}

static int write_statistics(struct run *run)
{
    run->next_statistics_ns = clock_monotonic_ns() + STATISTICS_NS;
    merge_write_statistics(run->merge, &run->bytes);
    return put(run);
}

/* ---- while it runs ---- */

/* The connection to the node asked broke. */
static int connect_again(struct run *run)
{
    struct err *err = &run->ctx->err;
    char why[256];

    snprintf(why, sizeof why, "%.255s", err->text);
    tell(run, why);
    watch_broke(run->watch, why, clock_monotonic_ns());
    run->list_id = run->clock_id = 0;
    run->next_list_ns = run->next_clock_ns = 0;
    int rc = manage_open_again(run->manage,
                               clock_monotonic_ns() + manage_args_of(run->ctx)->timeout_ns, err);
    run->heard_ns = clock_monotonic_ns();
    return rc;
}

/* The next answer, if one comes soon. */
static int receive(struct run *run)
{
    struct rpc_client *client = manage_client(run->manage);
    struct err *err = &run->ctx->err;
    struct rpc_message message;
    uint64_t now_ns = clock_monotonic_ns();
    int rc = rpc_client_receive(client, now_ns + TICK_NS, &message, err);

    if (rc == 1) {
        run->heard_ns = now_ns;
        return message.kind == RPC_RESPONSE ? take_answer(run, &message) : 0;
    }
    if (rc == -ETIMEDOUT && now_ns - run->heard_ns > SILENT_NS &&
        watch_n_calls(run->watch) + run->list_id > 0) {
        return err_set(err, -ETIMEDOUT, "the node asked does not answer any more");
    }
    return rc == -ETIMEDOUT || rc == ERR_INTERRUPTED ? 0 : rc;
}

static int ask_more(struct run *run)
{
    uint64_t now_ns = clock_monotonic_ns();
    int rc = 0;

    if (run->clock_id == 0 && now_ns >= run->next_clock_ns) {
        rc = ask_clock(run);
    }
    if (rc == 0 && run->list_id == 0 && now_ns >= run->next_list_ns) {
        rc = ask_list(run);
    }
    if (rc == 0) {
        watch_go_on(run->watch, now_ns);
    }
    return rc;
}

static bool is_over(const struct run *run)
{
    return manage_was_interrupted() || clock_monotonic_ns() >= run->end_ns || is_full(run);
}

/* All have said no, at once: a wrong filter, a name that nobody has. */
static bool is_in_vain(const struct run *run)
{
    return run->is_listed && !run->is_followed && watch_n_calls(run->watch) == 0;
}

static int outcome(struct run *run, int rc)
{
    struct err *err = &run->ctx->err;
    uint32_t n = watch_n_nodes(run->watch);
    uint32_t n_whole = 0;

    if (rc == -EPIPE) {
        return 0; /* who read it has seen enough */
    }
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        n_whole += watch_told(run->watch, i).is_whole;
    }
    if (!run->is_followed) {
        return n == 1 ? err_set(err, ERR_IO, "the node was not followed")
                      : err_set(err, ERR_IO, "none of %u nodes was followed", n);
    }
    return n_whole == n
               ? 0
               : err_set(err, ERR_PARTLY, "%u of %u nodes were followed to the end", n_whole, n);
}

static void show_progress(struct run *run)
{
    char size[TEXT_NUMBER_MAX];

    if (run->progress.on && clock_monotonic_ns() >= run->progress.next_ns) {
        struct watch_told sum = watch_sum(run->watch);
        text_format_size(sum.bytes, size);
        progress_say(&run->progress, "%" PRIu64 " packets, %s, %" PRIu64 " lost, %u streams",
                     sum.packets, size, sum.lost, sum.n_open);
    }
}

static int follow(struct run *run)
{
    int rc = 0;

    while (rc == 0 && !is_over(run)) {
        rc = ask_more(run);
        rc = rc < 0 ? rc : receive(run);
        if (rc < 0 && manage_is_broken(run->manage) && run->is_listed && !is_over(run)) {
            rc = connect_again(run);
        }
        run->is_followed = run->is_followed || watch_n_open(run->watch) > 0;
        rc = rc == 0 && is_in_vain(run) ? outcome(run, 0) : rc;
        move_time(run);
        rc = rc < 0 || !run->is_followed ? rc : write_merged(run);
        if (rc == 0 && run->is_followed && clock_monotonic_ns() >= run->next_statistics_ns) {
            rc = write_statistics(run);
        }
        rc = rc < 0 ? rc : file_output_check(&run->out, &run->ctx->err);
        show_progress(run);
    }
    progress_end(&run->progress);
    return rc == ERR_INTERRUPTED ? 0 : rc;
}

/* ---- the end ---- */

/* Nothing stays open on the nodes; what they have had to say until now is in the file. */
static int end(struct run *run)
{
    uint64_t until_ns = clock_monotonic_ns() + END_NS;
    int rc = 0;

    if (!manage_is_broken(run->manage)) {
        watch_close(run->watch, clock_monotonic_ns());
        while (rc == 0 && watch_n_calls(run->watch) > 0 && clock_monotonic_ns() < until_ns) {
            rc = receive(run);
            move_time(run);
            rc = rc < 0 ? rc : write_merged(run);
        }
    }
    watch_end_sources(run->watch);
    rc = write_merged(run);
    return rc < 0 ? rc : write_statistics(run);
}

static int prepare(struct run *run)
{
    struct command_context *ctx = run->ctx;
    const struct watch_args *args = run->args;
    const struct merge_opts opts = {.application = "packetrecorder " PR_VERSION,
                                    .hold_ns = args->hold_ns};
    int rc = manage_nodes_options(manage_args_of(ctx), &run->options, &ctx->err);

    rc = rc < 0 ? rc : manage_open_for_nodes(ctx, &run->manage);
    rc = rc < 0 ? rc : file_output_open(&run->out, args->write, &ctx->err);
    if (rc < 0) {
        return rc;
    }
    run->merge = merge_new(&opts);
    const struct watch_spec spec = {
        .pattern = args->interface,
        .filter = args->filter,
        .snaplen = (uint32_t)args->snaplen,
        .merge = run->merge,
        .ops = {.call = send_call, .tell = tell, .arg = run},
    };
    run->watch = watch_new(&spec);
    run->heard_ns = clock_monotonic_ns();
    run->next_statistics_ns = run->heard_ns + STATISTICS_NS;
    run->end_ns = args->duration_ns == 0 ? UINT64_MAX : run->heard_ns + args->duration_ns;
    signal(SIGPIPE, SIG_IGN);
    manage_catch_interrupts(run->manage);
    progress_start(&run->progress, ctx);
    return 0;
}

int watch_run(struct command_context *ctx, const struct watch_args *args)
{
    struct run run = {.ctx = ctx, .args = args, .out.fd = -1};
    int rc = prepare(&run);

    if (rc == 0) {
        rc = follow(&run);
        if (rc != -EPIPE && run.is_followed) {
            struct err why = ctx->err;
            int ended = end(&run);
            ctx->err = rc < 0 ? why : ctx->err;
            rc = rc < 0 ? rc : ended;
        }
        if (rc != -EPIPE && run.is_followed) {
            watch_summary(ctx, run.watch);
        }
        rc = outcome(&run, rc);
    }
    int closed = file_output_close(&run.out, rc == 0 ? &ctx->err : NULL);
    watch_free(run.watch);
    merge_free(run.merge);
    buf_deinit(&run.bytes);
    json_decref(run.options);
    manage_close(run.manage);
    return rc < 0 ? rc : closed;
}
