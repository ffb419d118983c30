/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's tags as a record of the swarm's desired state (shared/swarm/swim_kv.h), and the digest
 * of them that stands in its signed meta data: whoever has the cluster key can write a record, so
 * one counts only when the digest that its node signed fits.
 *
 *    0  i64 swarm time at which it goes   8  'T'   9  the tags, a line each
 *
 * Its key is the first half of BLAKE2b-256("packetrecorder tags of", sid u64); integers are
 * little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/tags.h"
#include "shared/swarm/swim_kv.h"

#define TAG_RECORD_MAX (9 + TAGS_BYTES_MAX)

void tag_record_key(uint64_t sid, uint8_t key[SWIM_KV_KEY_BYTES]);
/* BLAKE2b-64 of the tags; 0: there are none. */
uint64_t tag_digest(const struct tags *tags);
/* The bytes written. */
size_t tag_record_write(const struct tags *tags, int64_t expires_ns, uint8_t out[TAG_RECORD_MAX]);
/* By its kind alone, whosever tags. */
bool tag_record_is(const uint8_t *bytes, size_t n);
/* False: it is none, or not of tags with that digest; *tags is empty then. */
bool tag_record_read(const uint8_t *bytes, size_t n, uint64_t digest, struct tags *tags);
/* Of any record that begins so. */
int64_t tag_record_expires_ns(const uint8_t *bytes, size_t n);
