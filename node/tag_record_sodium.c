/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tag_record_sodium.h"

#include <string.h>

#include <sodium.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"

#define HEAD 9
#define KIND 'T'

_Static_assert(TAG_RECORD_MAX <= SWIM_KV_VALUE_MAX, "a node's tags are one record");

void tag_record_key(uint64_t sid, uint8_t key[SWIM_KV_KEY_BYTES])
{
    static const char what[] = "packetrecorder tags of";
    uint8_t bytes[sizeof what - 1 + 8];
    uint8_t hash[crypto_generichash_BYTES];

    memcpy(bytes, what, sizeof what - 1);
    put_le64(bytes + sizeof what - 1, sid);
    REQUIRE(crypto_generichash(hash, sizeof hash, bytes, sizeof bytes, NULL, 0) == 0);
    memcpy(key, hash, SWIM_KV_KEY_BYTES);
}

static uint64_t digest_of(const void *text, size_t n)
{
    uint8_t hash[crypto_generichash_BYTES];

    REQUIRE(crypto_generichash(hash, sizeof hash, text, n, NULL, 0) == 0);
    uint64_t digest = get_le64(hash);
    return digest == 0 ? 1 : digest;
}

uint64_t tag_digest(const struct tags *tags)
{
    char text[TAGS_BYTES_MAX];
    size_t n = tags_write(tags, text);

    return n == 0 ? 0 : digest_of(text, n);
}

size_t tag_record_write(const struct tags *tags, int64_t expires_ns, uint8_t out[TAG_RECORD_MAX])
{
    put_le64(out, (uint64_t)expires_ns);
    out[HEAD - 1] = KIND;
    return HEAD + tags_write(tags, (char *)out + HEAD);
}

bool tag_record_is(const uint8_t *bytes, size_t n)
{
    return n > HEAD && bytes[HEAD - 1] == KIND;
}

bool tag_record_read(const uint8_t *bytes, size_t n, uint64_t digest, struct tags *tags)
{
    *tags = (struct tags){0};
    return tag_record_is(bytes, n) && digest_of(bytes + HEAD, n - HEAD) == digest &&
           tags_read(bytes + HEAD, n - HEAD, tags);
}

int64_t tag_record_expires_ns(const uint8_t *bytes, size_t n)
{
    return n < HEAD ? INT64_MIN : (int64_t)get_le64(bytes);
}
