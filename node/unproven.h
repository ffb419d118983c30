/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections each address has that have not made a whole request yet, so that one host
 * cannot take all places with half-open ones. An IPv6 host has a whole /64 and is counted as one.
 * A keyed hash, so that nobody chooses addresses that collide.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct unproven;

struct unproven *unproven_new(size_t max_of_one);
void unproven_free(struct unproven *unproven); /* takes NULL */
/* False: this address has its most already; nothing is counted. */
bool unproven_add(struct unproven *unproven, const struct sockaddr_storage *peer);
void unproven_remove(struct unproven *unproven, const struct sockaddr_storage *peer);
/* Both count as one host. */
bool unproven_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
size_t unproven_total(const struct unproven *unproven);
