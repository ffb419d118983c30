/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/cluster_key.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "shared/base/mem.h"

#define PREFIX        "prc_"
#define ADMIN_PREFIX  "pra_"
#define PUBLIC_PREFIX "prv_"
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

static bool read_line(const char *text, const char *prefix, struct cluster_key *out)
{
    struct cluster_key key;
    bool good = strlen(text) == TEXT_CHARS && memcmp(text, prefix, PREFIX_CHARS) == 0 &&
                text[KEY_AT - 1] == '_' &&
                read_part(text + PREFIX_CHARS, CLUSTER_CHARS, key.cluster, sizeof key.cluster) &&
                read_part(text + KEY_AT, KEY_CHARS, key.key, sizeof key.key);

    if (good) {
        *out = key;
    }
    sodium_memzero(&key, sizeof key);
    return good;
}

static void write_line(const struct cluster_key *key, const char *prefix,
                       char text[CLUSTER_KEY_TEXT_MAX])
{
    memcpy(text, prefix, PREFIX_CHARS);
    sodium_bin2base64(text + PREFIX_CHARS, CLUSTER_CHARS + 1, key->cluster, sizeof key->cluster,
                      VARIANT);
    text[KEY_AT - 1] = '_';
    sodium_bin2base64(text + KEY_AT, KEY_CHARS + 1, key->key, sizeof key->key, VARIANT);
}

int cluster_key_parse(const char *text, struct cluster_key *out, struct err *err)
{
    return read_line(text, PREFIX, out)
               ? 0
               : err_set(err, ERR_KEY,
                         "that is no cluster key: one looks like prc_CLUSTERID_KEY, and "
                         "'packetrecorder keys cluster-new' makes one");
}

void cluster_key_print(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX])
{
    write_line(key, PREFIX, text);
}

/* ---- the admin's ---- */

int admin_key_parse(const char *text, struct cluster_key *out, struct err *err)
{
    return read_line(text, ADMIN_PREFIX, out)
               ? 0
               : err_set(err, ERR_KEY,
                         "that is no admin key: one looks like pra_CLUSTERID_SEED, and "
                         "'packetrecorder keys admin-new' makes one");
}

void admin_key_print(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX])
{
    write_line(key, ADMIN_PREFIX, text);
}

void admin_key_secret(const struct cluster_key *key, uint8_t secret[ADMIN_SECRET_BYTES])
{
    uint8_t public_key[ADMIN_PUBLIC_BYTES];

    REQUIRE(sodium_init() >= 0);
    (void)crypto_sign_seed_keypair(public_key, secret, key->key);
}

void admin_key_public(const struct cluster_key *key, uint8_t out[ADMIN_PUBLIC_BYTES])
{
    uint8_t secret[ADMIN_SECRET_BYTES];

    REQUIRE(sodium_init() >= 0);
    (void)crypto_sign_seed_keypair(out, secret, key->key);
    sodium_memzero(secret, sizeof secret);
}

int admin_public_parse(const char *text, uint8_t out[ADMIN_PUBLIC_BYTES], struct err *err)
{
    uint8_t key[ADMIN_PUBLIC_BYTES];

    if (strlen(text) != PREFIX_CHARS + KEY_CHARS ||
        memcmp(text, PUBLIC_PREFIX, PREFIX_CHARS) != 0 ||
        !read_part(text + PREFIX_CHARS, KEY_CHARS, key, sizeof key)) {
        return err_set(err, ERR_USAGE,
                       "that is not the public half of an admin key: one looks like prv_PUBLIC, "
                       "and 'packetrecorder keys admin-public --of FILE' prints it");
    }
    memcpy(out, key, sizeof key);
    return 0;
}

void admin_public_print(const uint8_t key[ADMIN_PUBLIC_BYTES], char text[ADMIN_PUBLIC_TEXT_MAX])
{
    memcpy(text, PUBLIC_PREFIX, PREFIX_CHARS);
    sodium_bin2base64(text + PREFIX_CHARS, KEY_CHARS + 1, key, ADMIN_PUBLIC_BYTES, VARIANT);
}
