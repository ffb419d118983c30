/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet filters: libpcap compiles the expression, and a compiled filter runs on captured bytes. A
 * filter is compiled for one link type; a filter_set compiles the same expression for every link
 * type that turns up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/block.h"

/* One BPF instruction, laid out as struct bpf_insn is, so that pure code can read programs without
 * libpcap. */
struct filter_insn {
    uint16_t code;
    uint8_t jt;
    uint8_t jf;
    uint32_t k;
};

struct filter;

/* Compiles for a LINKTYPE_. NULL or "" matches everything. ERR_FILTER with libpcap's words, the
 * expression and the position or word it stumbled on. Owned by the caller. */
int filter_new(const char *expression, uint32_t link_type, struct filter **out, struct err *err);
void filter_free(struct filter *filter);
bool filter_matches(const struct filter *filter, const struct packet_view *packet);
bool filter_is_empty(const struct filter *filter); /* matches everything */

/* The program, borrowed; *n in instructions; NULL for the empty filter. */
const struct filter_insn *filter_program(const struct filter *filter, uint32_t *n);

/* 0 when the expression can be compiled for any of the usual link types; ERR_FILTER as above.
 * Names of hosts are looked up in DNS, as libpcap does: this may take its time. */
int filter_check(const char *expression, struct err *err);

struct filter_set;

/* Checks the expression at once (filter_check). The expression is copied. All filter_set functions
 * but free may be called from several threads. */
int filter_set_new(const char *expression, struct filter_set **out, struct err *err);
void filter_set_free(struct filter_set *set);
/* The filter for a link type, compiled at first use, borrowed. A link type for which the expression
 * makes no sense (libpcap: "not supported for this link type") matches nothing and is told once
 * through *why (may be NULL): a borrowed sentence the first time, else NULL. */
const struct filter *filter_set_for(struct filter_set *set, uint32_t link_type, const char **why);
