/* SPDX-License-Identifier: Apache-2.0 */
#include "node/capture_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/filter_bound.h"

#define SNAPLEN_MAX 262144u

struct member {
    const char *name;
    int (*take)(struct capture_body *body, const char *name, const json_t *value, struct err *err);
};

static int wants(struct err *err, const char *name, const char *what)
{
    return err_set(err, ERR_USAGE, "\"%s\" is %s", name, what);
}

static int take_interface(struct capture_body *body, const char *name, const json_t *value,
                          struct err *err)
{
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return wants(err, name, "the name of an interface");
    }
    if (body->request.n_interfaces == SESSION_MAX_SOURCES) {
        return err_set(err, ERR_USAGE, "a capture has at most %d interfaces", SESSION_MAX_SOURCES);
    }
    body->interfaces[body->request.n_interfaces++] = json_string_value(value);
    return 0;
}

static int take_interfaces(struct capture_body *body, const char *name, const json_t *value,
                           struct err *err)
{
    int r = json_is_array(value) ? 0 : wants(err, name, "an array of names");

    for (size_t i = 0; r == 0 && i < json_array_size(value); i++) {
        r = take_interface(body, name, json_array_get(value, i), err);
    }
    return r;
}

static int take_text(const char **to, const char *name, const json_t *value, struct err *err)
{
    if (!json_is_string(value)) {
        return wants(err, name, "a string");
    }
    *to = json_string_value(value);
    return 0;
}

static int take_filter(struct capture_body *body, const char *name, const json_t *value,
                       struct err *err)
{
    int code = take_text(&body->request.filter, name, value, err);

    return code < 0 ? code : filter_bound_check(body->request.filter, err);
}

static int take_name(struct capture_body *body, const char *name, const json_t *value,
                     struct err *err)
{
    return take_text(&body->request.name, name, value, err);
}

static int take_tags(struct capture_body *body, const char *name, const json_t *value,
                     struct err *err)
{
    const char *key;
    json_t *tag;
    bool good = json_is_object(value);

    json_object_foreach((json_t *)(uintptr_t)value, key, tag)
    {
        good = good && json_is_string(tag);
    }
    if (!good) {
        return wants(err, name, "an object of strings");
    }
    body->tags = json_dumps(value, JSON_COMPACT);
    REQUIRE(body->tags != NULL);
    body->request.tags = body->tags;
    return 0;
}

/* A whole number, or a text that `parse` reads. */
static int take_number(uint64_t *to, const char *name, const json_t *value,
                       int (*parse)(const char *text, uint64_t *out, struct err *err),
                       struct err *err)
{
    if (json_is_string(value)) {
        int r = parse(json_string_value(value), to, err);
        return r < 0 ? err_wrap(err, "\"%s\"", name) : 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return wants(err, name, "a whole number that is not negative, or a text such as \"10M\"");
    }
    *to = (uint64_t)json_integer_value(value);
    return 0;
}

static int take_max_packets(struct capture_body *body, const char *name, const json_t *value,
                            struct err *err)
{
    return take_number(&body->request.max_packets, name, value, text_parse_count, err);
}

static int take_max_bytes(struct capture_body *body, const char *name, const json_t *value,
                          struct err *err)
{
    return take_number(&body->request.max_bytes, name, value, text_parse_size, err);
}

static int take_snaplen(struct capture_body *body, const char *name, const json_t *value,
                        struct err *err)
{
    uint64_t snaplen = 0;
    int r = take_number(&snaplen, name, value, text_parse_size, err);

    if (r == 0 && snaplen > SNAPLEN_MAX) {
        r = err_set(err, ERR_USAGE, "\"%s\" is at most %u", name, SNAPLEN_MAX);
    }
    body->request.snaplen = (uint32_t)snaplen;
    return r;
}

static int take_duration(struct capture_body *body, const char *name, const json_t *value,
                         struct err *err)
{
    if (json_is_string(value)) {
        int r = text_parse_duration(json_string_value(value), &body->request.duration_ns, err);
        return r < 0 ? err_wrap(err, "\"%s\"", name) : 0;
    }
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0) || seconds > 1e9) {
        return wants(err, name, "a number of seconds, or a text such as \"1m30s\"");
    }
    body->request.duration_ns = (uint64_t)(seconds * 1e9 + 0.5);
    return 0;
}

static int take_promisc(struct capture_body *body, const char *name, const json_t *value,
                        struct err *err)
{
    if (!json_is_boolean(value)) {
        return wants(err, name, "true or false");
    }
    body->request.promisc = json_is_true(value);
    return 0;
}

static const struct member members[] = {
    {"interface", take_interface}, {"interfaces", take_interfaces},
    {"filter", take_filter},       {"name", take_name},
    {"tags", take_tags},           {"max_packets", take_max_packets},
    {"max_bytes", take_max_bytes}, {"duration", take_duration},
    {"snaplen", take_snaplen},     {"promisc", take_promisc},
};

static int take_member(struct capture_body *body, const char *name, const json_t *value,
                       struct err *err)
{
    const char *names[ARRAY_LEN(members)];

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (strcmp(members[i].name, name) == 0) {
            return members[i].take(body, name, value, err);
        }
        names[i] = members[i].name;
    }
    const char *near = text_nearest(name, names, ARRAY_LEN(names));
    return err_set(err, ERR_USAGE, "there is no member \"%.64s\"%s%s%s", name,
                   near == NULL ? "" : ": is \"", near == NULL ? "" : near,
                   near == NULL ? "" : "\" meant?");
}

static int take_all(struct capture_body *body, struct err *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(body->root)) {
        return err_set(err, ERR_USAGE,
                       "the content is a JSON object such as "
                       "{\"interface\":\"eth0\"}");
    }
    json_object_foreach(body->root, name, value)
    {
        int r = take_member(body, name, value, err);
        if (r < 0) {
            return r;
        }
    }
    if (json_object_get(body->root, "interface") != NULL &&
        json_object_get(body->root, "interfaces") != NULL) {
        return err_set(err, ERR_USAGE, "\"interface\" and \"interfaces\" exclude each other");
    }
    return body->request.n_interfaces > 0
               ? 0
               : err_set(err, ERR_USAGE, "\"interface\" is missing: GET /interfaces lists them");
}

int capture_body_parse(const uint8_t *text, size_t n, struct capture_body *out, struct err *err)
{
    json_error_t why;

    *out = (struct capture_body){.request.promisc = true};
    out->request.interfaces = out->interfaces;
    out->root = n == 0 ? NULL : json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &why);
    int r = n == 0              ? err_set(err, ERR_USAGE, "a JSON object is missing")
            : out->root == NULL ? err_set(err, ERR_USAGE, "not JSON: %s (line %d, column %d)",
                                          why.text, why.line, why.column)
                                : take_all(out, err);
    if (r < 0) {
        capture_body_deinit(out);
    }
    return r;
}

void capture_body_deinit(struct capture_body *body)
{
    json_decref(body->root);
    free(body->tags);
    *body = (struct capture_body){0};
}
