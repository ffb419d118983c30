/* SPDX-License-Identifier: Apache-2.0
 *
 * What a viewer may ask for in the query of /connections/{iface}, and in a --pcapng-listen. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"

/* What is read from the store for one viewer at its beginning, at most. */
#define RELAY_HISTORY_MAX_NS (UINT64_C(24) * 3600 * 1000000000)

/* The texts of the query, NULL where absent. */
struct relay_query {
    const char *filter;
    const char *format;
    const char *compress;
    const char *snaplen;
    const char *history;
    const char *resume;
    const char *deflate;
};

struct relay_params {
    const char *filter; /* never NULL; borrowed, as is resume */
    bool pcapng;        /* else raw */
    bool zstd;
    bool deflate;
    uint32_t snaplen;         /* 0 = all */
    uint64_t history_ns;      /* 0 = none */
    uint64_t history_from_ns; /* in place of it, since 1970; 0 = none */
    const char *resume;       /* NULL = none */
};

/* ERR_USAGE with the parameter's name and the way out. */
int relay_params_parse(const struct relay_query *query, struct relay_params *out, struct err *err);

/* "ADDR:PORT=IFACE[,FILTER]" cut into its parts, owned by the caller. */
struct relay_listen {
    char *address;
    char *interface;
    char *filter; /* "" = none */
};
int relay_listen_parse(const char *text, struct relay_listen *out, struct err *err);
void relay_listen_free(struct relay_listen *listen);
