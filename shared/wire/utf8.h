/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 (RFC 3629) of bytes that come in pieces: a check that can stop at any byte and go on with
 * the next piece. No overlong forms, no surrogates, nothing above U+10FFFF. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: between two characters. */
struct utf8_check {
    uint8_t more; /* bytes that the character still needs */
    uint8_t low;  /* and the range that the next one must lie in */
    uint8_t high;
};

/* False at the first byte that cannot be; the check is of no use then. */
bool utf8_check_feed(struct utf8_check *check, const void *data, size_t n);
/* True between two characters: the text may end here. */
bool utf8_check_is_whole(const struct utf8_check *check);

/* n bytes at once. */
bool utf8_is_valid(const void *data, size_t n);
/* The longest start of n valid bytes that is at most `max` long and cuts no character. */
size_t utf8_cut(const void *data, size_t n, size_t max);
