/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs and what is in them (RFC 3986): endpoints that users type, percent-encoding, the query of a
 * request. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define URL_HOST_MAX 256
#define URL_PATH_MAX 1024

/* An ENDPOINT of contract.md: HOST:PORT, HOST, [V6]:PORT, http://, https://, ws://, wss://, with an
 * optional path. */
struct url_endpoint {
    bool tls;
    char host[URL_HOST_MAX]; /* without brackets */
    uint16_t port; /* 8080 for bare HOST and http/ws without one as the node listens there;
                      443 for https and wss */
    char path[URL_PATH_MAX]; /* "" or "/ingest" */
};

/* ERR_USAGE with the way out. */
int url_parse_endpoint(const char *text, struct url_endpoint *out, struct err *err);
/* "http://127.0.0.1:8080" for messages and Host headers ("127.0.0.1:8080" with host_only). */
void url_format_endpoint(const struct url_endpoint *endpoint, bool host_only, struct buf *out);

/* Percent-encodes everything but unreserved characters (and '/' with keep_slash). */
void url_put_encoded(struct buf *out, const char *text, bool keep_slash);

/* Decodes n bytes of a path or query component into fresh memory (mem_free); '+' is a blank where
 * plus_is_blank. NULL: a broken escape, an encoded NUL, or bytes that are not UTF-8. */
char *url_decode(const char *text, size_t n, bool plus_is_blank);

struct url_param {
    const char *name; /* decoded */
    const char *value;
};

#define URL_PARAMS_MAX 32

struct url_target {
    char *path; /* still encoded, without the query */
    struct url_param params[URL_PARAMS_MAX];
    size_t n_params;
    char *storage; /* owned: what the pointers point into */
};

/* A request target "/path?query". ERR_USAGE for broken escapes, ERR_LIMIT for too many parameters.
 */
int url_parse_target(const char *target, struct url_target *out, struct err *err);
void url_target_deinit(struct url_target *target);
/* The value of a parameter, decoded, or NULL. */
const char *url_param(const struct url_target *target, const char *name);
