/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/cluster_key.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "shared/base/mem.h"

#define PREFIX        "prc_"
#define PREFIX_CHARS  4
#define CLUSTER_CHARS 22
#define KEY_CHARS     43
#define KEY_AT        (PREFIX_CHARS + CLUSTER_CHARS + 1)
#define TEXT_CHARS    (KEY_AT + KEY_CHARS)
#define VARIANT       sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(TEXT_CHARS < CLUSTER_KEY_TEXT_MAX, "a key fits its text");

struct cluster_key *cluster_key_new(void)
{
    REQUIRE(sodium_init() >= 0);
    struct cluster_key *key = sodium_malloc(sizeof *key);
    REQUIRE(key != NULL);
    sodium_memzero(key, sizeof *key);
    return key;
}

void cluster_key_free(struct cluster_key *key)
{
    sodium_free(key); /* takes NULL, wipes */
}

void cluster_key_make(struct cluster_key *key)
{
    REQUIRE(sodium_init() >= 0);
    randombytes_buf(key->cluster, sizeof key->cluster);
    randombytes_buf(key->key, sizeof key->key);
}

void cluster_key_make_next(const struct cluster_key *of, struct cluster_key *key)
{
    REQUIRE(sodium_init() >= 0);
    memmove(key->cluster, of->cluster, sizeof key->cluster);
    randombytes_buf(key->key, sizeof key->key);
}

/* Exactly n bytes of exactly that many characters, whose spare bits are zero: one text a key. */
static bool read_part(const char *text, size_t chars, uint8_t *out, size_t n)
{
    size_t got = 0;

    return sodium_base642bin(out, n, text, chars, NULL, &got, NULL, VARIANT) == 0 && got == n;
}

int cluster_key_parse(const char *text, struct cluster_key *out, struct err *err)
{
    struct cluster_key key;
    bool good = strlen(text) == TEXT_CHARS && memcmp(text, PREFIX, PREFIX_CHARS) == 0 &&
                text[KEY_AT - 1] == '_' &&
                read_part(text + PREFIX_CHARS, CLUSTER_CHARS, key.cluster, sizeof key.cluster) &&
                read_part(text + KEY_AT, KEY_CHARS, key.key, sizeof key.key);

    if (good) {
        *out = key;
    }
    sodium_memzero(&key, sizeof key);
    return good ? 0
                : err_set(err, ERR_KEY,
                          "that is no cluster key: one looks like prc_CLUSTERID_KEY, and "
                          "'packetrecorder keys cluster-new' makes one");
}

void cluster_key_print(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX])
{
    memcpy(text, PREFIX, PREFIX_CHARS);
    sodium_bin2base64(text + PREFIX_CHARS, CLUSTER_CHARS + 1, key->cluster, sizeof key->cluster,
                      VARIANT);
    text[KEY_AT - 1] = '_';
    sodium_bin2base64(text + KEY_AT, KEY_CHARS + 1, key->key, sizeof key->key, VARIANT);
}
