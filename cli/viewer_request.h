/* SPDX-License-Identifier: Apache-2.0
 *
 * What a viewer asks a node for: the target of the request, and which refusals are final. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"

struct viewer_request {
    const char *base; /* path of the endpoint, "" = none: a node behind a proxy */
    const char *interface;
    const char *filter; /* NULL or "" = all */
    uint32_t snaplen;   /* 0 = all of each packet */
    bool compress;
    uint64_t history_ns;      /* of what the store has of so long ago; 0 = none */
    uint64_t history_from_ns; /* in place of it: from this time of the node on; 0 = none */
    const char *resume;       /* "STREAM:POSITION", or NULL */
};

/* "/connections/eth0?format=pcapng…", terminated, behind what is in `out`. */
void viewer_request_target(struct buf *out, const struct viewer_request *request);

/* True for the HTTP status of a refusal that trying again does not mend. known: this viewer was
 * connected before, so an interface that is not there may come back. 0 = there was no answer. */
bool viewer_refusal_is_final(unsigned status, bool known);

/* What the user can do about it, "" where the node's words say all. base: the path
 * of the endpoint, "" for none. */
const char *viewer_refusal_hint(unsigned status, const char *base);
