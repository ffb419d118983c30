/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "shared/base/pack.h"
#include "shared/wire/rpc.h"

#define HEAD_MAX 9 /* of a number; longer than any other head */

/* The values whose size is known beforehand go through the bounded writer. */
#define PUT(out, call)                                                                             \
    do {                                                                                           \
        buf_reserve((out), HEAD_MAX);                                                              \
        struct pack p_ = pack_into((out)->data + (out)->len, HEAD_MAX);                            \
        call;                                                                                      \
        (out)->len += pack_length(&p_);                                                            \
    } while (0)

void rpc_put_map(struct buf *out, uint32_t n_pairs)
{
    PUT(out, pack_map(&p_, n_pairs));
}

void rpc_put_array(struct buf *out, uint32_t n)
{
    PUT(out, pack_array(&p_, n));
}

void rpc_put_nil(struct buf *out)
{
    buf_put_u8(out, 0xc0);
}

void rpc_put_bool(struct buf *out, bool v)
{
    buf_put_u8(out, v ? 0xc3 : 0xc2);
}

void rpc_put_u64(struct buf *out, uint64_t v)
{
    PUT(out, pack_u64(&p_, v));
}

void rpc_put_i64(struct buf *out, int64_t v)
{
    PUT(out, pack_i64(&p_, v));
}

void rpc_put_real(struct buf *out, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    buf_put_u8(out, 0xcb);
    for (int shift = 56; shift >= 0; shift -= 8) {
        buf_put_u8(out, (uint8_t)(bits >> shift));
    }
}

/* The length of a text or of bytes: tag is that of the 8-bit form, those of 16 and 32 follow. */
static void put_length(struct buf *out, uint8_t tag, size_t n)
{
    int bytes = n <= UINT8_MAX ? 1 : n <= UINT16_MAX ? 2 : 4;

    buf_put_u8(out, (uint8_t)(tag + (bytes == 1 ? 0 : bytes == 2 ? 1 : 2)));
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        buf_put_u8(out, (uint8_t)(n >> shift));
    }
}

void rpc_put_text_n(struct buf *out, const char *text, size_t n)
{
    if (n < 32) {
        buf_put_u8(out, (uint8_t)(0xa0 | n));
    } else {
        put_length(out, 0xd9, n);
    }
    buf_append(out, text, n);
}

void rpc_put_text(struct buf *out, const char *text)
{
    if (text == NULL) {
        rpc_put_nil(out);
    } else {
        rpc_put_text_n(out, text, strlen(text));
    }
}

void rpc_put_bin(struct buf *out, const void *bytes, size_t n)
{
    put_length(out, 0xc4, n);
    buf_append(out, bytes, n);
}

static void put_span(struct buf *out, struct rpc_span span)
{
    if (span.bytes == NULL) {
        rpc_put_nil(out);
    } else {
        buf_append(out, span.bytes, span.n);
    }
}

static void put_option(struct buf *out, const char *name, struct rpc_span value)
{
    if (value.bytes != NULL) {
        rpc_put_text(out, name);
        put_span(out, value);
    }
}

static void put_options(struct buf *out, const struct rpc_call_options *options, uint32_t n)
{
    rpc_put_map(out, n);
    if (options->deadline_ms > 0) {
        rpc_put_text(out, "deadline_ms");
        rpc_put_u64(out, options->deadline_ms);
    }
    put_option(out, "node", options->node);
    put_option(out, "nodes", options->nodes);
    put_option(out, "select", options->select);
    if (options->is_forwarded) {
        rpc_put_text(out, "forwarded");
        rpc_put_map(out, 2);
        rpc_put_text(out, "who");
        rpc_put_text(out, options->who);
        rpc_put_text(out, "rights");
        rpc_put_u64(out, options->rights);
    }
}

void rpc_put_request_with(struct buf *out, uint32_t id, const char *method, struct rpc_span args,
                          const struct rpc_call_options *options)
{
    uint32_t n_options = (options->deadline_ms > 0) + (options->node.bytes != NULL) +
                         (options->nodes.bytes != NULL) + (options->select.bytes != NULL) +
                         options->is_forwarded;

    rpc_put_array(out, 4);
    rpc_put_u64(out, RPC_REQUEST);
    rpc_put_u64(out, id);
    rpc_put_text(out, method);
    rpc_put_array(out, n_options > 0 ? 2 : 1);
    if (args.bytes == NULL) {
        rpc_put_map(out, 0);
    } else {
        put_span(out, args);
    }
    if (n_options > 0) {
        put_options(out, options, n_options);
    }
}

void rpc_put_request(struct buf *out, uint32_t id, const char *method, struct rpc_span args,
                     uint64_t deadline_ms)
{
    rpc_put_request_with(out, id, method, args,
                         &(struct rpc_call_options){.deadline_ms = deadline_ms});
}

void rpc_put_cancel(struct buf *out, uint32_t id)
{
    rpc_put_array(out, 3);
    rpc_put_u64(out, RPC_NOTIFICATION);
    rpc_put_text(out, RPC_CANCEL);
    rpc_put_array(out, 1);
    rpc_put_u64(out, id);
}

void rpc_put_response_head(struct buf *out, uint32_t id)
{
    rpc_put_array(out, 4);
    rpc_put_u64(out, RPC_RESPONSE);
    rpc_put_u64(out, id);
    rpc_put_nil(out);
}

void rpc_put_response(struct buf *out, uint32_t id, struct rpc_span result)
{
    rpc_put_response_head(out, id);
    put_span(out, result);
}

void rpc_put_error(struct buf *out, uint32_t id, const char *code, const char *message,
                   const char *node)
{
    rpc_put_array(out, 4);
    rpc_put_u64(out, RPC_RESPONSE);
    rpc_put_u64(out, id);
    rpc_put_map(out, 3);
    rpc_put_text(out, "code");
    rpc_put_text(out, code);
    rpc_put_text(out, "message");
    rpc_put_text(out, message);
    rpc_put_text(out, "node");
    rpc_put_text(out, node);
    rpc_put_nil(out);
}

void rpc_put_notification(struct buf *out, const char *method, struct rpc_span value)
{
    rpc_put_array(out, 3);
    rpc_put_u64(out, RPC_NOTIFICATION);
    rpc_put_text(out, method);
    rpc_put_array(out, 1);
    put_span(out, value);
}
