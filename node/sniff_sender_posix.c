/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that empties an uplink into its node: streams one after the other, the oldest first,
 * each over connections of its own. Whatever breaks, the next connection goes on where the node
 * says.
 */
#include <string.h>
#include <time.h>

#include "node/sniff_internal.h"
#include "shared/base/backoff.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/wire/ws_client.h"

#define MS_NS     1000000ull
#define FINISH_NS (1000 * MS_NS)  /* for saying goodbye */
#define LASTED_NS (15000 * MS_NS) /* a connection that was worth it: the next is tried at once */

void sniff_wake_sender(struct sniff_uplink *uplink)
{
    if (atomic_exchange(&uplink->sender_waits, false)) {
        pthread_mutex_lock(&uplink->mutex);
        if (uplink->client != NULL) {
            ws_client_interrupt(uplink->client);
        }
        pthread_mutex_unlock(&uplink->mutex);
    }
}

static void set_client(struct sniff_uplink *uplink, struct ws_client *client)
{
    pthread_mutex_lock(&uplink->mutex);
    uplink->client = client;
    pthread_mutex_unlock(&uplink->mutex);
}

/* The oldest stream that is not finished; the live one when it is the only one. */
static struct sniff_stream *choose(struct sniff_uplink *uplink)
{
    size_t i = 0;

    pthread_mutex_lock(&uplink->mutex);
    while (i + 1 < uplink->n_streams && uplink->streams[i].spool.head == NULL) {
        i++;
    }
    pthread_mutex_unlock(&uplink->mutex);
    return &uplink->streams[i];
}

static enum sniff_outcome connect_once(struct sniff_uplink *uplink, struct backoff *backoff,
                                       struct err *last)
{
    struct sniff_stream *stream = choose(uplink);
    struct err err = {0};
    struct ws_client *client = sniff_dial(uplink, stream, &err);

    if (client == NULL) {
        if (err.code != ERR_INTERRUPTED && strcmp(err.text, last->text) != 0) {
            log_warn("uplink '%s': %s; it is tried again", uplink->iface, err.text);
            *last = err;
        }
        return SNIFF_BROKEN;
    }
    log_info("uplink '%s': connected", uplink->iface);
    uint64_t began = clock_monotonic_ns();
    set_client(uplink, client);
    enum sniff_outcome outcome = sniff_send_stream(uplink, stream, client);
    set_client(uplink, NULL);
    last->text[0] = '\0';
    if (outcome == SNIFF_FINISHED) {
        uint64_t until = clock_monotonic_ns() + FINISH_NS;
        uint64_t deadline = sniff_deadline_ns(uplink);

        ws_client_finish(client, WS_CLOSE_NORMAL, "", until < deadline ? until : deadline);
        if (stream->dir != NULL) {
            spool_dir_remove(stream->dir);
        }
    } else {
        ws_client_close(client);
    }
    if (outcome == SNIFF_FINISHED || clock_monotonic_ns() - began > LASTED_NS) {
        backoff_reset(backoff);
    }
    return outcome;
}

/* Everything of this run is taken, or the time is over. */
static bool is_over(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    const struct sniff_stream *live = &uplink->streams[uplink->n_streams - 1];
    bool empty = uplink->capture_ended;
    for (size_t i = 0; i < uplink->n_streams; i++) {
        empty = empty && uplink->streams[i].spool.head == NULL;
    }
    bool over = empty && live->spool.taken >= live->spool.end;
    pthread_mutex_unlock(&uplink->mutex);
    return over || clock_monotonic_ns() >= sniff_deadline_ns(uplink);
}

/* When the end is wanted: waits for the capture's, since only then it is known what there is to
 * send. False: go on for ever. */
static bool is_stopping(struct sniff_uplink *uplink)
{
    uint64_t deadline = sniff_deadline_ns(uplink);
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000 / MS_NS),
                                   .tv_nsec = (long)(deadline % (1000 * MS_NS))};
    int rc = 0;

    if (deadline == UINT64_MAX) {
        return false;
    }
    pthread_mutex_lock(&uplink->mutex);
    while (!uplink->capture_ended && rc == 0) {
        rc = pthread_cond_timedwait(&uplink->ended, &uplink->mutex, &until);
    }
    pthread_mutex_unlock(&uplink->mutex);
    return true;
}

void *sniff_sender_main(void *arg)
{
    struct sniff_uplink *uplink = arg;
    struct backoff backoff = {0};
    struct err last = {0};

    while (!is_over(uplink)) {
        enum sniff_outcome outcome = connect_once(uplink, &backoff, &last);
        bool stopping = outcome == SNIFF_BROKEN && is_stopping(uplink);
        if (stopping && uplink->place != NULL) {
            break; /* the next run sends what is left */
        }
        if (outcome == SNIFF_BROKEN && !is_over(uplink)) {
            sniff_back_off(uplink, &backoff);
        }
    }
    pthread_mutex_lock(&uplink->mutex);
    uplink->sender_ended = true;
    pthread_mutex_unlock(&uplink->mutex);
    return NULL;
}
