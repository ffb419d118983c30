/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded writer of msgpack: values go into memory of the caller's, and the first one that does
 * not fit sets `failed` for good, so that an encoder checks once at its end. Numbers take their
 * shortest form (msgpack specification, "int format family"). Its counterpart is unpack.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
    uint8_t *start; /* borrowed */
    uint8_t *at;
    uint8_t *end;
    bool failed;
};

struct pack pack_into(void *memory, size_t n);
static inline size_t pack_length(const struct pack *p)
{
    return (size_t)(p->at - p->start);
}
static inline size_t pack_room(const struct pack *p)
{
    return (size_t)(p->end - p->at);
}

void pack_array(struct pack *p, uint32_t n_elements);
void pack_map(struct pack *p, uint32_t n_pairs);
void pack_nil(struct pack *p);
void pack_bool(struct pack *p, bool v);
void pack_u64(struct pack *p, uint64_t v);
void pack_i64(struct pack *p, int64_t v);
/* Always nine bytes, whatever the value: sizes that do not depend on it. */
void pack_u64_fixed(struct pack *p, uint64_t v);
void pack_bin(struct pack *p, const void *bytes, size_t n);
void pack_str(struct pack *p, const char *text, size_t n);
void pack_string(struct pack *p, const char *text); /* up to its end */
/* Bytes that are msgpack already. */
void pack_raw(struct pack *p, const void *bytes, size_t n);
