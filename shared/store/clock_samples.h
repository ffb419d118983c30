/* SPDX-License-Identifier: Apache-2.0
 *
 * How the clock that stamped a session's packets stood against the swarm's, as it was measured at
 * the start, every 60 s, when the clock was set, and at the end. The stamps themselves stay as they
 * are; who merges captures of several nodes subtracts the offset. Between two samples it lies on a
 * straight line, unless the second one says that the clock was set: then the first one holds until
 * the stamp at which the second begins.
 *
 * The list is bounded: when it is full, the sample that the line between its neighbours replaces
 * best goes. Samples at which a clock was set stay longest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct json_t; /* jansson's json_t */

#define CLOCK_SAMPLES_MAX 128

struct clock_sample {
    uint64_t time_ns;  /* by the clock in question */
    int64_t offset_ns; /* that clock minus swarm time: the truth is within bound_ns of it */
    uint64_t bound_ns;
    uint64_t root;   /* the timeline that swarm time was then: bounds add up only within one */
    bool is_step;    /* it was set since the sample before */
    uint64_t peer;   /* short id of the node that was measured as well; 0: none was */
    int64_t peer_ns; /* that clock minus the peer's, within peer_bound_ns */
    uint64_t peer_bound_ns;
};

struct clock_samples {
    struct clock_sample *list; /* owned */
    uint32_t n;
};

void clock_samples_deinit(struct clock_samples *samples);
void clock_samples_add(struct clock_samples *samples, const struct clock_sample *sample);
/* Those of `more` that are not there yet, behind those that are. */
void clock_samples_join(struct clock_samples *samples, const struct clock_samples *more);

/* The short form that is stored: an array of arrays. New reference. */
struct json_t *clock_samples_pack(const struct clock_samples *samples);
/* What is not of that form is left out. *out is added to. */
void clock_samples_unpack(const struct json_t *packed, struct clock_samples *out);
/* Both as text. Owned by the caller (mem_free); what is no such text adds nothing. */
char *clock_samples_text(const struct clock_samples *samples);
void clock_samples_read(const char *text, struct clock_samples *out);
/* Readable, as in the session's JSON: [{"time","offset_ns","bound_ns","root","step","reference"}].
 * New reference. */
struct json_t *clock_samples_json(const struct clock_samples *samples);
