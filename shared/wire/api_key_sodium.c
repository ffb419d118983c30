/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

#define PREFIX       "pr_"
#define PREFIX_CHARS 3
#define ID_BYTES     5
#define SECRET_BYTES 32
#define SECRET_CHARS 43
#define KEY_CHARS    (PREFIX_CHARS + API_KEY_ID_CHARS + 1 + SECRET_CHARS)

_Static_assert(KEY_CHARS < API_KEY_TEXT_MAX, "a key fits its text");

/* Five bytes are eight characters of base32 (RFC 4648, lower case, no padding). */
static void make_id(char out[API_KEY_ID_CHARS + 1])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t bytes[ID_BYTES];
    uint64_t number = 0;

    randombytes_buf(bytes, sizeof bytes);
    for (size_t i = 0; i < ID_BYTES; i++) {
        number = number << 8 | bytes[i];
    }
    for (size_t i = 0; i < API_KEY_ID_CHARS; i++) {
        out[i] = digits[(number >> (5 * i)) & 31];
    }
    out[API_KEY_ID_CHARS] = '\0';
}

static void hash_secret(const uint8_t secret[SECRET_BYTES], uint8_t hash[API_KEY_HASH_BYTES])
{
    crypto_generichash(hash, API_KEY_HASH_BYTES, secret, SECRET_BYTES, NULL, 0);
}

void api_key_make(struct api_key *key, char text[API_KEY_TEXT_MAX])
{
    uint8_t secret[SECRET_BYTES];
    const size_t before = PREFIX_CHARS + API_KEY_ID_CHARS + 1;

    REQUIRE(sodium_init() >= 0);
    make_id(key->id);
    randombytes_buf(secret, sizeof secret);
    hash_secret(secret, key->hash);
    memcpy(text, PREFIX, PREFIX_CHARS);
    memcpy(text + PREFIX_CHARS, key->id, API_KEY_ID_CHARS);
    text[before - 1] = '_';
    sodium_bin2base64(text + before, API_KEY_TEXT_MAX - before, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
}

int api_key_parse(const char *text, char id[API_KEY_ID_CHARS + 1], uint8_t hash[API_KEY_HASH_BYTES],
                  struct err *err)
{
    uint8_t secret[SECRET_BYTES];
    char found[API_KEY_ID_CHARS + 1] = {0};
    size_t n = 0;
    bool good = strlen(text) == KEY_CHARS && strncmp(text, PREFIX, PREFIX_CHARS) == 0 &&
                text[PREFIX_CHARS + API_KEY_ID_CHARS] == '_';

    if (good) {
        memcpy(found, text + PREFIX_CHARS, API_KEY_ID_CHARS);
        good =
            api_key_id_is_good(found) &&
            sodium_base642bin(secret, sizeof secret, text + KEY_CHARS - SECRET_CHARS, SECRET_CHARS,
                              NULL, &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
            n == sizeof secret;
    }
    if (good) {
        memcpy(id, found, sizeof found);
        hash_secret(secret, hash);
    }
    sodium_memzero(secret, sizeof secret);
    return good ? 0
                : err_set(err, ERR_KEY,
                          "that is no API key: one looks like pr_ID_SECRET, and packetrecorder "
                          "keys add makes one");
}

int api_keys_check(const struct api_keys *keys, const char *text, uint64_t now_ns,
                   const struct api_key **out, struct err *err)
{
    static const uint8_t nobody[API_KEY_HASH_BYTES];
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];
    const struct api_key *found = NULL;
    int rc = api_key_parse(text, id, hash, err);

    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < keys->n; i++) {
        found = strcmp(keys->items[i].id, id) == 0 ? &keys->items[i] : found;
    }
    bool same = sodium_memcmp(found != NULL ? found->hash : nobody, hash, sizeof hash) == 0;
    sodium_memzero(hash, sizeof hash);
    if (found == NULL || !same) {
        return err_set(err, ERR_KEY,
                       "the API key pr_%s_… is not valid here: unknown, revoked, or its secret is "
                       "wrong",
                       id);
    }
    if (found->expires_ns <= now_ns) {
        return err_set(err, ERR_KEY, "the API key pr_%s_… has expired", id);
    }
    *out = found;
    return 0;
}
