/* SPDX-License-Identifier: Apache-2.0
 *
 * Uplinks for people and programs: objects of /api/v1/interfaces, events, metrics.
 */
#include <string.h>

#include <jansson.h>

#include "node/events.h"
#include "node/metrics.h"
#include "node/node.h"
#include "node/uplink_internal.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/link_type.h"

static uint64_t behind(const struct uplink *uplink)
{
    for (uint32_t i = 0; i < uplink->track.n_streams; i++) {
        const struct uplink_stream *stream = &uplink->track.streams[i];
        if (strcmp(stream->id, uplink->stream) == 0 && stream->told_end > stream->next) {
            return stream->told_end - stream->next;
        }
    }
    return 0;
}

static json_t *losses(const struct uplink *uplink)
{
    const struct uplink_losses *lost = &uplink->track.lost;

    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "cut_off", (json_int_t)lost->cut_off, "dropped",
                     (json_int_t)lost->dropped, "queue", (json_int_t)lost->queue, "kernel",
                     (json_int_t)lost->kernel, "interface",
                     lost->interface_told ? json_integer((json_int_t)lost->interface)
                                          : json_null());
}

/* Under the lock. */
static json_t *describe(const struct uplink *uplink)
{
    char since[TEXT_NUMBER_MAX];
    char link_type[LINK_TYPE_TEXT_MAX];

    text_format_time(uplink->since_ns, since);
    link_type_text(uplink->iface.link_type, link_type);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:o, s:b}", "name",
                     uplink->name, "kind", "uplink", "description", uplink->iface.description,
                     "state", uplink->conn != NULL ? "up" : "down", "since", since, "link_type",
                     link_type, "snaplen", (json_int_t)uplink->iface.snaplen, "peer", uplink->peer,
                     "packets", (json_int_t)uplink->counters.packets, "bytes",
                     (json_int_t)uplink->counters.bytes, "behind", (json_int_t)behind(uplink),
                     "lost", losses(uplink), "recorded", uplink->record == RECORD_RUNNING);
}

struct json_t *uplinks_list(struct uplinks *uplinks)
{
    json_t *list = json_array();

    uplinks_lock(uplinks);
    for (size_t i = 0; i < uplinks->n; i++) {
        if (uplinks->items[i]->has_iface) {
            json_array_append_new(list, describe(uplinks->items[i]));
        }
    }
    uplinks_unlock(uplinks);
    return list;
}

struct json_t *uplinks_describe(struct uplinks *uplinks, const char *interface)
{
    json_t *object = NULL;

    uplinks_lock(uplinks);
    struct uplink *uplink = uplinks_get(uplinks, interface);
    if (uplink != NULL && uplink->has_iface) {
        object = describe(uplink);
    }
    uplinks_unlock(uplinks);
    return object;
}

void uplink_publish(struct uplinks *uplinks, const struct uplink *uplink, const char *type,
                    const char *why)
{
    json_t *data = json_pack("{s:s, s:s, s:I}", "interface", uplink->name, "peer", uplink->peer,
                             "packets", (json_int_t)uplink->counters.packets);

    if (why != NULL) {
        json_object_set_new(data, "reason", json_string(why));
    }
    events_publish(uplinks->node, type, data);
}

/* A family of one number an uplink. */
struct family {
    const char *name;
    const char *kind;
    const char *help;
    uint64_t (*value)(const struct uplink *uplink);
};

static uint64_t is_up(const struct uplink *u)
{
    return u->conn != NULL ? 1 : 0;
}

static uint64_t packets(const struct uplink *u)
{
    return u->counters.packets;
}

static uint64_t bytes(const struct uplink *u)
{
    return u->counters.bytes;
}

static uint64_t wire_bytes(const struct uplink *u)
{
    return u->counters.wire_bytes;
}

static uint64_t taken(const struct uplink *u)
{
    return u->counters.taken;
}

static uint64_t connects(const struct uplink *u)
{
    return u->counters.connects;
}

static uint64_t refused(const struct uplink *u)
{
    return u->counters.refused;
}

static uint64_t dropped(const struct uplink *u)
{
    return u->track.lost.dropped;
}

static uint64_t queue(const struct uplink *u)
{
    return u->track.lost.queue;
}

static uint64_t kernel(const struct uplink *u)
{
    return u->track.lost.kernel;
}

static uint64_t interface(const struct uplink *u)
{
    return u->track.lost.interface;
}

static uint64_t cut_off(const struct uplink *u)
{
    return u->track.lost.cut_off;
}

static uint64_t reader_dropped(const struct uplink *u)
{
    uint64_t sum = u->dropped_by_readers;

    for (const struct uplink_seat *seat = u->seats; seat != NULL; seat = seat->next) {
        sum += uplink_reader_dropped(seat->source);
    }
    return sum;
}

static const struct family families[] = {
    {"packetrecorder_uplink_up", "gauge", "1 while the sniffer is connected", is_up},
    {"packetrecorder_uplink_packets_total", "counter", "Packets that came", packets},
    {"packetrecorder_uplink_bytes_total", "counter", "Captured bytes of these packets", bytes},
    {"packetrecorder_uplink_wire_bytes_total", "counter", "Bytes of messages as they came",
     wire_bytes},
    {"packetrecorder_uplink_behind_packets", "gauge",
     "Packets that the sniffer had captured and not sent when it last told", behind},
    {"packetrecorder_uplink_acknowledgements_total", "counter", "Times that taken was told", taken},
    {"packetrecorder_uplink_connects_total", "counter", "Connections of the sniffer", connects},
    {"packetrecorder_uplink_refused_total", "counter",
     "Connections refused because another sniffer has the name", refused},
    {"packetrecorder_uplink_dropped_packets_total", "counter",
     "Packets lost because the sniffer's buffers were full", dropped},
    {"packetrecorder_uplink_queue_dropped_packets_total", "counter",
     "Packets lost between the sniffer's capture and its buffers", queue},
    {"packetrecorder_uplink_kernel_dropped_packets_total", "counter",
     "Packets lost in the sniffer's kernel", kernel},
    {"packetrecorder_uplink_interface_dropped_packets_total", "counter",
     "Packets lost in the sniffer's interface", interface},
    {"packetrecorder_uplink_cut_off_total", "counter",
     "Runs of the sniffer that ended without a word, each with an unknown number of packets lost",
     cut_off},
    {"packetrecorder_uplink_reader_dropped_packets_total", "counter",
     "Packets that live streams of this node were too slow for", reader_dropped},
};

void uplinks_metrics(struct node *node, struct buf *out)
{
    struct uplinks *uplinks = node->uplinks;
    struct buf labels = {0};

    uplinks_lock(uplinks);
    for (size_t f = 0; uplinks->n > 0 && f < ARRAY_LEN(families); f++) {
        metrics_family(out, families[f].name, families[f].kind, families[f].help);
        for (size_t i = 0; i < uplinks->n; i++) {
            buf_reset(&labels);
            metrics_label(&labels, "interface", uplinks->items[i]->name);
            buf_put_u8(&labels, 0);
            metrics_count(out, families[f].name, (const char *)labels.data,
                          families[f].value(uplinks->items[i]));
        }
    }
    uplinks_unlock(uplinks);
    buf_deinit(&labels);
}
