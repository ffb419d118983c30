/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of every method, as a node checks and reads them: the first byte chooses the
 * method, the rest is the map of arguments in msgpack. What the check lets through must read as the
 * table says.
 */
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/packet/filter_bound.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_number(const struct rpc_param *param, uint64_t number)
{
    REQUIRE(param->max == 0 || number <= param->max);
}

static void read_param(const struct rpc_param *param, const json_t *args)
{
    const json_t *value = rpc_arg(args, param->name);

    if (value == NULL) {
        REQUIRE(!param->required);
        return;
    }
    switch (param->type) {
    case RPC_TEXT:
    case RPC_WORD:
    case RPC_FILTER:
        REQUIRE(rpc_arg_text(args, param->name) != NULL);
        REQUIRE(param->type != RPC_FILTER ||
                filter_bound_check(rpc_arg_text(args, param->name), NULL) == 0);
        break;
    case RPC_TEXTS:
        REQUIRE(json_array_size(value) > 0 && json_array_size(value) <= RPC_TEXTS_MAX);
        break;
    case RPC_BOOL:
        REQUIRE(rpc_arg_bool(args, param->name, false) == rpc_arg_bool(args, param->name, true));
        break;
    case RPC_COUNT:
        check_number(param, rpc_arg_count(args, param->name, 0));
        break;
    case RPC_SIZE:
        check_number(param, rpc_arg_size(args, param->name, 0));
        break;
    case RPC_REAL:
        REQUIRE(rpc_arg_real(args, param->name, -1) >= 0);
        break;
    case RPC_DURATION:
        REQUIRE(rpc_arg_duration_ns(args, param->name, 1) ==
                rpc_arg_duration_ns(args, param->name, 2));
        break;
    case RPC_TIME:
        (void)rpc_arg_time_ns(args, param->name, 0, 0);
        break;
    case RPC_TAGS:
        REQUIRE(json_is_object(value));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *args = NULL;

    if (n < 2 || rpc_to_json((struct rpc_span){data + 1, n - 1}, RPC_VALUES_MAX, &args, NULL) < 0) {
        return 0;
    }
    const struct rpc_method *method = &rpc_methods[data[0] % n_rpc_methods];
    if (json_is_object(args) && rpc_args_check(method, args, NULL) == 0) {
        for (size_t i = 0; i < method->n_params; i++) {
            read_param(&method->params[i], args);
        }
    }
    json_decref(args);
    return 0;
}
