/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/rpc.h"

#include <string.h>

#include "shared/base/text_clean.h"
#include "shared/base/unpack.h"

/* ---- scanning ---- */

/* A value without what it contains, as its first bytes tell. */
struct head {
    size_t size;     /* of the head and of the bytes of the value itself */
    uint64_t values; /* that follow inside */
};

/* A number of n bytes, the highest first. */
static uint64_t read_be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* From 0xc4: bytes of a length that follows, and bytes of a fixed size on top. */
static const struct {
    uint8_t length_bytes, fixed;
} runs[] = {
    {1, 0}, {2, 0}, {4, 0},                  /* c4 bin */
    {1, 1}, {2, 1}, {4, 1},                  /* c7 ext */
    {0, 4}, {0, 8},                          /* ca float */
    {0, 1}, {0, 2}, {0, 4}, {0, 8},          /* cc uint */
    {0, 1}, {0, 2}, {0, 4}, {0, 8},          /* d0 int */
    {0, 2}, {0, 3}, {0, 5}, {0, 9}, {0, 17}, /* d4 fixext */
    {1, 0}, {2, 0}, {4, 0},                  /* d9 str */
};

/* The head of the value at p, of which n bytes are there. False: not enough of it is there yet.
 * size 0: no msgpack. */
static bool read_head(const uint8_t *p, size_t n, struct head *out)
{
    uint8_t tag = p[0];

    *out = (struct head){.size = 1};
    if (tag < 0x80 || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
        return true;
    }
    if (tag < 0xa0) {
        out->values = tag < 0x90 ? 2u * (tag & 0x0fu) : tag & 0x0fu;
        return true;
    }
    if (tag < 0xc0) {
        out->size += tag & 0x1fu;
        return true;
    }
    if (tag == 0xc1) { /* never used, says the specification */
        out->size = 0;
        return true;
    }
    bool is_container = tag >= 0xdc;
    unsigned length_bytes = is_container ? ((tag & 1) != 0 ? 4 : 2) : runs[tag - 0xc4].length_bytes;
    if (n < 1 + length_bytes) {
        return false;
    }
    uint64_t length = read_be(p + 1, length_bytes);
    out->size += length_bytes;
    if (is_container) {
        out->values = tag >= 0xde ? 2 * length : length;
    } else {
        out->size += (size_t)length + runs[tag - 0xc4].fixed;
    }
    return true;
}

/* Levels whose values have all come are left. True: the message is whole. */
static bool leave_levels(struct rpc_scan *scan)
{
    while (scan->left[scan->level] == 0) {
        if (scan->level == 0) {
            return true;
        }
        scan->level--;
    }
    return false;
}

enum rpc_scan_state rpc_scan(struct rpc_scan *scan, const uint8_t *message, size_t n, size_t max)
{
    if (!scan->is_begun && n > 0) {
        /* Three elements (a notification) or four. */
        if (message[0] != 0x93 && message[0] != 0x94) {
            return RPC_SCAN_BAD;
        }
        scan->is_begun = true;
        scan->left[0] = message[0] & 0x0fu;
        scan->at = 1;
    }
    /* at may lie behind n: in the bytes of a text that are still on their way. */
    while (scan->is_begun && !leave_levels(scan)) {
        struct head head;

        if (scan->at >= n || !read_head(message + scan->at, n - scan->at, &head)) {
            return RPC_SCAN_MORE;
        }
        if (head.size == 0 || head.size > max - scan->at ||
            head.values > max - scan->at - head.size) {
            return RPC_SCAN_BAD;
        }
        scan->left[scan->level]--;
        scan->at += head.size;
        if (head.values > 0) {
            if (scan->level == RPC_DEPTH_MAX) {
                return RPC_SCAN_BAD;
            }
            scan->left[++scan->level] = (uint32_t)head.values;
        }
    }
    return scan->is_begun && scan->at <= n ? RPC_SCAN_WHOLE : RPC_SCAN_MORE;
}

/* ---- reading ---- */

static int no_message(struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "not a message of msgpack-RPC: [0, id, method, params], [1, id, error, result] "
                   "or [2, method, params]");
}

/* One value of any type, borrowed; nil has no bytes. */
static struct rpc_span take_value(struct unpack *u)
{
    const uint8_t *from = u->in.p;

    if (unpack_is_nil(u)) {
        return (struct rpc_span){0};
    }
    unpack_skip(u, UNPACK_DEPTH_MAX);
    return (struct rpc_span){.bytes = from, .n = (size_t)(u->in.p - from)};
}

static void take_params(struct unpack *u, struct rpc_message *out)
{
    out->params = take_value(u);
    if (out->params.bytes == NULL) {
        u->in.failed = true;
        return;
    }
    struct unpack inside = unpack_from(out->params.bytes, out->params.n);
    (void)unpack_array(&inside, UINT32_MAX);
    u->in.failed = u->in.failed || unpack_failed(&inside);
}

int rpc_decode(const uint8_t *message, size_t n, struct rpc_message *out, bool *has_id,
               struct err *err)
{
    struct unpack u = unpack_from(message, n);
    struct rpc_message got = {0};
    bool answerable = false;

    uint32_t elements = unpack_array(&u, 4);
    got.kind = (enum rpc_kind)unpack_u64_most(&u, RPC_NOTIFICATION);
    if (elements != (got.kind == RPC_NOTIFICATION ? 3 : 4)) {
        u.in.failed = true;
    }
    if (got.kind != RPC_NOTIFICATION) {
        got.id = (uint32_t)unpack_u64_most(&u, UINT32_MAX);
        answerable = got.kind == RPC_REQUEST && !unpack_failed(&u);
    }
    if (got.kind == RPC_RESPONSE) {
        got.error = take_value(&u);
        got.result = take_value(&u);
    } else {
        unpack_string(&u, got.method, RPC_METHOD_MAX - 1);
        take_params(&u, &got);
    }
    if (has_id != NULL) {
        *has_id = answerable;
    }
    out->id = got.id;
    if (unpack_failed(&u) || unpack_left(&u) > 0) {
        return no_message(err);
    }
    *out = got;
    return 0;
}

static bool key_is(const char *key, size_t n, const char *word)
{
    return key != NULL && n == strlen(word) && memcmp(key, word, n) == 0;
}

/* Cut to size; what would steer a terminal is replaced. */
static void take_words(struct unpack *u, char *out, size_t size)
{
    size_t n = 0;
    const char *text = unpack_str(u, RPC_RESPONSE_MAX, &n);

    n = text == NULL ? 0 : n < size - 1 ? n : size - 1;
    for (size_t i = 0; i < n; i++) {
        out[i] = text[i] == '\0' ? '?' : text[i];
    }
    out[n] = '\0';
    text_clean(out);
}

/* {who, rights}. */
static void take_forwarded(struct unpack *u, struct rpc_call_options *options)
{
    uint32_t pairs = unpack_map(u, RPC_VALUES_MAX);

    for (uint32_t i = 0; i < pairs && !unpack_failed(u); i++) {
        size_t n = 0;
        const char *key = unpack_str(u, RPC_TEXT_KEY_MAX, &n);
        if (key_is(key, n, "who")) {
            take_words(u, options->who, sizeof options->who);
        } else if (key_is(key, n, "rights")) {
            options->rights = (unsigned)unpack_u64_most(u, UINT32_MAX);
        } else {
            unpack_skip(u, UNPACK_DEPTH_MAX);
        }
    }
    options->is_forwarded = true;
}

static void take_options(struct unpack *u, struct rpc_call_options *options)
{
    uint32_t pairs = unpack_map(u, RPC_VALUES_MAX);

    for (uint32_t i = 0; i < pairs && !unpack_failed(u); i++) {
        size_t n = 0;
        const char *key = unpack_str(u, RPC_TEXT_KEY_MAX, &n);
        if (key_is(key, n, "deadline_ms")) {
            options->deadline_ms = unpack_u64(u);
        } else if (key_is(key, n, "node")) {
            options->node = take_value(u);
        } else if (key_is(key, n, "nodes")) {
            options->nodes = take_value(u);
        } else if (key_is(key, n, "select")) {
            options->select = take_value(u);
        } else if (key_is(key, n, "forwarded")) {
            take_forwarded(u, options);
        } else {
            unpack_skip(u, UNPACK_DEPTH_MAX);
        }
    }
    if (options->deadline_ms > RPC_DEADLINE_MAX_MS) {
        options->deadline_ms = RPC_DEADLINE_MAX_MS;
    }
}

bool rpc_fits_depth(struct rpc_span value, unsigned depth)
{
    struct unpack u = unpack_from(value.bytes, value.n);

    if (value.bytes != NULL) {
        unpack_skip(&u, depth);
    }
    return !unpack_failed(&u);
}

int rpc_decode_params(struct rpc_span params, struct rpc_span *args,
                      struct rpc_call_options *options, struct err *err)
{
    struct unpack u = unpack_from(params.bytes, params.n);
    struct rpc_call_options got = {0};
    struct rpc_span map = {0};

    uint32_t n = unpack_array(&u, 2);
    if (n > 0) {
        map = take_value(&u);
    }
    if (n > 1 && !unpack_is_nil(&u)) {
        take_options(&u, &got);
    }
    if (map.bytes != NULL) {
        struct unpack inside = unpack_from(map.bytes, map.n);
        (void)unpack_map(&inside, RPC_VALUES_MAX);
        u.in.failed = u.in.failed || unpack_failed(&inside);
    }
    if (unpack_failed(&u) || unpack_left(&u) > 0) {
        return err_set(err, ERR_USAGE,
                       "params are [] or [args] or [args, options], both maps, such as "
                       "[{\"session_id\": \"last\"}, {\"deadline_ms\": 5000}]");
    }
    *args = map;
    *options = got;
    return 0;
}

int rpc_decode_cancel(struct rpc_span params, uint32_t *id, struct err *err)
{
    struct unpack u = unpack_from(params.bytes, params.n);
    uint32_t n = unpack_array(&u, 1);
    uint64_t v = unpack_u64_most(&u, UINT32_MAX);

    if (n != 1 || unpack_failed(&u) || unpack_left(&u) > 0) {
        return err_set(err, ERR_USAGE, "the params of " RPC_CANCEL " are [id]");
    }
    *id = (uint32_t)v;
    return 0;
}

int rpc_decode_error(struct rpc_span error, struct rpc_error *out, struct err *err)
{
    struct unpack u = unpack_from(error.bytes, error.n);
    struct rpc_error got = {0};
    uint32_t pairs = unpack_map(&u, RPC_VALUES_MAX);

    for (uint32_t i = 0; i < pairs && !unpack_failed(&u); i++) {
        size_t n = 0;
        const char *key = unpack_str(&u, RPC_TEXT_KEY_MAX, &n);
        if (key_is(key, n, "code")) {
            take_words(&u, got.code, sizeof got.code);
        } else if (key_is(key, n, "message")) {
            take_words(&u, got.message, sizeof got.message);
        } else if (key_is(key, n, "node") && !unpack_is_nil(&u)) {
            take_words(&u, got.node, sizeof got.node);
        } else if (!key_is(key, n, "node")) {
            unpack_skip(&u, UNPACK_DEPTH_MAX);
        }
    }
    if (unpack_failed(&u) || unpack_left(&u) > 0) {
        return err_set(err, ERR_USAGE, "the error of an answer is not {code, message, node}");
    }
    *out = got;
    return 0;
}

int rpc_code_to_err(const char *code)
{
    for (int i = ERR_USAGE; i >= ERR_DATABASE; i--) {
        if (strcmp(err_name(i), code) == 0) {
            return i;
        }
    }
    return ERR_IO;
}
