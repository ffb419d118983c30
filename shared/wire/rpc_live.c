/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/rpc_live.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/unpack.h"

#define MEMBERS_MAX 64
#define KEY_MAX     64

/* ---- calls ---- */

void rpc_live_put_open(struct buf *out, const char *interface, const char *filter, uint32_t snaplen)
{
    bool has_filter = filter != NULL && filter[0] != '\0';

    rpc_put_map(out, 1 + (has_filter ? 1 : 0) + (snaplen > 0 ? 1 : 0));
    rpc_put_text(out, "interface");
    rpc_put_text(out, interface);
    if (has_filter) {
        rpc_put_text(out, "filter");
        rpc_put_text(out, filter);
    }
    if (snaplen > 0) {
        rpc_put_text(out, "snaplen");
        rpc_put_u64(out, snaplen);
    }
}

void rpc_live_put_read(struct buf *out, uint64_t stream, uint64_t wait_ms, uint64_t max_bytes)
{
    rpc_put_map(out, 3);
    rpc_put_text(out, "stream");
    rpc_put_u64(out, stream);
    rpc_put_text(out, "wait_ms");
    rpc_put_u64(out, wait_ms);
    rpc_put_text(out, "max_bytes");
    rpc_put_u64(out, max_bytes);
}

void rpc_live_put_close(struct buf *out, uint64_t stream)
{
    rpc_put_map(out, 1);
    rpc_put_text(out, "stream");
    rpc_put_u64(out, stream);
}

/* ---- answers ---- */

/* A text that may be shown: what is not printable ASCII becomes '?'; what is too long is cut. */
static void read_text(struct unpack *u, char *out, size_t size)
{
    size_t n = 0;
    const char *text = unpack_str(u, RPC_RESPONSE_MAX, &n);

    n = text == NULL ? 0 : n;
    n = n < size ? n : size - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = (char)(c < 0x20 || c >= 0x7f ? '?' : c);
    }
    out[n] = '\0';
}

static bool is_key(const char *key, size_t n, const char *name)
{
    return n == strlen(name) && memcmp(key, name, n) == 0;
}

/* Calls member for each; it reads one value. What it does not know it gives back as false. */
static int read_map(struct rpc_span result, const char *what,
                    bool (*member)(struct unpack *u, const char *key, size_t n, void *arg),
                    void *arg, struct err *err)
{
    struct unpack u = unpack_from(result.bytes, result.bytes == NULL ? 0 : result.n);
    uint32_t n = unpack_map(&u, MEMBERS_MAX);

    for (uint32_t i = 0; i < n && !unpack_failed(&u); i++) {
        size_t n_key = 0;
        const char *key = unpack_str(&u, KEY_MAX, &n_key);
        if (key != NULL && !member(&u, key, n_key, arg)) {
            unpack_skip(&u, UNPACK_DEPTH_MAX);
        }
    }
    return unpack_failed(&u) || unpack_left(&u) > 0
               ? err_set(err, ERR_DAMAGED, "the node's answer to %s is not as it should be", what)
               : 0;
}

static bool opened_member(struct unpack *u, const char *key, size_t n, void *arg)
{
    struct rpc_live_opened *out = arg;

    if (is_key(key, n, "stream")) {
        out->stream = unpack_u64(u);
    } else if (is_key(key, n, "link_type")) {
        out->link_type = (uint32_t)unpack_u64_most(u, UINT16_MAX);
    } else if (is_key(key, n, "snaplen")) {
        out->snaplen = (uint32_t)unpack_u64_most(u, UINT32_MAX);
    } else {
        return false;
    }
    return true;
}

int rpc_live_read_opened(struct rpc_span result, struct rpc_live_opened *out, struct err *err)
{
    *out = (struct rpc_live_opened){0};
    int rc = read_map(result, "live.open", opened_member, out, err);

    return rc == 0 && out->stream == 0
               ? err_set(err, ERR_DAMAGED, "the node's answer to live.open has no stream")
               : rc;
}

static void read_clock(struct unpack *u, struct rpc_live_answer *out)
{
    unsigned got = 0;

    if (unpack_is_nil(u)) {
        return;
    }
    uint32_t n_members = unpack_map(u, MEMBERS_MAX);
    for (uint32_t i = 0; i < n_members && !unpack_failed(u); i++) {
        size_t n = 0;
        const char *key = unpack_str(u, KEY_MAX, &n);
        if (key != NULL && is_key(key, n, "offset_ns")) {
            out->offset_ns = unpack_i64(u);
            got |= 1;
        } else if (key != NULL && is_key(key, n, "bound_ns")) {
            out->bound_ns = unpack_u64(u);
            got |= 2;
        } else {
            unpack_skip(u, UNPACK_DEPTH_MAX);
        }
    }
    out->has_clock = got == 3;
}

static bool answer_member(struct unpack *u, const char *key, size_t n, void *arg)
{
    struct rpc_live_answer *out = arg;

    if (is_key(key, n, "data")) {
        out->data.bytes = unpack_bin(u, RPC_LIVE_ANSWER_MAX, &out->data.n);
    } else if (is_key(key, n, "watermark_ns")) {
        out->watermark_ns = unpack_u64(u);
    } else if (is_key(key, n, "packets")) {
        out->packets = unpack_u64(u);
    } else if (is_key(key, n, "lost")) {
        out->lost = unpack_u64(u);
    } else if (is_key(key, n, "clock")) {
        read_clock(u, out);
    } else if (is_key(key, n, "node")) {
        read_text(u, out->node, sizeof out->node);
    } else if (is_key(key, n, "end")) {
        out->end = unpack_bool(u);
    } else if (is_key(key, n, "why")) {
        read_text(u, out->why, sizeof out->why);
    } else {
        return false;
    }
    return true;
}

int rpc_live_read_answer(struct rpc_span result, struct rpc_live_answer *out, struct err *err)
{
    *out = (struct rpc_live_answer){0};
    return read_map(result, "live.read", answer_member, out, err);
}
