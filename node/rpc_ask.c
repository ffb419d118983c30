/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_ask.h"

#include <stdio.h>

#include <jansson.h>

#include "shared/base/mem.h"

/* For the envelope. */
#define ENVELOPE_BYTES 64u

struct asking {
    struct rpc_call *call; /* a reference */
    struct buf packed;
    bool is_packed;
};

static void pack(void *arg, const struct answer *answer)
{
    struct asking *asking = arg;
    json_t *json = answer->json != NULL
                       ? json_incref(answer->json)
                       : json_loadb((const char *)answer->text.data, answer->text.len, 0, NULL);

    REQUIRE(json != NULL); /* it is our own text */
    rpc_put_json(&asking->packed, json);
    asking->is_packed = true;
    json_decref(json);
}

static void reply(struct rpc_call *call, struct buf *packed)
{
    if (packed->len > RPC_RESPONSE_MAX - ENVELOPE_BYTES) {
        rpc_call_fail(call, err_name(ERR_LIMIT),
                      "the answer has %zu bytes, more than one message may: ask for less with "
                      "\"limit\"",
                      packed->len);
    } else {
        rpc_call_reply_packed(call, packed);
    }
}

static void end(struct asking *asking)
{
    rpc_call_unref(asking->call);
    buf_deinit(&asking->packed);
    mem_free(asking);
}

static void on_refused(void *arg, bool is_ending, const char *why)
{
    struct asking *asking = arg;

    rpc_call_fail(asking->call, is_ending ? RPC_CODE_ENDING : RPC_CODE_BUSY, "%s", why);
    end(asking);
}

static void on_answer(void *arg, const struct answer *answer, const struct err *err)
{
    struct asking *asking = arg;
    struct rpc_call *call = asking->call;

    if (answer == NULL) {
        rpc_call_fail_err(call, err);
    } else {
        const char *id = json_string_value(json_object_get(answer->json, "id"));
        if (id != NULL) {
            rpc_call_set_target(call, id);
        }
        if (!asking->is_packed) {
            pack(asking, answer);
        }
        reply(call, &asking->packed);
    }
    end(asking);
}

struct asker rpc_asker(struct rpc_call *call)
{
    struct asking *asking = x_alloc(sizeof *asking);

    asking->call = rpc_call_ref(call);
    return (struct asker){.done = on_answer, .refused = on_refused, .arg = asking};
}

struct asker rpc_asker_packing(struct rpc_call *call)
{
    struct asker asker = rpc_asker(call);

    asker.encode = pack;
    return asker;
}

const char *rpc_ask_who(const struct rpc_call *call, char out[RPC_ASK_WHO_MAX])
{
    snprintf(out, RPC_ASK_WHO_MAX, "%s, %s", rpc_call_peer(call), rpc_call_who(call));
    return out;
}
