/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge between msgpack and the JSON values that handlers and the command line work with. JSON
 * of ours may be as deep as it is; what comes in is bounded.
 */
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/unpack.h"
#include "shared/wire/rpc.h"

/* ---- out ---- */

static void put_string(struct buf *out, const json_t *value)
{
    rpc_put_text_n(out, json_string_value(value), json_string_length(value));
}

static void put_object(struct buf *out, const json_t *value)
{
    const char *key;
    json_t *member;

    rpc_put_map(out, (uint32_t)json_object_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        rpc_put_text(out, key);
        rpc_put_json(out, member);
    }
}

static void put_array(struct buf *out, const json_t *value)
{
    rpc_put_array(out, (uint32_t)json_array_size(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        rpc_put_json(out, json_array_get(value, i));
    }
}

void rpc_put_json(struct buf *out, const json_t *value)
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value);
        break;
    case JSON_ARRAY:
        put_array(out, value);
        break;
    case JSON_STRING:
        put_string(out, value);
        break;
    case JSON_INTEGER:
        rpc_put_i64(out, json_integer_value(value));
        break;
    case JSON_REAL:
        rpc_put_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        rpc_put_bool(out, json_is_true(value));
        break;
    case JSON_NULL:
        rpc_put_nil(out);
        break;
    }
}

/* ---- in ---- */

struct reading {
    struct unpack u;
    size_t left; /* values that may still come */
    const char *why;
};

static json_t *read_value(struct reading *r, unsigned depth);

static json_t *fail(struct reading *r, const char *why)
{
    if (r->why == NULL) {
        r->why = why;
    }
    r->u.in.failed = true;
    return NULL;
}

static json_t *read_float(struct reading *r, bool is_double)
{
    double v;

    (void)bytes_u8(&r->u.in);
    const uint8_t *p = bytes_take(&r->u.in, is_double ? 8 : 4);
    if (p == NULL) {
        return NULL;
    }
    if (is_double) {
        uint64_t bits = get_be64(p);
        memcpy(&v, &bits, sizeof v);
    } else {
        uint32_t bits = get_be32(p);
        float f;
        memcpy(&f, &bits, sizeof f);
        v = (double)f;
    }
    return isfinite(v) ? json_real(v) : fail(r, "a number that is infinite or none");
}

static json_t *read_string(struct reading *r)
{
    size_t n = 0;
    const char *text = unpack_str(&r->u, RPC_RESPONSE_MAX, &n);
    json_t *value = text == NULL ? NULL : json_stringn(text, n);

    return value != NULL || unpack_failed(&r->u) ? value : fail(r, "a text that is not UTF-8");
}

static json_t *read_array(struct reading *r, unsigned depth)
{
    uint32_t n = unpack_array(&r->u, UINT32_MAX);
    json_t *array = json_array();

    for (uint32_t i = 0; i < n && !unpack_failed(&r->u); i++) {
        json_t *value = read_value(r, depth - 1);
        if (value != NULL) {
            json_array_append_new(array, value);
        }
    }
    return array;
}

static void read_member(struct reading *r, json_t *object, unsigned depth)
{
    char key[RPC_TEXT_KEY_MAX + 1];
    size_t n = 0;
    const char *text = unpack_str(&r->u, RPC_TEXT_KEY_MAX, &n);

    if (text == NULL || memchr(text, '\0', n) != NULL) {
        fail(r, "a key of a map that is no text, or a long one");
        return;
    }
    memcpy(key, text, n);
    key[n] = '\0';
    if (json_object_get(object, key) != NULL) {
        fail(r, "a key twice in a map");
        return;
    }
    json_t *value = read_value(r, depth - 1);
    if (value != NULL && json_object_set_new(object, key, value) < 0) {
        fail(r, "a text that is not UTF-8");
    }
}

static json_t *read_object(struct reading *r, unsigned depth)
{
    uint32_t n = unpack_map(&r->u, UINT32_MAX);
    json_t *object = json_object();

    for (uint32_t i = 0; i < n && !unpack_failed(&r->u); i++) {
        read_member(r, object, depth);
    }
    return object;
}

static json_t *read_integer(struct reading *r, uint8_t tag)
{
    if (tag == 0xcf) {
        uint64_t v = unpack_u64(&r->u);
        return v > INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v);
    }
    return json_integer((json_int_t)unpack_i64(&r->u));
}

static json_t *read_by_tag(struct reading *r, uint8_t tag, unsigned depth)
{
    bool is_map = (tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf;
    bool is_array = (tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd;

    if ((is_map || is_array) && depth == 0) {
        return fail(r, "more maps and arrays inside each other than are taken");
    }
    if (is_map) {
        return read_object(r, depth);
    }
    if (is_array) {
        return read_array(r, depth);
    }
    if (tag == 0xc2 || tag == 0xc3) {
        return json_boolean(unpack_bool(&r->u));
    }
    if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
        return read_string(r);
    }
    if (tag == 0xca || tag == 0xcb) {
        return read_float(r, tag == 0xcb);
    }
    if (tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3)) {
        return read_integer(r, tag);
    }
    return fail(r, "bytes or an extension, where only texts, numbers, maps and arrays are taken");
}

static json_t *read_value(struct reading *r, unsigned depth)
{
    if (unpack_failed(&r->u) || unpack_left(&r->u) == 0) {
        return fail(r, "a value that is cut off");
    }
    if (r->left-- == 0) {
        r->left = 0;
        return fail(r, "more values than are taken");
    }
    if (unpack_is_nil(&r->u)) {
        return json_null();
    }
    json_t *value = read_by_tag(r, *r->u.in.p, depth);
    if (unpack_failed(&r->u)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

int rpc_to_json(struct rpc_span value, size_t max_values, json_t **out, struct err *err)
{
    struct reading r = {.u = unpack_from(value.bytes, value.n), .left = max_values};
    json_t *got = value.bytes == NULL ? json_null() : read_value(&r, RPC_DEPTH_MAX);

    if (value.bytes != NULL && (unpack_failed(&r.u) || unpack_left(&r.u) > 0)) {
        json_decref(got);
        return err_set(err, r.left == 0 ? ERR_LIMIT : ERR_USAGE, "the call has %s",
                       r.why == NULL ? "what is no msgpack" : r.why);
    }
    *out = got;
    return 0;
}
