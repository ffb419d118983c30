/* SPDX-License-Identifier: Apache-2.0
 *
 * The last transitions of a run, one line each: when, who, what. Kept as numbers, since nearly all
 * of them are never read, and written out when a property failed or when asked for at once.
 *
 *      12.003417  n7      suspect  n3  boot 1700000000123 seq 2
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum sim_trace_what {
#define SIM_TRACE(name, text) SIM_TRACE_##name,
#include "tests/sim/sim_trace.inc"
#undef SIM_TRACE
};

#define SIM_NOBODY UINT32_MAX

struct sim_trace_line {
    uint64_t now_ns;
    uint32_t node;  /* SIM_NOBODY: the world */
    uint32_t other; /* SIM_NOBODY: none */
    uint64_t boot;
    uint32_t seq;
    uint8_t what; /* enum sim_trace_what */
};

#define SIM_TRACE_LINES 4096 /* kept */

struct sim_trace {
    struct sim_trace_line lines[SIM_TRACE_LINES];
    uint64_t n;
    bool at_once; /* to stderr, when it happens */
};

void sim_trace_add(struct sim_trace *trace, struct sim_trace_line line);
void sim_trace_print_line(FILE *out, const struct sim_trace_line *line);
/* The last `most` of them, the oldest first. */
void sim_trace_print(FILE *out, const struct sim_trace *trace, uint32_t most);
