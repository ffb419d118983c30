/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON of POST /api/v1/captures, and the arguments of capture.start:
 *
 *   {"interface": "eth0" or "interfaces": ["eth0", …], "filter", "name", "tags": {"K": "V"},
 *    "max_packets", "max_bytes", "duration", "snaplen", "promisc"}
 *
 * Sizes, counts and durations (seconds) are numbers or texts as on the command line ("10M", "90s").
 * Strict: a member that is not known is an error that names it. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "node/captures.h"

#define CAPTURE_BODY_MAX (64u * 1024u)

struct capture_body {
    struct capture_request request; /* borrows from the rest */
    struct json_t *root;
    const char *interfaces[SESSION_MAX_SOURCES];
    char *tags;
};

/* ERR_USAGE with what is wrong. */
int capture_body_parse(const uint8_t *text, size_t n, struct capture_body *out, struct err *err);
/* The same of an object that was parsed elsewhere; shared with it until capture_body_deinit. */
int capture_body_of(struct json_t *object, struct capture_body *out, struct err *err);
/* What it takes, as JSON Schema, of the same table: each property has a description and examples
 * that are accepted. New reference. */
struct json_t *capture_body_schema(void);
void capture_body_deinit(struct capture_body *body);
