/* SPDX-License-Identifier: Apache-2.0
 *
 * What sources_uv.c (opening and finding) and own_traffic_uv.c (what is left out) share.
 */
#pragma once

#include <uv.h>

#include "node/own_traffic_uv.h"
#include "node/sources.h"
#include "shared/capture/local_addresses_posix.h"
#include "shared/capture/own_filter.h"

#define OWN_ENDPOINTS_MAX 64

/* One open capture of a local interface, as its session sees it. */
struct local_source {
    struct source source;
    struct source *inner;
    struct node_sources *sources;
    struct local_source *next; /* guarded */
    char *user;                /* the user's part of the filter */
    bool excludes;             /* the own part is in the filter */
    char *in_force;            /* under `told`; the own part that is in it, "" = none */
};

struct node_sources {
    struct node *node;
    /* loop thread */
    uv_poll_t watch;
    uv_timer_t look;
    unsigned n_handles;
    int watch_fd;
    bool is_looking; /* on a worker */
    void (*swapped)(struct node *node);
    void (*closed)(struct node *node);
    /* set before node_sources_settle, then read only */
    struct own_endpoint endpoints[OWN_ENDPOINTS_MAX];
    size_t n_endpoints;
    /* the worker's, one at a time */
    struct local_addresses addresses;
    bool has_swapped; /* the last look did */

    uv_mutex_t mutex; /* guards what follows */
    char *own;        /* "" = none */
    struct err unfit; /* code < 0: there is no expression that is short enough */
    struct local_source *open;
    const struct source_provider *providers[SOURCE_PROVIDERS_MAX];
    size_t n_providers;

    /* Alone, and never while a filter is compiled, which may wait for the DNS: the loop asks. */
    uv_mutex_t told;
};
