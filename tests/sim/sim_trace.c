/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_trace.h"

#include <inttypes.h>

static const char *const texts[] = {
#define SIM_TRACE(name, text) text,
#include "tests/sim/sim_trace.inc"
#undef SIM_TRACE
};

void sim_trace_add(struct sim_trace *trace, struct sim_trace_line line)
{
    trace->lines[trace->n++ % SIM_TRACE_LINES] = line;
    if (trace->at_once) {
        sim_trace_print_line(stderr, &line);
    }
}

void sim_trace_print_line(FILE *out, const struct sim_trace_line *line)
{
    fprintf(out, "%12.6f  ", (double)line->now_ns / 1e9);
    if (line->node != SIM_NOBODY) {
        fprintf(out, "n%-5" PRIu32 " ", line->node);
    }
    fputs(texts[line->what], out);
    if (line->other != SIM_NOBODY) {
        fprintf(out, " n%" PRIu32, line->other);
    }
    if (line->boot != 0) {
        fprintf(out, "  boot %" PRIu64 " seq %" PRIu32, line->boot, line->seq);
    }
    fputc('\n', out);
}

void sim_trace_print(FILE *out, const struct sim_trace *trace, uint32_t most)
{
    uint64_t kept = trace->n < SIM_TRACE_LINES ? trace->n : SIM_TRACE_LINES;
    uint64_t n = kept < most ? kept : most;

    for (uint64_t i = trace->n - n; i < trace->n; i++) {
        sim_trace_print_line(out, &trace->lines[i % SIM_TRACE_LINES]);
    }
}
