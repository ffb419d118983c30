/* SPDX-License-Identifier: Apache-2.0
 *
 * What the WHERE of a SQL statement asks of the decoded columns src, dst, host, sport, dport, port
 * and proto, as far as it is pushed down to a scan: an exact test of a decoded packet, and the
 * fields that the index is asked for. Columns are those of the outermost IP header
 * (shared/packet/decode.h), so VLAN tags, MPLS or PPPoE in front of it hide nothing, other than
 * with a BPF filter. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/decode.h"
#include "shared/store/index.h"

enum packets_end { PACKETS_SRC, PACKETS_DST, PACKETS_EITHER };

/* Conditions of each kind; more are not taken. */
#define PACKETS_WANT_MAX  8
#define PACKETS_PROTO_MAX 32

struct packets_want {
    bool nothing; /* no packet can be meant */
    size_t n_addrs;
    struct {
        enum packets_end end;
        struct index_field_addr addr;
    } addrs[PACKETS_WANT_MAX];
    size_t n_ports;
    struct {
        enum packets_end end;
        uint16_t port;
    } ports[PACKETS_WANT_MAX];
    char proto[PACKETS_PROTO_MAX]; /* "" = any */
};

/* Each adds a condition. False when it is not one that can be tested here (no IP address, too many
 * of them): nothing is added then. A port out of range means no packet. */
bool packets_want_addr(struct packets_want *want, enum packets_end end, const char *text);
bool packets_want_port(struct packets_want *want, enum packets_end end, int64_t port);
bool packets_want_proto(struct packets_want *want, const char *name);

/* True when there is nothing to test. */
bool packets_want_is_open(const struct packets_want *want);
bool packets_want_matches(const struct packets_want *want, const struct decoded *d);

/* What a packet that matches has, for index_query_of_fields. */
void packets_want_fields(const struct packets_want *want, struct index_fields *out);
