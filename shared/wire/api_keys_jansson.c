/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a node's API keys:
 *
 *   [{"id": "abcdefgh", "name": "laptop", "role": "view", "created": "2026-01-02T03:04:05.…Z",
 *     "expires": null, "hash": "64 hex digits"}]
 *
 * Members that are not known are read over, so that a newer program may add some.
 */
#include <jansson.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"
#include "shared/wire/api_key.h"
#include "shared/wire/utf8.h"

static int bad_entry(struct err *err, size_t index, const char *why)
{
    return err_set(err, ERR_DAMAGED, "entry %zu of the API keys %s", index + 1, why);
}

static bool read_time(const json_t *value, uint64_t *out)
{
    const char *text = json_string_value(value);

    /* "now" and "-10m" are for the command line. */
    return text != NULL && text[0] >= '0' && text[0] <= '9' &&
           text_parse_time(text, 0, out, NULL) == 0;
}

static bool read_hash(const char *text, uint8_t out[API_KEY_HASH_BYTES])
{
    if (text == NULL || strlen(text) != 2 * (size_t)API_KEY_HASH_BYTES) {
        return false;
    }
    for (size_t i = 0; i < 2 * (size_t)API_KEY_HASH_BYTES; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, text[i]);
        if (at == NULL) {
            return false;
        }
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (at - digits));
    }
    return true;
}

bool api_key_name_is_good(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)name[i] < ' ' || name[i] == 0x7f) {
            return false;
        }
    }
    return n < API_KEY_NAME_MAX && utf8_is_valid(name, n);
}

static int read_entry(const json_t *entry, size_t index, struct api_key *out, struct err *err)
{
    const char *id = json_string_value(json_object_get(entry, "id"));
    const char *role = json_string_value(json_object_get(entry, "role"));
    const json_t *name = json_object_get(entry, "name");
    const json_t *expires = json_object_get(entry, "expires");

    if (id == NULL || !api_key_id_is_good(id)) {
        return bad_entry(err, index, "has no id");
    }
    memcpy(out->id, id, sizeof out->id);
    if (role == NULL || !api_role_parse(role, &out->role)) {
        return bad_entry(err, index, "has no role that this program knows");
    }
    if (name != NULL && !json_is_null(name)) {
        const char *text = json_string_value(name);
        if (text == NULL || !api_key_name_is_good(text)) {
            return bad_entry(err, index, "has a name that cannot be one");
        }
        memcpy(out->name, text, strlen(text) + 1);
    }
    out->expires_ns = API_KEY_NEVER;
    if (expires == NULL || (!json_is_null(expires) && !read_time(expires, &out->expires_ns))) {
        return bad_entry(err, index, "does not say when it expires");
    }
    if (!read_time(json_object_get(entry, "created"), &out->created_ns)) {
        return bad_entry(err, index, "does not say when it was made");
    }
    if (!read_hash(json_string_value(json_object_get(entry, "hash")), out->hash)) {
        return bad_entry(err, index, "has no hash of 64 hex digits");
    }
    return 0;
}

static int read_all(const json_t *list, struct api_keys *out, struct err *err)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list)) {
        return err_set(err, ERR_DAMAGED, "the API keys are not a JSON array");
    }
    for (size_t i = 0; i < n; i++) {
        struct api_key key = {0};
        int rc = read_entry(json_array_get(list, i), i, &key, err);
        rc = rc == 0 ? api_keys_add(out, &key, err) : rc;
        if (rc < 0) {
            return rc == ERR_EXISTS ? bad_entry(err, i, "repeats an id") : rc;
        }
    }
    return 0;
}

int api_keys_decode(const char *text, size_t n, struct api_keys *out, struct err *err)
{
    json_error_t why;
    struct api_keys made = {0};
    json_t *list = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);

    if (list == NULL) {
        return err_set(err, ERR_DAMAGED, "line %d of the API keys is no JSON: %s", why.line,
                       why.text);
    }
    int rc = read_all(list, &made, err);
    json_decref(list);
    if (rc < 0) {
        api_keys_free(&made);
        return rc;
    }
    *out = made;
    return 0;
}

static json_t *time_of(uint64_t ns)
{
    char text[TEXT_NUMBER_MAX];

    if (ns == API_KEY_NEVER) {
        return json_null();
    }
    text_format_time(ns, text);
    return json_string(text);
}

char *api_keys_encode(const struct api_keys *keys)
{
    json_t *list = json_array();

    for (size_t i = 0; i < keys->n; i++) {
        const struct api_key *key = &keys->items[i];
        char hash[2 * API_KEY_HASH_BYTES + 1];
        json_t *entry = json_object();
        for (size_t k = 0; k < API_KEY_HASH_BYTES; k++) {
            hash[2 * k] = "0123456789abcdef"[key->hash[k] >> 4];
            hash[2 * k + 1] = "0123456789abcdef"[key->hash[k] & 15];
        }
        hash[sizeof hash - 1] = '\0';
        json_object_set_new(entry, "id", json_string(key->id));
        json_object_set_new(entry, "name",
                            key->name[0] == '\0' ? json_null() : json_string(key->name));
        json_object_set_new(entry, "role", json_string(api_role_name(key->role)));
        json_object_set_new(entry, "created", time_of(key->created_ns));
        json_object_set_new(entry, "expires", time_of(key->expires_ns));
        json_object_set_new(entry, "hash", json_string(hash));
        json_array_append_new(list, entry);
    }
    char *made = json_dumps(list, JSON_INDENT(2));
    REQUIRE(made != NULL);
    json_decref(list);
    char *text = x_sprintf("%s\n", made);
    free(made);
    return text;
}

struct json_t *api_key_json(const struct api_key *key, uint64_t now_ns)
{
    json_t *entry = json_object();

    json_object_set_new(entry, "id", json_string(key->id));
    json_object_set_new(entry, "name", to_json_text(key->name));
    json_object_set_new(entry, "role", json_string(api_role_name(key->role)));
    json_object_set_new(entry, "created", to_json_time(key->created_ns));
    json_object_set_new(entry, "expires", to_json_time(key->expires_ns));
    json_object_set_new(entry, "state", json_string(api_key_state(key, now_ns)));
    return entry;
}
