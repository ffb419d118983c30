/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/api_key.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

static const unsigned rights[API_ROLES] = {
    [ROLE_VIEW] = RIGHT_VIEW,
    [ROLE_CAPTURE] = RIGHT_VIEW | RIGHT_CAPTURE,
    [ROLE_INJECT] = RIGHT_VIEW | RIGHT_INJECT,
    [ROLE_INGEST] = RIGHT_INGEST,
    [ROLE_ADMIN] = RIGHT_VIEW | RIGHT_CAPTURE | RIGHT_INJECT | RIGHT_INGEST | RIGHT_ADMIN,
};

const char *const api_role_names[API_ROLES + 1] = {
    [ROLE_VIEW] = "view",     [ROLE_CAPTURE] = "capture", [ROLE_INJECT] = "inject",
    [ROLE_INGEST] = "ingest", [ROLE_ADMIN] = "admin",     NULL,
};

unsigned api_role_rights(enum api_role role)
{
    REQUIRE((unsigned)role < API_ROLES);
    return rights[role];
}

const char *api_role_name(enum api_role role)
{
    REQUIRE((unsigned)role < API_ROLES);
    return api_role_names[role];
}

const char *api_right_name(unsigned right)
{
    switch (right) {
    case RIGHT_VIEW:
        return "view";
    case RIGHT_CAPTURE:
        return "capture";
    case RIGHT_INJECT:
        return "inject";
    case RIGHT_INGEST:
        return "ingest";
    case RIGHT_ADMIN:
        return "admin";
    default:
        return "none";
    }
}

bool api_role_parse(const char *text, enum api_role *out)
{
    for (int i = 0; i < API_ROLES; i++) {
        if (strcmp(text, api_role_names[i]) == 0) {
            *out = (enum api_role)i;
            return true;
        }
    }
    return false;
}

bool api_key_id_is_good(const char *id)
{
    for (size_t i = 0; i < API_KEY_ID_CHARS; i++) {
        if (!(id[i] >= 'a' && id[i] <= 'z') && !(id[i] >= '2' && id[i] <= '7')) {
            return false;
        }
    }
    return id[API_KEY_ID_CHARS] == '\0';
}

void api_keys_free(struct api_keys *keys)
{
    mem_free(keys->items);
    *keys = (struct api_keys){0};
}

int api_keys_add(struct api_keys *keys, const struct api_key *key, struct err *err)
{
    if (keys->n >= API_KEYS_MAX) {
        return err_set(err, ERR_LIMIT,
                       "there are %d API keys already: revoke some with packetrecorder keys revoke",
                       API_KEYS_MAX);
    }
    for (size_t i = 0; i < keys->n; i++) {
        if (strcmp(keys->items[i].id, key->id) == 0) {
            return err_set(err, ERR_EXISTS, "there is an API key %s already: try again", key->id);
        }
    }
    keys->items = x_realloc(keys->items, (keys->n + 1) * sizeof *keys->items);
    keys->items[keys->n++] = *key;
    return 0;
}

void api_keys_remove(struct api_keys *keys, size_t index)
{
    REQUIRE(index < keys->n);
    keys->n--;
    memmove(keys->items + index, keys->items + index + 1, (keys->n - index) * sizeof *keys->items);
}

int api_keys_find(const struct api_keys *keys, const char *word, size_t *index, struct err *err)
{
    const char *id = strncmp(word, "pr_", 3) == 0 ? word + 3 : word;
    size_t n = strcspn(id, "_");
    size_t found = 0;

    for (size_t i = 0; i < keys->n; i++) {
        const struct api_key *key = &keys->items[i];
        bool fits = n > 0 && n <= API_KEY_ID_CHARS && strncmp(key->id, id, n) == 0;
        if (fits || (key->name[0] != '\0' && strcmp(key->name, word) == 0)) {
            *index = i;
            found++;
        }
    }
    /* Neither sentence quotes the word: it may be a whole key. */
    if (found == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "no API key has that id or name: packetrecorder keys list shows them");
    }
    if (found > 1) {
        return err_set(err, ERR_AMBIGUOUS,
                       "%zu API keys fit: give the whole id, packetrecorder keys list shows it",
                       found);
    }
    return 0;
}

int api_key_parse_expiry(const char *text, uint64_t now_ns, uint64_t *out, struct err *err)
{
    uint64_t ns;

    if (text == NULL) {
        *out = API_KEY_NEVER;
        return 0;
    }
    if (text_parse_duration(text, &ns, NULL) == 0) {
        ns = ns > UINT64_MAX - 1 - now_ns ? UINT64_MAX - 1 : now_ns + ns;
    } else if (text_parse_time(text, now_ns, &ns, NULL) != 0) {
        return err_set(err, ERR_USAGE,
                       "'%.80s' is neither a duration such as 30d nor a time such as 2030-01-31",
                       text);
    }
    if (ns <= now_ns) {
        return err_set(err, ERR_USAGE, "'%.80s' is past already", text);
    }
    *out = ns;
    return 0;
}

const char *api_key_state(const struct api_key *key, uint64_t now_ns)
{
    return key->expires_ns <= now_ns ? "expired" : "active";
}
