/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/secret_sodium.h"

#include <string.h>

#include <sodium.h>

#include "shared/base/mem.h"

#define DB_KEY_PREFIX "prd_"
#define DB_KEY_BYTES  32

char *secret_take(char *word)
{
    size_t n = strlen(word);

    REQUIRE(sodium_init() >= 0);
    char *secret = sodium_malloc(n + 1);
    REQUIRE(secret != NULL);
    memcpy(secret, word, n + 1);
    sodium_memzero(word, n);
    return secret;
}

void secret_free(char *secret)
{
    sodium_free(secret);
}

void secret_make_db_key(char out[SECRET_KEY_TEXT_MAX])
{
    const size_t prefix = sizeof DB_KEY_PREFIX - 1;
    unsigned char key[DB_KEY_BYTES];

    REQUIRE(sodium_init() >= 0);
    randombytes_buf(key, sizeof key);
    memcpy(out, DB_KEY_PREFIX, prefix);
    sodium_bin2base64(out + prefix, SECRET_KEY_TEXT_MAX - prefix, key, sizeof key,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(key, sizeof key);
}
