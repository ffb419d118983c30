/* SPDX-License-Identifier: Apache-2.0 */
#include "node/capture_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/filter_bound.h"

#define SNAPLEN_MAX  262144
#define DURATION_MAX 1000000000         /* seconds */
#define EXACT_MAX    9007199254740992.0 /* beyond it a double leaves numbers out */
#define TEXT_OF(n)   #n
#define TEXT(n)      TEXT_OF(n)

struct member {
    const char *name;
    int (*take)(struct capture_body *body, const char *name, const json_t *value, struct err *err);
    const char *schema; /* what it takes, as JSON Schema: members of an object */
    const char *help;
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

/* 2.0 and 2e3 are whole numbers too, as JSON Schema has it. False: it is none, or negative. */
static bool whole_number(const json_t *value, uint64_t *out)
{
    double number = json_number_value(value);

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || !(number >= 0) || number > EXACT_MAX || floor(number) < number) {
        return false;
    }
    *out = (uint64_t)number;
    return true;
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
    if (!whole_number(value, to)) {
        return wants(err, name, "a whole number that is not negative, or a text such as \"10M\"");
    }
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
        r = err_set(err, ERR_USAGE, "\"%s\" is at most %d", name, SNAPLEN_MAX);
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
    if (!json_is_number(value) || !(seconds >= 0) || seconds > DURATION_MAX) {
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

/* The parser and the schema of /openapi.json. */
#define NAME_SCHEMA   "\"type\":\"string\",\"minLength\":1"
#define NUMBER_SCHEMA "\"type\":[\"integer\",\"string\"],\"minimum\":0"

static const struct member members[] = {
    {"interface", take_interface, NAME_SCHEMA ",\"examples\":[\"lo\"]",
     "An interface; or \"interfaces\"."},
    {"interfaces", take_interfaces,
     "\"type\":\"array\",\"minItems\":1,\"maxItems\":" TEXT(
         SESSION_MAX_SOURCES) ",\"items\":{" NAME_SCHEMA "},\"examples\":[[\"lo\"]]",
     "Several interfaces, recorded into one session."},
    {"filter", take_filter,
     "\"type\":\"string\",\"maxLength\":" TEXT(
         FILTER_ASKED_BYTES) ",\"examples\":[\"tcp port 443\"]",
     "Only packets that this pcap filter lets through."},
    {"name", take_name, "\"type\":\"string\",\"examples\":[\"office\"]",
     "A name of the session, in place of its id."},
    {"tags", take_tags,
     "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
     "\"examples\":[{\"site\":\"north\"}]",
     "Words about the session."},
    {"max_packets", take_max_packets, NUMBER_SCHEMA ",\"examples\":[1000,\"10k\"]",
     "Ends after so many packets; 0 is no limit."},
    {"max_bytes", take_max_bytes, NUMBER_SCHEMA ",\"examples\":[1000000,\"1GiB\"]",
     "Ends after so many bytes of packets; 0 is no limit."},
    {"duration", take_duration,
     "\"type\":[\"number\",\"string\"],\"minimum\":0,\"maximum\":" TEXT(
         DURATION_MAX) ",\"examples\":[90.5,\"1m30s\"]",
     "Ends after so many seconds, or a text with units; 0 is no limit."},
    {"snaplen", take_snaplen,
     NUMBER_SCHEMA ",\"maximum\":" TEXT(SNAPLEN_MAX) ",\"examples\":[96,\"128\"]",
     "Keeps so many bytes of each packet; 0 keeps all."},
    {"promisc", take_promisc, "\"type\":\"boolean\",\"default\":true,\"examples\":[false]",
     "Also what is not for this host."},
};

struct json_t *capture_body_schema(void)
{
    json_t *properties = json_object();

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        char *text = x_sprintf("{%s}", members[i].schema);
        json_t *one = json_loads(text, 0, NULL);
        REQUIRE(one != NULL);
        json_object_set_new(one, "description", json_string(members[i].help));
        json_object_set_new(properties, members[i].name, one);
        mem_free(text);
    }
    return json_pack("{s:s, s:b, s:[{s:[s]}, {s:[s]}], s:o}", "type", "object",
                     "additionalProperties", 0, "oneOf", "required", "interface", "required",
                     "interfaces", "properties", properties);
}

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
               : err_set(
                     err, ERR_USAGE,
                     "\"interface\" is missing: GET /interfaces, or node.interfaces, lists them");
}

int capture_body_of(json_t *object, struct capture_body *out, struct err *err)
{
    *out = (struct capture_body){.request.promisc = true};
    out->request.interfaces = out->interfaces;
    out->root = json_incref(object);
    int r = take_all(out, err);
    if (r < 0) {
        capture_body_deinit(out);
    }
    return r;
}

int capture_body_parse(const uint8_t *text, size_t n, struct capture_body *out, struct err *err)
{
    json_error_t why;
    json_t *root = n == 0 ? NULL : json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &why);

    *out = (struct capture_body){0};
    int r = n == 0         ? err_set(err, ERR_USAGE, "a JSON object is missing")
            : root == NULL ? err_set(err, ERR_USAGE, "not JSON: %s (line %d, column %d)", why.text,
                                     why.line, why.column)
                           : capture_body_of(root, out, err);
    json_decref(root);
    return r;
}

void capture_body_deinit(struct capture_body *body)
{
    json_decref(body->root);
    free(body->tags);
    *body = (struct capture_body){0};
}
