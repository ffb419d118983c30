/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/extcap_toolbar_posix.h"
#include "cli/live_view_posix.h"
#include "cli/signals_posix.h"
#include "cli/swarm_sink_posix.h"
#include "cli/swarm_view_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/file_writer_posix.h"

#define UPDATE_MS 500
#define OPEN_MS   20
/* Wireshark waits so long before it ends us by force. */
#define GRACE_MS 1000

struct extcap_run {
    struct live_view *view;
    struct consumer *writer;
    struct swarm_view *swarm; /* of swarm:all; NULL = none */
    struct extcap_toolbar *toolbar;
};

static void tell(void *arg, const char *text)
{
    extcap_toolbar_log(arg, text);
}

static bool was_told_to_end(void)
{
    int number;

    while ((number = signals_next()) != 0) {
        if (number != SIGUSR1) {
            return true;
        }
    }
    return false;
}

/* A FIFO blocks whoever opens it before its reader: so it is tried again, and a signal ends that.
 * -EPIPE then. */
static int open_fifo(const char *path, int *fd, struct err *err)
{
    struct pollfd signals = {.fd = signals_fd(), .events = POLLIN};

    for (;;) {
        *fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (*fd >= 0) {
            /* The writer waits for its reader. */
            (void)fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) & ~O_NONBLOCK);
            return 0;
        }
        if (errno != ENXIO && errno != EINTR) {
            return err_errno(err, errno, "cannot write '%s'", path);
        }
        (void)poll(&signals, 1, OPEN_MS);
        if (was_told_to_end()) {
            return -EPIPE;
        }
    }
}

static int open_writer(struct extcap_run *run, const char *path, struct live_view_spec *spec,
                       struct err *err)
{
    char again[64];
    int fd = -1;
    int code = open_fifo(path, &fd, err);

    if (code < 0) {
        return code;
    }
    /* By number, so that the name of the FIFO says nothing about the format. */
    snprintf(again, sizeof again, "/dev/fd/%d", fd);
    const struct file_writer_opts opts = {
        .path = again,
        .application = "packetrecorder-extcap " PR_VERSION,
    };
    if (strcmp(spec->interfaces[0], SWARM_ALL) == 0) {
        struct swarm_sink *sink = NULL;
        code = swarm_sink_file(again, &sink, err);
        code = code < 0 ? code : swarm_view_open(spec, opts.application, sink, &run->swarm, err);
        if (code == 0) {
            swarm_view_use(run->swarm, spec);
        }
    } else {
        code = file_writer_new(&opts, &run->writer, err);
        spec->consumer = run->writer;
        spec->is_file = true;
    }
    close(fd);
    return code;
}

static void show_counters(struct extcap_run *run)
{
    struct live_view_counters counters;

    live_view_counters(run->view, &counters);
    uint64_t kernel = counters.kernel == UINT64_MAX ? 0 : counters.kernel;
    extcap_toolbar_update(run->toolbar, counters.packets, counters.lost + kernel);
}

/* The counters wait for the lock, which a reader that has stopped holds: not here. */
static void wait_for_end(struct extcap_run *run)
{
    struct pollfd fds[] = {{.fd = live_view_done_fd(run->view), .events = POLLIN},
                           {.fd = signals_fd(), .events = POLLIN}};
    const int tick_ms = run->swarm != NULL ? SWARM_TICK_MS : UPDATE_MS;
    uint64_t next_ns = 0;

    for (;;) {
        (void)poll(fds, ARRAY_LEN(fds), tick_ms);
        if (was_told_to_end() || (fds[0].revents & POLLIN) != 0) {
            return;
        }
        live_view_tick(run->view);
        if (clock_monotonic_ns() >= next_ns) {
            show_counters(run);
            next_ns = clock_monotonic_ns() + UPDATE_MS * 1000000ull;
        }
    }
}

static int follow(struct extcap_run *run, const struct live_view_spec *spec, struct err *err)
{
    bool abandoned = false;

    run->view = live_view_new(spec);
    int code = live_view_start(run->view, err);
    if (code == 0) {
        extcap_toolbar_log(run->toolbar, "started");
        wait_for_end(run);
    }
    int ended = live_view_finish(run->view, GRACE_MS, &abandoned, err);
    if (abandoned) {
        _exit(0); /* a thread hangs in a write or a connect; whoever reads wants no more */
    }
    code = code == 0 ? ended : code;
    return code == -EPIPE ? 0 : code;
}

int extcap_capture(const struct extcap_args *args, const struct extcap_node *node, struct err *err)
{
    const char *interface = extcap_remote_interface(args);
    struct extcap_run run = {0};

    if (args->fifo == NULL) {
        return err_set(err, ERR_USAGE, "--capture needs --fifo FILE");
    }
    if (interface == NULL) {
        return err_set(err, ERR_USAGE,
                       "no interface of the node is named: choose one in the "
                       "options of the interface");
    }
    int code = signals_catch(err);
    if (code < 0) {
        return code;
    }
    run.toolbar = extcap_toolbar_new(args->control_in, args->control_out);
    struct live_view_spec spec = {
        .endpoint = &node->endpoint,
        .api_key = node->api_key,
        .ca_file = node->ca_file,
        .interfaces = &interface,
        .n_interfaces = 1,
        .filter = args->filter,
        .snaplen = (uint32_t)args->snaplen,
        .history_ns = strcmp(interface, SWARM_ALL) == 0 ? 0 : args->history_ns,
        .compress = args->compress,
        .reconnect = true,
        .tell = tell,
        .arg = run.toolbar,
    };
    code = open_writer(&run, args->fifo, &spec, err);
    code = code < 0 ? code : follow(&run, &spec, err);
    live_view_free(run.view);
    swarm_view_close(run.swarm);
    file_writer_free(run.writer);
    extcap_toolbar_free(run.toolbar);
    signals_release();
    return code == -EPIPE ? 0 : code;
}
