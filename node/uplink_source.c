/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiling a filter may ask the DNS, so it is done without the lock; the uplink is looked at again
 * when the reader takes its seat.
 */
#include <stdio.h>

#include "node/node.h"
#include "node/uplink_internal.h"
#include "shared/base/mem.h"

static void on_changed(void *arg)
{
    struct uplink_seat *seat = arg;

    uplinks_wake(seat->uplinks);
}

static void on_closed(void *arg, struct source *source)
{
    struct uplink_seat *seat = arg;
    struct uplinks *uplinks = seat->uplinks;

    uplinks_lock(uplinks);
    struct uplink_seat **at = &seat->uplink->seats;
    while (*at != NULL && *at != seat) {
        at = &(*at)->next;
    }
    if (*at == seat) {
        *at = seat->next;
    }
    seat->uplink->dropped_by_readers += uplink_reader_dropped(source);
    uplink_unref(seat->uplink);
    uplinks_unlock(uplinks);
    mem_free(seat);
}

/* Under the lock, which is given back: the uplink with a reference, and its description. */
static struct uplink *look_up(struct uplinks *uplinks, const char *name, struct iface *iface,
                              struct err *err)
{
    uplinks_lock(uplinks);
    struct uplink *uplink = uplinks_get(uplinks, name);
    if (uplink != NULL && uplink->has_iface) {
        uplink->refs++;
        *iface = uplink->iface;
    } else {
        uplink = NULL;
    }
    uplinks_unlock(uplinks);
    if (uplink == NULL) {
        err_set(err, ERR_NOT_FOUND,
                "there is no uplink '%s'; GET /interfaces lists those that are here", name);
    }
    return uplink;
}

static int take_seat(struct uplinks *uplinks, struct uplink_seat *seat, uint32_t link_type,
                     struct err *err)
{
    struct uplink *uplink = seat->uplink;
    int rc = 0;

    uplinks_lock(uplinks);
    if (uplinks_get(uplinks, uplink->name) != uplink || uplink->iface.link_type != link_type) {
        rc = err_set(err, ERR_CAPTURE, "uplink '%s' has just changed: open it again", uplink->name);
    } else {
        seat->before = uplink->track.lost;
        uplink_reader_begin(seat->source, &uplink->mark);
        if (seat->before.interface_told) {
            uplink_reader_lost(seat->source, 0, 0);
        }
        seat->next = uplink->seats;
        uplink->seats = seat;
    }
    uplinks_unlock(uplinks);
    return rc;
}

int uplinks_source_open(struct uplinks *uplinks, const struct source_request *request,
                        struct source **out, struct err *err)
{
    struct iface iface;
    struct uplink *uplink = look_up(uplinks, request->interface, &iface, err);

    if (uplink == NULL) {
        return ERR_NOT_FOUND;
    }
    struct uplink_seat *seat = x_alloc(sizeof *seat);
    seat->uplinks = uplinks;
    seat->uplink = uplink;
    const struct uplink_reader_opts opts = {
        .iface = &iface,
        .filter = request->filter,
        .snaplen = request->snaplen,
        .lossless = request->lossless,
        .settled = request->settled,
        .limit_bytes = uplinks->node->options->ingest_buffer_bytes,
        .changed = on_changed,
        .closed = on_closed,
        .arg = seat,
    };
    int rc = uplink_reader_new(&opts, &seat->source, err);
    if (rc < 0) {
        uplinks_lock(uplinks);
        uplink_unref(uplink);
        uplinks_unlock(uplinks);
        mem_free(seat);
        return rc;
    }
    rc = take_seat(uplinks, seat, iface.link_type, err);
    if (rc < 0) {
        seat->source->ops->close(seat->source);
        return rc;
    }
    *out = seat->source;
    return 0;
}

static int gone(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "the node is ending");
}

static int provide(struct node *node, const struct source_request *request, struct source **out,
                   char **excluded, struct err *err)
{
    int rc =
        node->uplinks == NULL ? gone(err) : uplinks_source_open(node->uplinks, request, out, err);

    if (rc == 0) {
        *excluded = x_strdup("");
    }
    return rc;
}

static int provide_find(struct node *node, const char *interface, struct err *err)
{
    return node->uplinks == NULL ? gone(err) : uplinks_find(node->uplinks, interface, err);
}

static void provide_names(struct node *node, void (*each)(const char *name, void *arg), void *arg)
{
    if (node->uplinks != NULL) {
        uplinks_names(node->uplinks, each, arg);
    }
}

const struct source_provider uplink_provider = {
    .mark = ':',
    .open = provide,
    .find = provide_find,
    .names = provide_names,
};

void uplink_source_settled(struct source *source, uint64_t packets)
{
    struct uplink_seat *seat = uplink_reader_arg(source);

    if (seat != NULL) {
        uplink_reader_settle(source, packets);
        uplinks_wake(seat->uplinks);
    }
}
