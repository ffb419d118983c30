/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of a live view: connects, takes what comes, and when it breaks waits and connects
 * again.
 */
#include "cli/live_view_internal_posix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/viewer_request.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/wire/ws_client.h"

#define CONNECT_NS 10000000000ull
/* A node tells where it stands every ten seconds, also when nothing happens. */
#define SILENCE_NS  45000000000ull
#define GOODBYE_NS  300000000ull
#define TELL_MS     1000
#define MESSAGE_MAX (32u * 1024u * 1024u)

/* Why a connection ended. */
enum link_end {
    LINK_STOPPED, /* we are told to end */
    LINK_BROKEN,  /* worth another try; err says why */
    LINK_FAILED,  /* not worth it; err says why */
};

static bool is_stopping(struct live_view *view)
{
    pthread_mutex_lock(&view->mutex);
    bool stopping = view->stopping;
    pthread_mutex_unlock(&view->mutex);
    return stopping;
}

/* ---- what comes --------------------------------------------------------------------------- */

static int on_interface(struct live_view_link *link, uint32_t number, struct err *err)
{
    struct live_view_output *out = &link->view->output;
    const struct iface *iface = &link->reader.ifaces[number];
    int code = live_view_output_iface(out, iface, &link->map[number], err);

    link->map_is_same = number == 0 ? true : link->map_is_same;
    link->map_is_same = link->map_is_same && link->map[number] == number;
    if (code == 0 && (link->note[0] != '\0' || link->lost_away > 0)) {
        code = live_view_output_statistics(out, link->map[number], NULL, link->lost_away,
                                           link->note, err);
        link->note[0] = '\0';
        link->lost_away = 0;
    }
    return code;
}

/* Once a second at most: a viewer that is too slow loses again and again. */
static void tell_loss(struct live_view_link *link)
{
    uint64_t left_out;

    if (link->lost_untold > 0 &&
        log_allowed(&link->tell_limit, clock_monotonic_ns() / 1000000, TELL_MS, &left_out)) {
        live_view_tell(link->view, "'%s': %" PRIu64 " packets lost on the way to this viewer",
                       link->interface, link->lost_untold);
        link->lost_untold = 0;
    }
}

static int on_statistics(struct live_view_link *link, const struct stream_piece *piece,
                         struct err *err)
{
    uint64_t position = UINT64_MAX;
    uint64_t lost = 0;

    if (resume_parse_comment(piece->comment, strlen(piece->comment), &lost, &position)) {
        lost = resume_told(&link->resume, lost, position);
    }
    link->lost_untold += lost;
    tell_loss(link);
    return live_view_output_statistics(&link->view->output, link->map[piece->iface],
                                       &piece->statistics, lost, piece->comment, err);
}

/* Bytes of the stream. With the lock. 1 when the limit is reached. */
static int on_bytes(struct live_view_link *link, const uint8_t *data, size_t n, struct err *err)
{
    struct live_view_output *out = &link->view->output;
    struct bytes_reader in = bytes_reader(data, n);
    struct stream_piece piece;
    int code = 0;

    while (code == 0 && out->packets < out->max_packets) {
        int event = stream_reader_next(&link->reader, &link->resume, &in,
                                       out->max_packets - out->packets, &piece, err);
        if (event <= 0) {
            return event;
        }
        if (event == STREAM_INTERFACE) {
            code = on_interface(link, piece.iface, err);
        } else if (event == STREAM_PACKETS) {
            code = live_view_output_packets(out, &piece, link->map_is_same ? NULL : link->map, err);
        } else if (event == STREAM_STATISTICS) {
            code = on_statistics(link, &piece, err);
        }
        if (code < 0) {
            live_view_end(link->view, code, err);
        }
    }
    return code == 0 ? 1 : code;
}

static int on_message(struct live_view_link *link, const uint8_t *data, size_t n, struct err *err)
{
    struct bytes_reader in = bytes_reader(data, n);
    int code = 0;

    if (link->zstd == NULL) {
        return on_bytes(link, data, n, err);
    }
    while (code == 0) {
        const uint8_t *piece;
        size_t n_piece;
        int more = viewer_zstd_next(link->zstd, &in, &piece, &n_piece, err);
        if (more <= 0) {
            return more;
        }
        code = on_bytes(link, piece, n_piece, err);
    }
    return code;
}

/* Under the lock from here to the consumer. */
static enum link_end take_message(struct live_view_link *link, const uint8_t *data, size_t n,
                                  bool *go_on, struct err *err)
{
    struct live_view *view = link->view;
    enum link_end end = LINK_STOPPED;

    pthread_mutex_lock(&view->mutex);
    *go_on = false;
    if (!view->stopping) {
        int code = on_message(link, data, n, err);
        if (code == 1) {
            live_view_end(view, 0, NULL);
        } else if (code < 0 && !view->over) {
            /* What the node sends is no stream: connecting again gives the same. */
            end = LINK_FAILED;
        } else {
            *go_on = code == 0;
        }
    }
    pthread_mutex_unlock(&view->mutex);
    return end;
}

static enum link_end on_close(uint16_t close_code, const uint8_t *data, size_t n, struct err *err)
{
    err_set(err, ERR_IO, "the node ended the connection (%u)%s%.*s", close_code, n > 0 ? ": " : "",
            (int)(n < WS_REASON_MAX ? n : WS_REASON_MAX), n > 0 ? (const char *)data : "");
    switch (close_code) {
    case WS_CLOSE_POLICY: /* the key was revoked or has expired */
    case WS_CLOSE_UNACCEPTABLE:
        return LINK_FAILED;
    default:
        return LINK_BROKEN;
    }
}

static enum link_end receive(struct live_view_link *link, struct ws_client *client, struct err *err)
{
    for (;;) {
        enum ws_opcode opcode = WS_BINARY;
        const uint8_t *data = NULL;
        size_t n = 0;
        uint16_t close_code = WS_CLOSE_NONE;
        bool go_on = true;
        int code = ws_client_receive(client, clock_monotonic_ns() + SILENCE_NS, &opcode, &data, &n,
                                     &close_code, err);

        if (code == 0) {
            return on_close(close_code, data, n, err);
        }
        if (code == ERR_INTERRUPTED) {
            return LINK_STOPPED;
        }
        if (code == -ETIMEDOUT) {
            err_set(err, code, "the node has been silent for %llu seconds",
                    SILENCE_NS / 1000000000ull);
        }
        if (code < 0) {
            return LINK_BROKEN;
        }
        if (opcode == WS_BINARY) {
            enum link_end end = take_message(link, data, n, &go_on, err);
            if (!go_on) {
                return end;
            }
        }
        backoff_reset(&link->backoff);
    }
}

/* ---- connecting --------------------------------------------------------------------------- */

/* What the node's answer means for our place in the stream. With the lock. */
static void on_connected(struct live_view_link *link, struct ws_client *client, bool asked_history)
{
    struct live_view *view = link->view;
    uint64_t lost_before = link->resume.lost;
    uint64_t newest_ns = resume_newest_ns(&link->resume);
    enum resume_way way =
        resume_connected(&link->resume, ws_client_header(client, "packetrecorder-stream"),
                         ws_client_header(client, "packetrecorder-position"), asked_history);
    uint64_t lost = link->resume.lost - lost_before;
    char time[TEXT_NUMBER_MAX];

    stream_reader_reset(&link->reader);
    if (link->zstd != NULL) {
        viewer_zstd_reset(link->zstd);
    }
    if (way == RESUME_CHANGED) {
        text_format_time(newest_ns, time);
        view->gaps++;
        snprintf(link->note, sizeof link->note,
                 "the node began anew: packets after %s that its store does not hold are missing, "
                 "and not counted",
                 newest_ns == 0 ? "the start" : time);
        live_view_tell(view, "'%s': %s", link->interface, link->note);
    } else if (way == RESUME_CONTINUED) {
        live_view_tell(view, "'%s': connected again", link->interface);
    }
    if (lost > 0) {
        link->lost_untold += lost;
        tell_loss(link);
        live_view_output_statistics(&view->output, link->map[0], NULL, lost, "lost while away",
                                    NULL);
    }
    link->was_connected = true;
    link->client = client;
    view->connected++;
}

static int open_client(struct live_view_link *link, struct ws_client **client, bool *asked_history,
                       unsigned *status, struct err *err)
{
    const struct live_view_spec *spec = &link->view->spec;
    char resume[RESUME_ASK_MAX];
    bool resumes = resume_ask(&link->resume, resume);
    struct buf target = {0};
    struct viewer_request request = {
        .base = spec->endpoint->path,
        .interface = link->interface,
        .filter = spec->filter,
        .snaplen = spec->snaplen,
        .compress = spec->compress,
        .history_ns = spec->history_ns,
        .resume = resumes ? resume : NULL,
    };

    if (link->was_connected) {
        request.history_from_ns = resume_history_from_ns(&link->resume);
        request.history_ns =
            spec->history_ns != 0 ? spec->history_ns : clock_monotonic_ns() - link->began_ns;
    } else {
        link->began_ns = clock_monotonic_ns();
    }
    *asked_history = request.history_ns != 0 || request.history_from_ns != 0;
    viewer_request_target(&target, &request);
    const struct ws_client_opts opts = {
        .endpoint = spec->endpoint,
        .target = (const char *)target.data,
        .api_key = spec->api_key,
        .ca_file = spec->ca_file,
        .max_message = MESSAGE_MAX,
        .stop_fd = link->view->stop_fd,
    };
    int code = ws_client_open(&opts, clock_monotonic_ns() + CONNECT_NS, client, status, err);
    buf_deinit(&target);
    return code;
}

static enum link_end on_refused(struct live_view_link *link, unsigned status, struct err *err)
{
    const struct live_view_spec *spec = &link->view->spec;
    bool known = link->was_connected || spec->wait;

    if (status != 0) {
        char text[sizeof err->text];

        snprintf(text, sizeof text, "%s", err->text);
        /* What the node refuses is no wrong usage of the program: exit 1. */
        err_set(err,
                status == 404   ? ERR_NOT_FOUND
                : status == 400 ? ERR_FILTER
                                : ERR_PERMISSION,
                "%s%s", text, viewer_refusal_hint(status, spec->endpoint->path));
    }
    if (viewer_refusal_is_final(status, known) || !known) {
        return LINK_FAILED;
    }
    return LINK_BROKEN;
}

static enum link_end connect_and_receive(struct live_view_link *link, struct err *err)
{
    struct live_view *view = link->view;
    struct ws_client *client = NULL;
    bool asked_history = false;
    unsigned status = 0;
    int code = open_client(link, &client, &asked_history, &status, err);

    if (code < 0) {
        return on_refused(link, status, err);
    }
    pthread_mutex_lock(&view->mutex);
    bool stopping = view->stopping;
    if (!stopping) {
        on_connected(link, client, asked_history);
    }
    pthread_mutex_unlock(&view->mutex);
    enum link_end end = stopping ? LINK_STOPPED : receive(link, client, err);
    pthread_mutex_lock(&view->mutex);
    link->client = NULL;
    view->connected -= stopping ? 0 : 1;
    pthread_mutex_unlock(&view->mutex);
    if (end == LINK_STOPPED) {
        ws_client_finish(client, WS_CLOSE_NORMAL, "", clock_monotonic_ns() + GOODBYE_NS);
    } else {
        ws_client_close(client);
    }
    return end;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* False when it was ended in the meantime. */
static bool wait_before_next(struct live_view_link *link, const struct err *err)
{
    struct live_view *view = link->view;
    uint64_t random = 0;

    (void)!getrandom(&random, sizeof random, 0);
    uint64_t wait_ns = backoff_next_ns(&link->backoff, random);
    uint64_t until_ns = clock_monotonic_ns() + wait_ns;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                   .tv_nsec = (long)(until_ns % 1000000000)};
    char text[TEXT_NUMBER_MAX];
    text_format_duration(wait_ns / 1000000 * 1000000, text);

    pthread_mutex_lock(&view->mutex);
    if (!view->stopping) {
        live_view_tell(view, "'%s': %s; trying again in %s", link->interface, err->text, text);
    }
    while (!view->stopping && clock_monotonic_ns() < until_ns) {
        (void)pthread_cond_timedwait(&view->changed, &view->mutex, &until);
    }
    bool stopping = view->stopping;
    pthread_mutex_unlock(&view->mutex);
    return !stopping;
}

void *live_view_link_main(void *arg)
{
    struct live_view_link *link = arg;
    struct live_view *view = link->view;

    while (!is_stopping(view)) {
        struct err err = {0};
        enum link_end end = connect_and_receive(link, &err);

        if (end == LINK_BROKEN && view->spec.reconnect && wait_before_next(link, &err)) {
            continue;
        }
        if (end != LINK_STOPPED) {
            pthread_mutex_lock(&view->mutex);
            if (!view->stopping) {
                live_view_end(view, err.code < 0 ? err.code : ERR_IO, &err);
            }
            pthread_mutex_unlock(&view->mutex);
        }
        break;
    }
    pthread_mutex_lock(&view->mutex);
    link->ended = true;
    pthread_cond_broadcast(&view->changed);
    pthread_mutex_unlock(&view->mutex);
    return NULL;
}
