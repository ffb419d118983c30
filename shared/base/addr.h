/* SPDX-License-Identifier: Apache-2.0
 *
 * Network addresses as text. Written by hand because millions of them go into exports and the
 * C library's versions take several times as long. Pure; every function ends its text with a zero
 * and writes at most the named maximum, which the caller provides.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Room for any of them with the final zero. */
#define ADDR_TEXT_MAX 46

/* "10.0.0.1". Returns the length. */
size_t addr_ipv4_text(const uint8_t addr[4], char out[ADDR_TEXT_MAX]);

/* RFC 5952: lower case, the longest run of at least two zero groups is "::", and dotted decimals
 * at the end of IPv4-mapped and IPv4-compatible addresses, as inet_ntop does. Returns the length.
 */
size_t addr_ipv6_text(const uint8_t addr[16], char out[ADDR_TEXT_MAX]);

/* "02:00:00:00:00:01". Returns the length. */
size_t addr_mac_text(const uint8_t addr[6], char out[ADDR_TEXT_MAX]);
