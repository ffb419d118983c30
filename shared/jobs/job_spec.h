/* SPDX-License-Identifier: Apache-2.0
 *
 * A job: one capture on many nodes, that begins at one instant and ends by itself. Its
 * specification is made once, by the node that was asked, goes to every node it is for and spreads
 * as a record of desired state, so it must fit into one. Two flags, which any node may raise and
 * nobody can lower, go as records of their own: so they are merged by OR whoever raises which.
 *
 * The value of each record begins with the swarm time at which it goes by itself (SWIM_KV_EXPIRES),
 * i64 little-endian, then
 *
 *   specification  u8 1, msgpack [id, version, creator, start, end, deadline, late, policy, quorum,
 *                  selector, interface, filter, name, snaplen, max_packets, max_bytes, promisc]
 *   flag           u8 2, msgpack [id, flags, who]
 *
 * Elements behind the known ones are read over. Times are swarm time in ns; the end is always
 * there, so no capture can be left running by whoever is gone. Pure; input is hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/base/tags.h"

#define JOB_VALUE_MAX      1024 /* bytes of a record's value */
#define JOB_KEY_BYTES      16
#define JOB_NODES_MAX      32 /* named ones; "all" and tags have no such bound */
#define JOB_TAGS_MAX       8
#define JOB_TAG_MAX        TAG_MAX
#define JOB_INTERFACE_MAX  255
#define JOB_FILTER_MAX     512
#define JOB_NAME_MAX       64
#define JOB_SNAPLEN_MAX    262144
#define JOB_LONGEST_NS     (INT64_C(366) * 24 * 3600 * 1000000000) /* from its start to its end */
#define JOB_KEPT_NS        (INT64_C(24) * 3600 * 1000000000)       /* a record, behind the end */
#define JOB_DEFAULT_END_NS (INT64_C(3600) * 1000000000)            /* of a job without any limit */

enum job_late { JOB_LATE_SKIP, JOB_LATE_START };
enum job_policy { JOB_BEST_EFFORT, JOB_QUORUM, JOB_ALL };

#define JOB_STOP  1u /* whoever runs it ends it */
#define JOB_ABORT 2u /* and who does not, never begins */

enum job_selects { JOB_SELECTS_ALL, JOB_SELECTS_NODES, JOB_SELECTS_TAGS };

struct job_selector {
    enum job_selects by;
    uint8_t n; /* of the list that is meant */
    uint64_t sids[JOB_NODES_MAX];
    char tags[JOB_TAGS_MAX][JOB_TAG_MAX + 1]; /* a node has all of them */
};

struct job_spec {
    struct id id;
    uint32_t version; /* from 1; only the creator makes another one */
    uint64_t creator; /* sid; 0: a node without a swarm */
    int64_t start_ns;
    int64_t end_ns;
    int64_t deadline_ns; /* the nodes are to be armed until then */
    enum job_late late;
    enum job_policy policy;
    uint8_t quorum; /* percent, with JOB_QUORUM */
    struct job_selector selector;
    char interface[JOB_INTERFACE_MAX + 1]; /* names and patterns of fnmatch, blanks between */
    char filter[JOB_FILTER_MAX + 1];
    char name[JOB_NAME_MAX + 1];
    uint32_t snaplen;     /* 0: all of a packet */
    uint64_t max_packets; /* 0: no such limit, as the next */
    uint64_t max_bytes;
    bool promisc;
};

/* ERR_USAGE with what is wrong, in words for who asked for it. */
int job_spec_check(const struct job_spec *spec, struct err *err);
/* Bytes written; 0: it does not fit, or is not well (job_spec_check). */
size_t job_spec_write(const struct job_spec *spec, uint8_t out[JOB_VALUE_MAX]);
/* False: something else, or damaged; *spec is undefined then. What it gives job_spec_check takes.
 */
bool job_spec_read(const void *bytes, size_t n, struct job_spec *spec);
/* When the record goes. */
int64_t job_spec_expires_ns(const struct job_spec *spec);

struct job_flag {
    struct id id;
    unsigned flags;   /* JOB_STOP or JOB_ABORT, one of them */
    uint64_t who;     /* sid of the node that was asked */
    int64_t until_ns; /* when the record goes */
};
size_t job_flag_write(const struct job_flag *flag, uint8_t out[JOB_VALUE_MAX]);
bool job_flag_read(const void *bytes, size_t n, struct job_flag *flag);

/* Where a record stands: of the specification (flag 0), or of one of the flags. */
void job_key(const struct id *id, unsigned flag, uint8_t key[JOB_KEY_BYTES]);

/* Is it for the node of this sid and these tags? */
bool job_selects(const struct job_selector *selector, uint64_t sid, const struct tags *tags);

/* The words of late and policy, NULL-terminated. */
extern const char *const job_late_words[];
extern const char *const job_policy_words[];
