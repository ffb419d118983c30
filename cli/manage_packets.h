/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets of a node's sessions, one after the other, out of the pages that session.query answers:
 * those of one session in the order that they were recorded, those of several merged by their
 * times. A page of each session is in memory, and how much they may take is bounded. With --nodes,
 * --all or --select they are those of all of these nodes, each packet with its "node"; a node that
 * does not answer, or ceases to, has its line on standard error, and the others go on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/manage.h"

#define MANAGE_SESSIONS_MAX 1024u                  /* merged at once */
#define MANAGE_PAGES_MAX    (256u * 1024u * 1024u) /* bytes of messages whose pages are held */

struct manage_packets;

struct manage_packets_spec {
    const struct option_list *names; /* of -s; none: the only session */
    const char *filter;              /* NULL = all */
    uint64_t from_ns;
    uint64_t to_ns;
    bool with_data;
    uint64_t wanted; /* about how many packets are going to be asked for; 0 = all */
};

/* Finds the sessions. ERR_USAGE when there is nothing named and the node has several. The spec is
 * borrowed, and manage is of manage_open_for_nodes. */
int manage_packets_new(struct command_context *ctx, struct manage *manage,
                       const struct manage_packets_spec *spec, struct manage_packets **out);
void manage_packets_free(struct manage_packets *packets); /* takes NULL */

/* 1: *out is the next packet, an object as of `query --json`, borrowed until the next call; 0: the
 * end. */
int manage_packets_next(struct manage_packets *packets, const struct json_t **out);

/* What the sessions hold in all, whatever the filter; UINT64_MAX: unknown. */
uint64_t manage_packets_total(const struct manage_packets *packets);
/* They are of more than one interface. */
bool manage_packets_of_several(const struct manage_packets *packets);
/* 0, or ERR_PARTLY with what could not be read; which nodes did not answer, as of
 * manage_tell_unanswered. */
int manage_packets_damage(const struct manage_packets *packets, struct err *err);
