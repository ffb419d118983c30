/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_toolbar_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/extcap_control.h"
#include "cli/extcap_text.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

/* What waits for a toolbar that does not read. */
#define QUEUE_MAX_BYTES (64u * 1024u)

struct extcap_toolbar {
    pthread_mutex_t mutex;
    char *in_path;
    char *out_path;
    int in;
    int out;
    bool is_there; /* Wireshark has said that the toolbar is ready */
    struct buf input;
    struct buf output;
    uint64_t left_out; /* log lines that did not fit */
    uint64_t received;
    uint64_t lost;
    bool shown;
};

struct extcap_toolbar *extcap_toolbar_new(const char *control_in, const char *control_out)
{
    struct extcap_toolbar *toolbar = x_alloc(sizeof *toolbar);

    pthread_mutex_init(&toolbar->mutex, NULL);
    toolbar->in = toolbar->out = -1;
    toolbar->in_path = control_in == NULL ? NULL : x_strdup(control_in);
    toolbar->out_path = control_out == NULL ? NULL : x_strdup(control_out);
    return toolbar;
}

void extcap_toolbar_free(struct extcap_toolbar *toolbar)
{
    if (toolbar == NULL) {
        return;
    }
    if (toolbar->in >= 0) {
        close(toolbar->in);
    }
    if (toolbar->out >= 0) {
        close(toolbar->out);
    }
    buf_deinit(&toolbar->input);
    buf_deinit(&toolbar->output);
    mem_free(toolbar->in_path);
    mem_free(toolbar->out_path);
    pthread_mutex_destroy(&toolbar->mutex);
    mem_free(toolbar);
}

/* A FIFO that nobody reads yet cannot be opened for writing: tried again with each update. */
static void open_pipes(struct extcap_toolbar *toolbar)
{
    if (toolbar->in < 0 && toolbar->in_path != NULL) {
        toolbar->in = open(toolbar->in_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    if (toolbar->out < 0 && toolbar->out_path != NULL) {
        toolbar->out = open(toolbar->out_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    }
}

static void read_input(struct extcap_toolbar *toolbar)
{
    struct extcap_control_message message;
    uint8_t bytes[512];
    ssize_t n;

    while (toolbar->in >= 0 && (n = read(toolbar->in, bytes, sizeof bytes)) > 0) {
        buf_append(&toolbar->input, bytes, (size_t)n);
        struct bytes_reader in = bytes_reader(toolbar->input.data, toolbar->input.len);
        int code;
        while ((code = extcap_control_next(&in, &message, NULL)) == 1) {
            toolbar->is_there = toolbar->is_there || message.command == EXTCAP_INITIALIZED;
        }
        buf_consume(&toolbar->input, toolbar->input.len - bytes_left(&in));
        if (code < 0) {
            buf_reset(&toolbar->input); /* nothing that it could say matters to us */
        }
    }
}

static void write_output(struct extcap_toolbar *toolbar)
{
    while (toolbar->out >= 0 && toolbar->is_there && toolbar->output.len > 0) {
        ssize_t n = write(toolbar->out, toolbar->output.data, toolbar->output.len);
        if (n > 0) {
            buf_consume(&toolbar->output, (size_t)n);
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            close(toolbar->out); /* the toolbar is gone, the capture is not */
            toolbar->out = -1;
            mem_free(toolbar->out_path);
            toolbar->out_path = NULL;
            buf_reset(&toolbar->output);
        } else {
            break;
        }
    }
}

static void put_log(struct extcap_toolbar *toolbar, const char *text)
{
    char line[1400];
    char now[TEXT_NUMBER_MAX];

    text_format_time(clock_wall_ns(), now);
    int n = snprintf(line, sizeof line, "%.19sZ %s\n", now, text);
    if (n > 0) {
        extcap_control_put(&toolbar->output, EXTCAP_CONTROL_LOG, EXTCAP_ADD, line);
    }
}

void extcap_toolbar_log(struct extcap_toolbar *toolbar, const char *text)
{
    pthread_mutex_lock(&toolbar->mutex);
    if (toolbar->output.len > QUEUE_MAX_BYTES) {
        toolbar->left_out++;
    } else if (toolbar->out_path != NULL) {
        put_log(toolbar, text);
    }
    pthread_mutex_unlock(&toolbar->mutex);
}

static void put_count(struct extcap_toolbar *toolbar, uint8_t control, uint64_t count)
{
    char text[TEXT_NUMBER_MAX];

    snprintf(text, sizeof text, "%" PRIu64, count);
    extcap_control_put(&toolbar->output, control, EXTCAP_SET, text);
}

void extcap_toolbar_update(struct extcap_toolbar *toolbar, uint64_t received, uint64_t lost)
{
    pthread_mutex_lock(&toolbar->mutex);
    open_pipes(toolbar);
    read_input(toolbar);
    if (toolbar->is_there && toolbar->output.len <= QUEUE_MAX_BYTES) {
        char text[64];

        if (toolbar->left_out > 0) {
            snprintf(text, sizeof text, "%" PRIu64 " lines of the log were left out",
                     toolbar->left_out);
            put_log(toolbar, text);
            toolbar->left_out = 0;
        }
        if (!toolbar->shown || received != toolbar->received) {
            put_count(toolbar, EXTCAP_CONTROL_RECEIVED, received);
        }
        if (!toolbar->shown || lost != toolbar->lost) {
            put_count(toolbar, EXTCAP_CONTROL_LOST, lost);
        }
        toolbar->received = received;
        toolbar->lost = lost;
        toolbar->shown = true;
    }
    write_output(toolbar);
    pthread_mutex_unlock(&toolbar->mutex);
}
