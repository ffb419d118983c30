/* SPDX-License-Identifier: Apache-2.0
 *
 * The Range of a request (RFC 9110 §14) against a length that is known: one range is honoured,
 * several are answered as the whole, which the RFC allows. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum byte_range_result {
    BYTE_RANGE_WHOLE, /* no range, not one of bytes, or one that does not count: 200 */
    BYTE_RANGE_PART,  /* 206 with *first and *last (included) */
    BYTE_RANGE_NONE,  /* beyond the end: 416 */
};

/* header: "bytes=…" or NULL. */
enum byte_range_result byte_range_parse(const char *header, uint64_t length, uint64_t *first,
                                        uint64_t *last);

/* True when a list of entity tags ("a", W/"b", or *) holds `etag` (with its quotes); for
 * If-None-Match `weak` is set: W/ does not matter there. */
bool etag_is_listed(const char *list, const char *etag, bool weak);
