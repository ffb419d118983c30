/* SPDX-License-Identifier: Apache-2.0
 *
 * One interface of a sniffer: a capture that fills a spool (sniff_capture_posix.c) and a sender
 * that empties it into a node (sniff_sender_posix.c), each with a thread. What both touch is under
 * the lock. cmd_sniff_posix.c starts and ends them.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/spool_dir_posix.h"
#include "shared/options/sniff_options.h"
#include "shared/packet/consumer.h"
#include "shared/packet/ledger.h"
#include "shared/wire/ingest.h"
#include "shared/wire/url.h"

/* Local ports that connections to the node come from, so that a filter of one term leaves them out
 * of what is captured. */
#define SNIFF_PORT_FROM 47600
#define SNIFF_PORT_TO   47663
#define SNIFF_IFACE_MAX 64 /* interfaces of one sniffer */

struct source;
struct ws_client;

/* The same for all interfaces. */
struct sniff_setup {
    const struct sniff_options *options;
    struct url_endpoint endpoint;
    char name[INGEST_NAME_MAX];
    const char *api_key;   /* sodium memory; NULL = none */
    uint64_t memory_bytes; /* of one interface */
    uint64_t spool_bytes;
};

/* Packets of one run, this one or an earlier one. */
struct sniff_stream {
    char id[ID_TEXT_MAX];
    struct spool spool;
    struct spool_dir *dir; /* NULL: in memory alone */
    bool is_live;          /* of this run: more may come */
    uint64_t noted_taken;
};

struct sniff_counters {
    uint64_t received; /* UINT64_MAX = unknown, as for the next two */
    uint64_t kernel;
    uint64_t interface;
    uint64_t queue; /* lost between the capture and the spool */
};

struct sniff_uplink {
    struct consumer consumer;
    const struct sniff_setup *setup;
    const char *iface;
    char sniffer[ID_TEXT_MAX];
    struct spool_place *place; /* NULL: no spool on disk */
    struct source *first;      /* opened before privileges went; moved to the capture */
    pthread_t capture;
    pthread_t sender;
    int stop_fds[2]; /* readable end: the capture is to end */

    pthread_mutex_t mutex;        /* guards what follows */
    struct sniff_stream *streams; /* oldest first; the last one is live */
    size_t n_streams;
    struct spool_section *section; /* of the interface as it is now; NULL: not open yet */
    struct sniff_counters counters;
    struct ws_client *client; /* while connected */
    bool capture_ended;
    pthread_cond_t ended; /* capture_ended is set; monotonic */
    bool sender_ended;
    bool stopping;        /* nothing more is captured: send what there is */
    uint64_t deadline_ns; /* of that, monotonic */

    atomic_bool sender_waits; /* it wants to be interrupted when packets come */
};

/* Opens the interface, so that what is wrong with it is told at the start. */
int sniff_open_source(const struct sniff_setup *setup, const char *iface, struct source **out,
                      struct err *err);
/* The threads. */
void *sniff_capture_main(void *arg);
void *sniff_sender_main(void *arg);
void sniff_capture_init(struct sniff_uplink *uplink); /* its consumer */
/* The sender looks again: packets, the end. Any thread. */
void sniff_wake_sender(struct sniff_uplink *uplink);

/* sniff_sending_posix.c: until all of the stream is taken (FINISHED), or something breaks. */
enum sniff_outcome { SNIFF_GO_ON, SNIFF_BROKEN, SNIFF_FINISHED };
enum sniff_outcome sniff_send_stream(struct sniff_uplink *uplink, struct sniff_stream *stream,
                                     struct ws_client *client);

/* sniff_dial_posix.c. When all must be done, monotonic; UINT64_MAX while nobody wants an end. */
uint64_t sniff_deadline_ns(struct sniff_uplink *uplink);
/* The next connection for that stream, or NULL; ERR_INTERRUPTED when the end is wanted meanwhile.
 */
struct ws_client *sniff_dial(struct sniff_uplink *uplink, const struct sniff_stream *stream,
                             struct err *err);
/* Waits before the next try, until the end is wanted, then until all must be done. */
struct backoff;
void sniff_back_off(struct sniff_uplink *uplink, struct backoff *backoff);

/* sniff_message.c: what is sent. */
/* "/ingest?v=1&…" for a stream. */
void sniff_target(const struct sniff_uplink *uplink, const struct sniff_stream *stream,
                  uint64_t taken, struct buf *out);
/* Nothing of the stream is lost without being counted; behind its last packet. */
void sniff_put_goodbye(uint64_t now_ns, struct buf *out);
/* The statistics block of a live stream. Under the lock. */
void sniff_put_statistics(const struct sniff_uplink *uplink, const struct sniff_stream *stream,
                          uint64_t now_ns, struct buf *out);
