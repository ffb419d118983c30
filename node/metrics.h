/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics in Prometheus' text format. Every module that counts has one function that writes its
 * families; node/metrics_writers.c has the table of them. Names begin with packetrecorder_. A
 * counter that the platform does not offer is left out, never 0.
 */
#pragma once

#include "shared/base/buf.h"

struct node;

/* "# HELP" and "# TYPE" of a family; kind is "counter", "gauge" or "histogram". */
void metrics_family(struct buf *out, const char *name, const char *kind, const char *help);
/* One sample; labels as `iface="eth0",kind="raw"` made with metrics_label, or "". */
void metrics_count(struct buf *out, const char *name, const char *labels, uint64_t value);
void metrics_value(struct buf *out, const char *name, const char *labels, double value);
/* Appends name="value" with the value escaped; a comma in front when `out` is not empty. */
void metrics_label(struct buf *out, const char *name, const char *value);

/* On the loop thread. */
typedef void (*metrics_write_cb)(struct node *node, struct buf *out);

/* All of them, in the order of the page. */
extern const metrics_write_cb metrics_writers[];
extern const size_t n_metrics_writers;
