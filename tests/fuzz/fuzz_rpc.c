/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope of RPC, both directions: a stream is cut into messages, in one piece and byte by
 * byte, which must find the same; each is taken apart as a node and as a client do it. What a
 * message says is written again and must read the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/wire/rpc.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again(struct rpc_span value)
{
    json_t *json = NULL;
    json_t *back = NULL;
    struct buf packed = {0};

    if (rpc_to_json(value, RPC_VALUES_MAX, &json, NULL) < 0) {
        return;
    }
    rpc_put_json(&packed, json);
    REQUIRE(rpc_to_json((struct rpc_span){packed.data, packed.len}, RPC_VALUES_MAX, &back, NULL) ==
            0);
    REQUIRE(json_equal(json, back));
    json_decref(json);
    json_decref(back);
    buf_deinit(&packed);
}

static void as_client(const struct rpc_message *message)
{
    struct rpc_error error = {0};

    again(message->result);
    if (message->error.bytes != NULL && rpc_decode_error(message->error, &error, NULL) == 0) {
        REQUIRE(memchr(error.message, '\0', sizeof error.message) != NULL);
        (void)rpc_code_to_err(error.code);
    }
}

static void as_node(const struct rpc_message *message)
{
    struct rpc_call_options options = {0};
    struct rpc_span args = {0};
    uint32_t id;

    (void)rpc_decode_cancel(message->params, &id, NULL);
    if (rpc_decode_params(message->params, &args, &options, NULL) == 0) {
        REQUIRE(options.deadline_ms <= RPC_DEADLINE_MAX_MS);
        again(args);
    }
}

/* The length of the first message, or 0. */
static size_t first_message(const uint8_t *data, size_t n)
{
    struct rpc_scan whole = {0};
    struct rpc_scan pieces = {0};
    enum rpc_scan_state state = rpc_scan(&whole, data, n, MAX);
    enum rpc_scan_state slow = RPC_SCAN_MORE;

    for (size_t i = 0; i <= n && slow == RPC_SCAN_MORE; i++) {
        slow = rpc_scan(&pieces, data, i, MAX);
    }
    REQUIRE(slow == state);
    REQUIRE(state != RPC_SCAN_WHOLE || (whole.at == pieces.at && whole.at <= MAX && whole.at <= n));
    return state == RPC_SCAN_WHOLE ? whole.at : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    while (n > 0) {
        struct rpc_message message;
        bool has_id;
        size_t length = first_message(data, n);
        if (length == 0) {
            break;
        }
        if (rpc_decode(data, length, &message, &has_id, NULL) == 0) {
            if (message.kind == RPC_RESPONSE) {
                as_client(&message);
            } else {
                as_node(&message);
            }
        }
        data += length;
        n -= length;
    }
    return 0;
}
