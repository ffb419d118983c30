/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view_args.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include "cli/live_view_posix.h"
#include "cli/output.h"
#include "cli/signals_posix.h"
#include "cli/swarm_sink_posix.h"
#include "cli/swarm_view_posix.h"
#include "cli/terminal_posix.h"
#include "cli/view_lines.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"
#include "shared/capture/file_writer_posix.h"
#include "shared/wire/api_key.h"

#define WAIT_MS     200
#define GRACE_MS    2500
#define LIST_NS     10000000000ull
#define CHOICES_MAX 1024

struct view_run {
    struct command_context *ctx;
    const struct view_args *args;
    struct url_endpoint endpoint;
    char *api_key; /* sodium memory */
    const char *interfaces[LIVE_VIEW_LINKS_MAX];
    size_t n_interfaces;
    char *chosen; /* owned: the interface that was not named */
    struct consumer *writer;
    struct consumer *lines;
    struct swarm_view *swarm; /* of swarm:all; NULL = none */
    struct live_view *view;
    bool interrupted;
};

static void tell(void *arg, const char *text)
{
    (void)arg;
    log_warn("%s", text);
}

static struct live_view_spec spec_of(const struct view_run *run)
{
    const struct view_args *args = run->args;
    struct live_view_spec spec = {
        .endpoint = &run->endpoint,
        .api_key = run->api_key,
        .ca_file = args->ca_file,
        .interfaces = run->interfaces,
        .n_interfaces = run->n_interfaces,
        .filter = args->filter,
        .snaplen = (uint32_t)args->snaplen,
        .history_ns = args->history_ns,
        .compress = args->compress,
        .max_packets = args->count,
        .wait = args->wait,
        .reconnect = args->reconnect,
        .consumer = run->writer != NULL ? run->writer : run->lines,
        .is_file = run->writer != NULL,
        .tell = tell,
    };

    if (run->swarm != NULL) {
        swarm_view_use(run->swarm, &spec);
    }
    return spec;
}

/* ---- which interface ---------------------------------------------------------------------- */

struct choice {
    unsigned n; /* up and not the loopback */
    char *first;
    struct buf names;
};

static void look_at(const struct live_view_interface *interface, void *arg)
{
    struct choice *choice = arg;

    if (choice->names.len < CHOICES_MAX) {
        buf_put_str(&choice->names, choice->names.len > 0 ? ", " : "");
        output_put_name(&choice->names, interface->name);
    }
    if (interface->up && !interface->loopback) {
        choice->n++;
        if (choice->first == NULL) {
            choice->first = x_strdup(interface->name);
        }
    }
}

static int choose_interface(struct view_run *run)
{
    struct live_view_spec spec = spec_of(run);
    struct err *err = &run->ctx->err;
    struct choice choice = {0};
    unsigned status;
    int code =
        live_view_interfaces(&spec, clock_monotonic_ns() + LIST_NS, look_at, &choice, &status, err);

    buf_put_u8(&choice.names, 0);
    if (code == 0 && choice.n == 1) {
        run->chosen = choice.first;
        choice.first = NULL;
        run->interfaces[0] = run->chosen;
        run->n_interfaces = 1;
        log_info("following '%s'", run->chosen);
    } else if (code == 0) {
        code = err_set(err, ERR_USAGE, "name an interface with -i (%s)",
                       (const char *)choice.names.data);
    }
    mem_free(choice.first);
    buf_deinit(&choice.names);
    return code;
}

/* ---- start -------------------------------------------------------------------------------- */

static int open_consumer(struct view_run *run)
{
    const struct view_args *args = run->args;
    const struct packet_print print = {
        .out = stdout,
        .json = run->ctx->global.json,
        .show_data = args->show_data,
        .with_interface = run->n_interfaces > 1,
    };
    const struct file_writer_opts opts = {
        .path = args->write,
        .application = "packetrecorder " PR_VERSION,
    };

    if (args->write != NULL) {
        return file_writer_new(&opts, &run->writer, &run->ctx->err);
    }
    run->lines = view_lines_new(&print);
    return 0;
}

/* All interfaces of all nodes, as one stream. */
static int open_swarm(struct view_run *run)
{
    const struct view_args *args = run->args;
    const struct live_view_spec spec = spec_of(run);
    const struct packet_print print = {
        .out = stdout, .json = run->ctx->global.json, .show_data = args->show_data};
    struct swarm_sink *sink = NULL;

    if (args->write != NULL) {
        int code = swarm_sink_file(args->write, &sink, &run->ctx->err);
        if (code < 0) {
            return code;
        }
    } else {
        sink = swarm_sink_lines(&print);
    }
    return swarm_view_open(&spec, "packetrecorder " PR_VERSION, sink, &run->swarm, &run->ctx->err);
}

static bool is_of_swarm(const struct view_run *run)
{
    return run->n_interfaces == 1 && strcmp(run->interfaces[0], SWARM_ALL) == 0;
}

static int prepare(struct view_run *run)
{
    const struct view_args *args = run->args;
    struct err *err = &run->ctx->err;
    int code = url_parse_endpoint(run->ctx->words[0], &run->endpoint, err);

    code = code == 0 ? api_key_text(run->ctx->global.api_key_file, &run->api_key, err) : code;
    for (size_t i = 0; i < args->interfaces.n; i++) {
        run->interfaces[run->n_interfaces++] = args->interfaces.items[i];
    }
    if (code == 0 && run->n_interfaces == 0) {
        code = choose_interface(run);
    }
    code = code == 0 ? signals_catch(err) : code;
    if (code < 0) {
        return code;
    }
    return is_of_swarm(run) ? open_swarm(run) : open_consumer(run);
}

/* ---- while it runs ------------------------------------------------------------------------ */

static void print_count(uint64_t count, const char *what)
{
    if (count == UINT64_MAX) {
        fprintf(stderr, "n/a %s\n", what);
    } else {
        fprintf(stderr, "%" PRIu64 " %s\n", count, what);
    }
}

static void report(const struct live_view_counters *counters)
{
    print_count(counters->packets, "packets received");
    print_count(counters->lost, "packets lost on the way to this viewer");
    print_count(counters->kernel, "packets dropped by the node's kernel");
    print_count(counters->interface, "packets dropped by the node's interface");
    if (counters->gaps > 0) {
        print_count(counters->gaps, "times the node began anew, with a gap that nobody counted");
    }
}

static void on_signals(struct view_run *run)
{
    int number;

    while ((number = signals_next()) != 0) {
        if (number == SIGUSR1) {
            struct live_view_counters counters;
            live_view_counters(run->view, &counters);
            report(&counters);
        } else {
            run->interrupted = true;
        }
    }
}

static void show_progress(struct view_run *run, struct progress *progress)
{
    struct live_view_counters counters;
    char size[TEXT_NUMBER_MAX];

    if (!progress->on || run->args->write == NULL || clock_monotonic_ns() < progress->next_ns) {
        return;
    }
    live_view_counters(run->view, &counters);
    text_format_size(counters.bytes, size);
    progress_say(progress, "%" PRIu64 " packets, %s, %" PRIu64 " lost", counters.packets, size,
                 counters.lost);
}

static void wait_for_end(struct view_run *run)
{
    uint64_t until_ns =
        run->args->duration_ns == 0 ? UINT64_MAX : clock_monotonic_ns() + run->args->duration_ns;
    struct pollfd fds[] = {{.fd = live_view_done_fd(run->view), .events = POLLIN},
                           {.fd = signals_fd(), .events = POLLIN}};
    const unsigned tick_ms = run->swarm != NULL ? SWARM_TICK_MS : WAIT_MS;
    struct progress progress;

    progress_start(&progress, run->ctx);
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns) / 1000000 + 1 : 0;

        (void)poll(fds, ARRAY_LEN(fds), (int)(left_ms < tick_ms ? left_ms : tick_ms));
        on_signals(run);
        if ((fds[0].revents & POLLIN) != 0 || run->interrupted ||
            clock_monotonic_ns() >= until_ns) {
            break;
        }
        live_view_tick(run->view);
        show_progress(run, &progress);
    }
    progress_end(&progress);
}

/* ---- end ---------------------------------------------------------------------------------- */

static int print_json(struct view_run *run, const struct live_view_counters *counters)
{
    if (run->args->write == NULL || !run->ctx->global.json) {
        return 0;
    }
    json_t *object = json_object();
    json_object_set_new(object, "packets", to_json_count(counters->packets));
    json_object_set_new(object, "bytes", to_json_count(counters->bytes));
    json_object_set_new(object, "lost", to_json_count(counters->lost));
    json_object_set_new(object, "kernel", to_json_count(counters->kernel));
    json_object_set_new(object, "interface", to_json_count(counters->interface));
    json_object_set_new(object, "gaps", to_json_count(counters->gaps));
    json_object_set_new(object, "from_store", to_json_count(counters->from_store));
    json_object_set_new(object, "duplicates", to_json_count(counters->duplicates));
    return output_json(stdout, object, &run->ctx->err);
}

static int finish(struct view_run *run)
{
    struct live_view_counters counters;
    bool abandoned = false;
    int code = live_view_finish(run->view, GRACE_MS, &abandoned, &run->ctx->err);

    if (abandoned && code == ERR_INTERRUPTED) {
        /* A thread holds the lock, and perhaps that of stdout: nothing can be freed or flushed. */
        log_error("%s", run->ctx->err.text);
        _exit(130);
    }
    live_view_counters(run->view, &counters);
    /* Quietly when whoever read the output has gone: losses were told as they came. */
    if (!run->ctx->global.quiet && code != -EPIPE && (code == 0 || counters.packets > 0)) {
        report(&counters);
    }
    int printed = print_json(run, &counters);
    if (abandoned) {
        /* A connect that has not come back would find its memory gone. */
        (void)fflush(stdout);
        if (code < 0 && code != -EPIPE) {
            log_error("%s", run->ctx->err.text);
        }
        _exit(code == 0 || code == -EPIPE ? 0 : err_exit_code(code));
    }
    return code == 0 ? printed : code;
}

int view_run(struct command_context *ctx, const struct view_args *args)
{
    struct view_run run = {.ctx = ctx, .args = args};
    int code = prepare(&run);

    if (code == 0) {
        struct live_view_spec spec = spec_of(&run);
        run.view = live_view_new(&spec);
        code = live_view_start(run.view, &ctx->err);
        if (code == 0) {
            wait_for_end(&run);
        }
        int ended = finish(&run);
        code = code == 0 ? ended : code;
    }
    live_view_free(run.view);
    swarm_view_close(run.swarm);
    file_writer_free(run.writer);
    view_lines_free(run.lines);
    signals_release();
    sodium_free(run.api_key);
    mem_free(run.chosen);
    return code;
}
