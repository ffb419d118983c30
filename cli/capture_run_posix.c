/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/capture_args.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/database.h"
#include "cli/output.h"
#include "shared/store/session_json.h"
#include "cli/signals_posix.h"
#include "cli/terminal_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/id.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/capture/file_writer_posix.h"
#include "shared/capture/source_file.h"
#include "shared/capture/source_pcap.h"
#include "shared/options/options.h"
#include "shared/packet/filter.h"
#include "shared/store/retention.h"

/* How long a second interrupt waits for files to be closed before it ends the process. */
#define ABORT_WAIT_MS 3000
/* Queue of the file beside a store; together with the store's own well below 64 MiB. */
#define BESIDE_QUEUE_BYTES (8u * 1024u * 1024u)
#define WAIT_MS            200

struct run {
    struct command_context *ctx;
    const struct capture_args *args;
    struct source *sources[SESSION_MAX_SOURCES];
    uint32_t n_sources;
    struct filter_set *filters;
    struct store *store;
    struct consumer *store_writer;
    struct consumer *file_writer;
    struct session *session;
    char id[STORE_ID_TEXT];
    unsigned interrupts;
};

static int open_live(struct run *run, const char *name)
{
    const struct capture_args *args = run->args;
    const struct source_pcap_opts opts = {
        .interface = name,
        .filter = args->filter,
        .snaplen = args->snaplen == 0 ? SOURCE_PCAP_SNAPLEN_MAX : (uint32_t)args->snaplen,
        .promisc = args->promisc,
        .buffer_bytes = args->buffer_bytes,
        .direction = (enum capture_direction)args->direction,
    };
    struct source **source = &run->sources[run->n_sources];
    int code = source_pcap_open(&opts, source, &run->ctx->err);

    if (code == 0) {
        run->n_sources++;
        if (source_pcap_warning(*source)[0] != '\0') {
            log_warn("%s", source_pcap_warning(*source));
        }
    }
    return code;
}

static int open_sources(struct run *run)
{
    const struct capture_args *args = run->args;
    int code = 0;

    if (args->read == NULL) {
        for (size_t i = 0; code == 0 && i < args->interfaces.n; i++) {
            code = open_live(run, args->interfaces.items[i]);
        }
        return code;
    }
    if (args->filter != NULL && args->filter[0] != '\0') {
        code = filter_set_new(args->filter, &run->filters, &run->ctx->err);
    }
    if (code == 0) {
        code = source_file_open(args->read, &run->sources[0], &run->ctx->err);
        run->n_sources = code == 0 ? 1 : 0;
    }
    return code;
}

static void make_id(char out[STORE_ID_TEXT])
{
    uint8_t random[ID_RANDOM_BYTES];

    REQUIRE(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    struct id id = id_make(clock_wall_ns() / 1000000u, random);
    id_format(&id, out);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat st_a;
    struct stat st_b;
    int found = strcmp(a, "-") == 0 ? fstat(STDIN_FILENO, &st_a) : stat(a, &st_a);

    return found == 0 && stat(b, &st_b) == 0 && S_ISREG(st_a.st_mode) &&
           st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

/* Opening a file for writing empties it: not one that this capture needs. */
static int check_file(const struct run *run, const char *path)
{
    const struct capture_args *args = run->args;

    if (strcmp(path, "-") == 0 || args->rotate_bytes != 0 || args->rotate_ns != 0) {
        return 0;
    }
    if (args->read != NULL && is_same_file(args->read, path)) {
        return err_set(&run->ctx->err, ERR_USAGE,
                       "'%s' is the file that is read; give what is written another name", path);
    }
    if (args->write == NULL && is_same_file(args->store.database, path)) {
        return err_set(&run->ctx->err, ERR_USAGE,
                       "'%s' is the store; give the file beside it another name", path);
    }
    return 0;
}

static int open_file_writer(struct run *run)
{
    const struct capture_args *args = run->args;
    const struct file_writer_opts opts = {
        .path = args->write != NULL ? args->write : args->beside,
        .application = "packetrecorder",
        .rotate_bytes = args->rotate_bytes,
        .rotate_ns = args->rotate_ns,
        .rotate_files = (uint32_t)args->rotate_files,
    };

    if (strcmp(opts.path, "-") == 0 && isatty(STDOUT_FILENO)) {
        return err_set(&run->ctx->err, ERR_USAGE,
                       "packets are not for a terminal; send standard output to a file or a "
                       "program");
    }
    int code = check_file(run, opts.path);
    return code == 0 ? file_writer_new(&opts, &run->file_writer, &run->ctx->err) : code;
}

static int open_store_writer(struct run *run)
{
    const struct capture_args *args = run->args;
    bool live = args->read == NULL;
    char node[256] = "";
    char *tags = NULL;
    int code = capture_tags(&args->tags, &tags, &run->ctx->err);

    code =
        code == 0 ? database_open(&args->store, STORE_CREATE, &run->store, &run->ctx->err) : code;
    if (code == 0) {
        (void)gethostname(node, sizeof node - 1);
        const struct store_session_spec spec = {
            .name = args->name,
            .node = node,
            .filter = args->filter,
            .tags = tags,
            .started_ns = clock_wall_ns(),
            .compression = args->compression >= 0 ? (enum store_compression)args->compression
                           : live                 ? STORE_COMPRESS_AUTO
                                                  : STORE_COMPRESS_ON,
            .full_rule = live ? (enum store_full_rule)args->on_disk_full : STORE_FULL_STOP,
            .quota_bytes = args->quota_bytes,
        };
        code = store_writer_new(run->store, &spec, &run->store_writer, run->id, &run->ctx->err);
    }
    mem_free(tags);
    return code;
}

static void on_unmatched(const struct iface *iface, const char *why, void *arg)
{
    (void)arg;
    log_warn("interface '%s': %s; none of its packets match", iface->name, why);
}

static int start(struct run *run)
{
    const struct capture_args *args = run->args;
    struct session_consumer consumers[2];
    uint32_t n = 0;

    if (run->store_writer != NULL) {
        consumers[n++] = (struct session_consumer){.consumer = run->store_writer};
    }
    if (run->file_writer != NULL) {
        consumers[n++] = (struct session_consumer){
            .consumer = run->file_writer,
            .queue_bytes = run->store_writer != NULL ? BESIDE_QUEUE_BYTES : 0};
    }
    const struct session_spec spec = {
        .sources = run->sources,
        .n_sources = run->n_sources,
        .consumers = consumers,
        .n_consumers = n,
        .max_packets = args->count,
        .max_bytes = args->max_bytes,
        .duration_ns = args->duration_ns,
        .filters = run->filters,
        .snaplen = options_given(run->ctx, "snaplen") ? (uint32_t)args->snaplen : 0,
        .unmatched = on_unmatched,
    };
    return session_start(&spec, &run->session, &run->ctx->err);
}

static void on_interrupt(struct run *run)
{
    run->interrupts++;
    if (run->interrupts == 1) {
        session_request_stop(run->session);
    } else {
        session_request_abort(run->session);
    }
}

static void on_signals(struct run *run, struct progress *progress)
{
    int number;

    while ((number = signals_next()) != 0) {
        if (number == SIGUSR1) {
            struct session_counters counters;

            session_snapshot(run->session, &counters);
            progress_end(progress);
            capture_report_counters(&counters);
        } else {
            on_interrupt(run);
        }
    }
}

static void show_progress(struct run *run, struct progress *progress)
{
    struct session_counters counters;
    char size[TEXT_NUMBER_MAX];

    if (!progress->on || clock_monotonic_ns() < progress->next_ns) {
        return;
    }
    session_snapshot(run->session, &counters);
    text_format_size(counters.total.bytes, size);
    progress_say(progress, "%" PRIu64 " packets, %s", counters.total.captured, size);
}

/* Until the session has ended. After a second interrupt only so long as closing files may take. */
static void wait_for_end(struct run *run)
{
    struct progress progress;
    struct pollfd fds[] = {{.fd = session_done_fd(run->session), .events = POLLIN},
                           {.fd = signals_fd(), .events = POLLIN}};
    uint64_t aborted_ns = 0;

    progress_start(&progress, run->ctx);
    while (!session_wait(run->session, 0)) {
        (void)poll(fds, ARRAY_LEN(fds), WAIT_MS);
        on_signals(run, &progress);
        show_progress(run, &progress);
        if (run->interrupts == 1) {
            session_request_stop(run->session); /* a read of a pipe may have missed it */
        }
        if (run->interrupts < 2) {
            continue;
        }
        aborted_ns = aborted_ns == 0 ? clock_monotonic_ns() : aborted_ns;
        session_request_abort(run->session);
        if (clock_monotonic_ns() - aborted_ns > ABORT_WAIT_MS * 1000000ull) {
            log_error("interrupted; what waits for its reader or disk was given up");
            _exit(130);
        }
    }
    progress_end(&progress);
}

static int print_json(struct run *run, const struct session_result *result)
{
    struct store_session *stored = NULL;
    struct store_session described;
    struct json_t *object;

    if (!run->ctx->global.json) {
        return 0;
    }
    if (run->store != NULL) {
        int code = store_session_find(run->store, run->id, &stored, &run->ctx->err);
        if (code < 0) {
            return code;
        }
        object = session_json(stored, store_is_encrypted(run->store));
        store_sessions_free(stored, 1);
    } else {
        capture_describe(&described, run->args, run->id, result);
        (void)gethostname(described.node, sizeof described.node - 1);
        object = session_json(&described, false);
    }
    return output_json(stdout, object, &run->ctx->err);
}

/* What the command ends with, when everything has been reported. */
static int verdict(struct run *run, const struct session_result *result, bool disk_full)
{
    struct err *err = &run->ctx->err;

    if (result->end == SESSION_END_ABORTED) {
        return err_set(err, ERR_INTERRUPTED, "interrupted; what was queued has been given up");
    }
    if (result->code == -EPIPE) {
        return 0; /* the reader has enough */
    }
    if (result->code < 0) {
        *err = result->err;
        bool partly = run->args->read != NULL && result->code == ERR_DAMAGED;
        return partly ? ERR_PARTLY : result->code;
    }
    if (disk_full) {
        return err_set(err, ERR_PARTLY,
                       "the store's disk is full: %" PRIu64 " packets could not be stored",
                       result->counters.total.store);
    }
    return 0;
}

static int finish(struct run *run)
{
    const struct session_result *result = session_result(run->session);
    struct store_writer_stats stats = {.state = STORE_COMPLETE};

    if (run->store_writer != NULL) {
        store_writer_stats(run->store_writer, &stats);
        store_writer_free(run->store_writer);
        run->store_writer = NULL;
    }
    if (run->store != NULL && result->code < 0) {
        (void)store_session_failed(run->store, run->id, result->err.text, NULL);
    }
    if (!run->ctx->global.quiet) {
        capture_report_counters(&result->counters);
    }
    int printed = print_json(run, result);
    int code = verdict(run, result, stats.state == STORE_DISK_FULL);
    return code == 0 ? printed : code;
}

/* A capture that could not start is no session. */
static void forget_session(struct run *run)
{
    struct store_session *session = NULL;

    if (run->store != NULL && run->id[0] != '\0' &&
        store_session_find(run->store, run->id, &session, NULL) == 0) {
        (void)store_delete_session(run->store, session, NULL);
        store_sessions_free(session, 1);
    }
}

static void release(struct run *run)
{
    bool started = run->session != NULL;

    session_free(run->session);
    store_writer_free(run->store_writer);
    if (!started) {
        forget_session(run);
    }
    file_writer_free(run->file_writer);
    store_close(run->store);
    for (uint32_t i = 0; i < run->n_sources; i++) {
        run->sources[i]->ops->close(run->sources[i]);
    }
    filter_set_free(run->filters);
    signals_release();
}

static int open_targets(struct run *run)
{
    int code = 0;

    if (run->args->write == NULL) {
        code = open_store_writer(run);
    } else {
        make_id(run->id);
    }
    if (code == 0 && (run->args->write != NULL || run->args->beside != NULL)) {
        code = open_file_writer(run);
    }
    return code;
}

int capture_run(struct command_context *ctx, const struct capture_args *args)
{
    struct run run = {.ctx = ctx, .args = args};
    int code = open_sources(&run);

    code = code == 0 ? signals_catch(&ctx->err) : code;
    code = code == 0 ? open_targets(&run) : code;
    code = code == 0 ? start(&run) : code;
    if (code == 0) {
        if (!ctx->global.quiet) {
            capture_report_start(ctx, args, run.sources, run.n_sources);
        }
        fprintf(stderr, "session %s\n", run.id);
        wait_for_end(&run);
        code = finish(&run);
    }
    release(&run);
    return code;
}
