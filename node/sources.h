/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a node's packets come from, by name: interfaces of this host, and "NAME:IFACE" of uplinks
 * (node/uplinks). Whoever captures asks here and sees no difference.
 */
#pragma once

#include "shared/capture/source.h"
#include "shared/packet/iface.h"

struct json_t;
struct node;

struct source_request {
    const char *interface;
    const char *filter; /* the user's; what is the node's own is put in front of it here */
    uint32_t snaplen;   /* 0 = all */
    bool promisc;
    uint64_t buffer_bytes; /* of the kernel's ring; 0 = the default */
    bool lossless; /* a recording: hold an uplink's sniffer back where it cannot be kept up with,
                      instead of losing packets */
    bool settled;  /* and uplink_source_settled will be called */
    uint32_t block_timeout_ms; /* how long the kernel keeps a block that is not full; 0 = default */
};

/* May block (libpcap, DNS in a filter): on a worker thread. As source_pcap_open; ERR_NOT_FOUND also
 * for an uplink that was never seen. *excluded: the expression that leaves out the node's own
 * traffic, "" for none, mem_free. */
int node_source_open(struct node *node, const struct source_request *request, struct source **out,
                     char **excluded, struct err *err);

/* What is left out of this source now, which changes with the host's addresses; "" for none,
 * mem_free. Any thread; before its close. */
char *node_source_excluded(struct source *source);
/* swapped: on the loop, after the expression was changed in the sources that are open. One only. */
void node_sources_watch_swaps(struct node *node, void (*swapped)(struct node *node));

/* 0 when there is such an interface now; ERR_NOT_FOUND with the nearest name. From what the node
 * remembers (node/devices_uv). On the loop. */
int node_source_find(struct node *node, const char *interface, struct err *err);

/* Calls each() with the name of every interface, uplinks last, then end(), now or later, as
 * devices_ask. On the loop. */
void node_source_names(struct node *node, void (*each)(const char *name, void *arg),
                       void (*end)(void *arg), void *arg);

/* Where interfaces come from that are not this host's: uplinks (NAME:IFACE), and other members
 * (NODE/IFACE). */
#define SOURCE_PROVIDERS_MAX 4
struct source_provider {
    char mark; /* that their names hold */
    int (*open)(struct node *node, const struct source_request *request, struct source **out,
                char **excluded, struct err *err);
    int (*find)(struct node *node, const char *interface, struct err *err);
    void (*names)(struct node *node, void (*each)(const char *name, void *arg), void *arg);
};
/* At most SOURCE_PROVIDERS_MAX, the marks of those registered first are looked for first; const and
 * there for as long as the node is. */
void node_source_register(struct node *node, const struct source_provider *provider);
