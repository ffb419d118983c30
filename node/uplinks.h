/* SPDX-License-Identifier: Apache-2.0
 *
 * What sniffers elsewhere send to this node over /ingest (docs/protocol-ingest.md): each of their
 * interfaces is an uplink, NAME:IFACE, that is watched and recorded like a local interface. It
 * stays listed for UPLINK_KEPT_MS after its sniffer went away, and whoever reads it waits for the
 * sniffer to come back. The registry belongs to the loop thread; sources of uplinks are opened and
 * read on any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/route.h"
#include "node/sources.h"
#include "shared/base/buf.h"
#include "shared/packet/iface.h"

#define UPLINKS_MAX    1024
#define UPLINK_KEPT_MS 600000u
/* "NAME:IFACE" with its terminator. */
#define UPLINK_NAME_MAX 128

struct uplinks;

/* Sets and clears node->uplinks: a part of the node. */
int uplinks_open(struct node *node, struct err *err);
void uplinks_close(struct node *node, void (*closed)(struct node *node));
/* Any thread: credits are looked at soon, and often from now on if there is an uplink or a
 * recording. */
void uplinks_wake(struct uplinks *uplinks);

/* 0 when there is an uplink of that name, up or not; ERR_NOT_FOUND. Any thread. */
int uplinks_find(struct uplinks *uplinks, const char *interface, struct err *err);
/* Calls each() for every uplink, in the order of their names. Any thread. */
void uplinks_names(struct uplinks *uplinks, void (*each)(const char *name, void *arg), void *arg);

/* A live source (shared/capture/source.h) of all packets that come from now on: one interface, the
 * filter applied here. A reader that is too slow loses its oldest packets, counted as the kernel's;
 * with request->lossless it holds the sniffer back instead. May block (DNS in a filter). Any
 * thread. Its read ends with ERR_CAPTURE when the uplink is forgotten or its link type changes.
 * Close it before the uplinks are closed. */
int uplinks_source_open(struct uplinks *uplinks, const struct source_request *request,
                        struct source **out, struct err *err);

/* With request->settled: so many packets of this source, counted from its opening, are durable or
 * given up. What is not yet told so is sent again by the sniffer when this node dies. Nothing for
 * sources that are no uplinks'. Any thread while the source is open. */
void uplink_source_settled(struct source *source, uint64_t packets);

/* GET /api/v1/interfaces: an object for each, or NULL for one that is not known. New references. */
struct json_t *uplinks_list(struct uplinks *uplinks);
struct json_t *uplinks_describe(struct uplinks *uplinks, const char *interface);

void uplinks_metrics(struct node *node, struct buf *out);

extern const struct route_group ingest_routes;
