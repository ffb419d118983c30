/* SPDX-License-Identifier: Apache-2.0
 *
 * One recording for each stream of a sniffer, so that a session is what one run of it captured. A
 * recording that cannot start or was ended by somebody lets the packets through unrecorded; the
 * next stream tries again.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/captures.h"
#include "node/node.h"
#include "node/uplink_internal.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

struct starting {
    struct uplinks *uplinks;
    struct uplink *uplink; /* a reference */
};

/* The session of a stream that is over. */
static void on_stopped(void *arg, struct json_t *session)
{
    (void)arg;
    json_decref(session);
}

static void on_started(void *arg, const char *id, const struct err *err)
{
    struct starting *starting = arg;
    struct uplink *uplink = starting->uplink;
    struct uplinks *uplinks = starting->uplinks;

    if (uplink->record != RECORD_STARTING) { /* stopped meanwhile */
        if (id != NULL) {
            (void)captures_stop(uplinks->node->captures, id, on_stopped, NULL, NULL);
        }
    } else if (id != NULL) {
        uplink->record = RECORD_RUNNING;
        snprintf(uplink->record_id, sizeof uplink->record_id, "%s", id);
    } else {
        uplink->record = RECORD_NONE;
        log_error("uplink '%s' is not recorded: %s", uplink->name, err->text);
        uplink_publish(uplinks, uplink, "uplink.unrecorded", err->text);
    }
    mem_free(starting);
    if (uplink->conn != NULL) {
        ingest_conn_tell(uplink->conn);
    }
    uplinks_lock(uplinks);
    uplink_unref(uplink);
    uplinks_unlock(uplinks);
}

void uplink_record_stop(struct uplinks *uplinks, struct uplink *uplink)
{
    if (uplink->record == RECORD_RUNNING) {
        (void)captures_stop(uplinks->node->captures, uplink->record_id, on_stopped, NULL, NULL);
    }
    uplink->record = RECORD_NONE; /* one that is starting is ended when it has */
}

static void drop_starting(struct starting *starting)
{
    uplinks_lock(starting->uplinks);
    uplink_unref(starting->uplink);
    uplinks_unlock(starting->uplinks);
    mem_free(starting);
}

static void start(struct starting *starting)
{
    const struct uplink *uplink = starting->uplink;
    const char *const interfaces[] = {uplink->name};
    char tags[256];

    snprintf(tags, sizeof tags, "{\"uplink\":\"%s\",\"stream\":\"%s\"}", uplink->name,
             uplink->record_stream);
    const struct capture_request request = {
        .interfaces = interfaces,
        .n_interfaces = 1,
        .name = uplink->name,
        .tags = tags,
        .of_uplink = true,
    };
    captures_start(starting->uplinks->node->captures, &request, on_started, starting);
}

static void on_old_stopped(void *arg, struct json_t *session)
{
    struct starting *starting = arg;

    json_decref(session);
    if (starting->uplink->record == RECORD_STARTING) {
        start(starting);
    } else {
        drop_starting(starting);
    }
}

static bool is_running(struct uplinks *uplinks, const struct uplink *uplink)
{
    struct session_counters counters;

    return uplink->record == RECORD_RUNNING &&
           captures_counters(uplinks->node->captures, uplink->record_id, &counters);
}

/* A recording of another stream is ended first, so that no packet gets into both. */
void uplink_record_start(struct uplinks *uplinks, struct uplink *uplink)
{
    bool runs = is_running(uplinks, uplink);

    if (uplink->record == RECORD_STARTING ||
        (runs && strcmp(uplink->record_stream, uplink->stream) == 0)) {
        return;
    }
    snprintf(uplink->record_stream, sizeof uplink->record_stream, "%s", uplink->stream);
    struct starting *starting = x_alloc(sizeof *starting);
    *starting = (struct starting){.uplinks = uplinks, .uplink = uplink};
    uplinks_lock(uplinks);
    uplink->refs++;
    uplinks_unlock(uplinks);
    uplink->record = RECORD_STARTING;
    if (!runs || captures_stop(uplinks->node->captures, uplink->record_id, on_old_stopped, starting,
                               NULL) < 0) {
        start(starting);
    }
}

void uplink_record_look(struct uplinks *uplinks, struct uplink *uplink)
{
    if (uplink->record == RECORD_RUNNING && !uplinks->node->stopping &&
        !is_running(uplinks, uplink)) {
        uplink->record = RECORD_NONE;
        log_warn("uplink '%s' is not recorded any more: its recording has ended", uplink->name);
        uplink_publish(uplinks, uplink, "uplink.unrecorded", "its recording has ended");
    }
}
