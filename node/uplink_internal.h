/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of uplinks share: the registry (uplinks_uv.c), one uplink (uplink.c), those who
 * read it (uplink_source.c), its recording (uplink_record_jansson.c) and the connection that feeds
 * it (ingest.c). Everything is the loop thread's but what the registry's lock guards: the table,
 * the seats, and of an uplink what is marked so.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/uplink_reader_posix.h"
#include "node/uplink_track.h"
#include "node/uplinks.h"
#include "shared/base/id.h"
#include "shared/wire/ingest.h"

struct ingest_conn;
struct uplink;

/* A reader of an uplink. */
struct uplink_seat {
    struct uplink_seat *next;
    struct uplinks *uplinks;
    struct uplink *uplink;
    struct source *source;
    struct uplink_losses before; /* that the reader was there for none of */
};

enum uplink_record_state {
    RECORD_NONE,
    RECORD_STARTING, /* packets are not let in until it has */
    RECORD_RUNNING,
};

struct uplink_counters {
    uint64_t packets;
    uint64_t bytes;      /* of packets */
    uint64_t wire_bytes; /* of messages as they came */
    uint64_t messages;
    uint64_t taken; /* acknowledgements sent */
    uint64_t connects;
    uint64_t refused; /* others of the same name */
};

struct uplink {
    struct uplinks *uplinks;    /* counted */
    char name[UPLINK_NAME_MAX]; /* NAME:IFACE; never changes */
    char sniffer[ID_TEXT_MAX];  /* whose it is */
    char peer[64];
    struct ingest_conn *conn; /* NULL: down */
    unsigned n_asks;          /* requests that are not answered yet: it is not forgotten */
    uint64_t since_ns;        /* wall: up or down since */
    uint64_t down_ms;         /* monotonic */
    struct uplink_track track;
    char stream[ID_TEXT_MAX];
    uint64_t offset;             /* arrival = position in the stream + offset, modulo 2^64 */
    uint64_t granted_base;       /* cost when the connection came */
    uint64_t dropped_by_readers; /* of seats that are gone */
    enum uplink_record_state record;
    char record_stream[ID_TEXT_MAX];
    char record_id[ID_TEXT_MAX];

    /* under the lock */
    unsigned refs; /* the table, seats, connections, calls under way */
    bool has_iface;
    struct iface iface;
    struct uplink_mark mark;
    struct uplink_counters counters;
    struct uplink_seat *seats;
};

struct uplinks {
    struct node *node;
    struct uplinks_loop *loop; /* handles of libuv (uplinks_uv.c); NULL: closed */
    pthread_mutex_t mutex;
    /* under the lock */
    unsigned refs;                     /* the node, and every uplink */
    struct uplink *items[UPLINKS_MAX]; /* sorted by name */
    size_t n;
};

/* uplinks_table.c: the lock and the table. */
struct uplinks *uplinks_new(struct node *node);
void uplinks_lock(struct uplinks *uplinks);
void uplinks_unlock(struct uplinks *uplinks); /* frees it when nobody holds it any more */
/* All under the lock. */
struct uplink *uplinks_get(struct uplinks *uplinks, const char *name); /* or NULL */
/* The uplink of that name, made where there is none; a reference is taken. NULL: too many. */
struct uplink *uplinks_make(struct uplinks *uplinks, const char *name);
void uplinks_forget(struct uplinks *uplinks, struct uplink *uplink, const char *why);
void uplink_unref(struct uplink *uplink);

/* uplink.c: what happens to one. */
/* A sniffer is connected. next: from where an unknown stream starts. */
void uplink_on_connected(struct uplinks *uplinks, struct uplink *uplink, struct ingest_conn *conn,
                         const char *stream, uint64_t next);
/* One message came. ERR_UNSUPPORTED: a link type that cannot be handled. The block moves. */
void uplink_on_batch(struct uplinks *uplinks, struct uplink *uplink, struct ingest_batch *batch,
                     size_t wire_bytes);
void uplink_on_disconnected(struct uplinks *uplinks, struct uplink *uplink);
/* What may be told to the sniffer: positions below *safe are taken; *credit since the connection
 * began. */
void uplink_progress(struct uplinks *uplinks, struct uplink *uplink, uint64_t *safe,
                     uint64_t *credit);
/* Ends all readers; the table has forgotten the uplink. Under the lock. */
void uplink_end_seats(struct uplink *uplink, const char *why);
uint64_t uplink_next(const struct uplink *uplink); /* position that the current stream goes on at */

/* uplink_record_jansson.c: --ingest-record. */
void uplink_record_start(struct uplinks *uplinks, struct uplink *uplink);
void uplink_record_stop(struct uplinks *uplinks, struct uplink *uplink);
/* Now and then: tells when a recording has ended without us. */
void uplink_record_look(struct uplinks *uplinks, struct uplink *uplink);
/* uplink_resume_jansson.c: where the recording of a stream ends in the store; calls done on the
 * loop, with `from` when there is none. */
void uplink_record_find(struct uplinks *uplinks, const char *stream, uint64_t from,
                        void (*done)(void *arg, uint64_t position), void *arg);

/* ingest.c: the connection. */
void ingest_conn_tell(
    struct ingest_conn *conn); /* sends what uplink_progress says, when worth it */
void ingest_conn_drop(struct ingest_conn *conn); /* another takes its place */

/* uplink_source.c */
extern const struct source_provider uplink_provider;

/* uplinks_report_jansson.c */
void uplink_publish(struct uplinks *uplinks, const struct uplink *uplink, const char *type,
                    const char *why);
