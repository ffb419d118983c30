/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of API keys and the text of a key: what was taken must come back from what is written,
 * and nobody gets in by a text that was not made for one of the keys.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

#define TEXT_MAX_BYTES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_file(const char *text, size_t n)
{
    struct api_keys keys = {0};
    struct api_keys again = {0};
    struct err err = {0};

    if (api_keys_decode(text, n, &keys, &err) != 0) {
        REQUIRE((err.code == ERR_DAMAGED || err.code == ERR_LIMIT) && err.text[0] != '\0');
        return;
    }
    REQUIRE(keys.n <= API_KEYS_MAX);
    char *written = api_keys_encode(&keys);
    REQUIRE(api_keys_decode(written, strlen(written), &again, NULL) == 0);
    REQUIRE(again.n == keys.n);
    for (size_t i = 0; i < keys.n; i++) {
        const struct api_key *a = &keys.items[i];
        const struct api_key *b = &again.items[i];
        REQUIRE(strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0);
        REQUIRE(a->role == b->role && a->created_ns == b->created_ns);
        REQUIRE(a->expires_ns == b->expires_ns && memcmp(a->hash, b->hash, sizeof a->hash) == 0);
    }
    mem_free(written);
    api_keys_free(&keys);
    api_keys_free(&again);
}

static void check_text(const char *text)
{
    char made[API_KEY_TEXT_MAX];
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];
    struct api_key key = {.expires_ns = API_KEY_NEVER};
    const struct api_keys keys = {.items = &key, .n = 1};
    const struct api_key *found;
    size_t index;

    api_key_make(&key, made);
    REQUIRE(api_keys_check(&keys, made, 1, &found, NULL) == 0);
    REQUIRE(api_keys_check(&keys, text, 1, &found, NULL) == ERR_KEY);
    if (api_key_parse(text, id, hash, NULL) == 0) {
        REQUIRE(api_key_id_is_good(id));
    }
    (void)api_keys_find(&keys, text, &index, NULL);
    (void)api_key_name_is_good(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > TEXT_MAX_BYTES) {
        return 0;
    }
    char *text = x_alloc(n + 1);
    memcpy(text, data, n);
    check_file(text, n);
    check_text(text);
    mem_free(text);
    return 0;
}
