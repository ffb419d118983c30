/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/filter_bound.h"
#include "shared/wire/rpc_methods.h"

#define SECONDS_MAX 1000000000         /* of a duration */
#define EXACT_MAX   9007199254740992.0 /* beyond it a double leaves numbers out */
#define PARAMS_MAX  32
#define SOME_NOW_NS (1ULL << 62) /* "-10m" is good whatever the clock says */

static const struct {
    const char *name;
    const char *wanted;
} types[] = {
    [RPC_TEXT] = {"text", "a text that is not empty"},
    [RPC_TEXTS] = {"texts", "an array of texts"},
    [RPC_BOOL] = {"bool", "true or false"},
    [RPC_COUNT] = {"count", "a whole number that is not negative, or a text such as \"10k\""},
    [RPC_SIZE] = {"size", "a whole number of bytes, or a text such as \"64KiB\""},
    [RPC_REAL] = {"number", "a number that is not negative"},
    [RPC_DURATION] = {"duration", "a number of seconds, or a text such as \"1m30s\""},
    [RPC_TIME] = {"time", "a time such as \"2030-01-31T12:00:00Z\", \"@SECONDS\" or \"-10m\""},
    [RPC_FILTER] = {"filter", "a pcap filter"},
    [RPC_TAGS] = {"tags", "a map of texts"},
    [RPC_WORD] = {"word", "one of the words"},
};

const char *rpc_type_name(enum rpc_type type)
{
    return types[type].name;
}

/* ---- values ---- */

/* 2.0 is a whole number too. */
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

static bool read_number(const json_t *value,
                        int (*parse)(const char *text, uint64_t *out, struct err *err),
                        uint64_t *out)
{
    return json_is_string(value) ? parse(json_string_value(value), out, NULL) == 0
                                 : whole_number(value, out);
}

static bool read_duration(const json_t *value, uint64_t *ns)
{
    double seconds = json_number_value(value);

    if (json_is_string(value)) {
        return text_parse_duration(json_string_value(value), ns, NULL) == 0;
    }
    if (!json_is_number(value) || !(seconds >= 0) || seconds > SECONDS_MAX) {
        return false;
    }
    *ns = (uint64_t)(seconds * 1e9 + 0.5);
    return true;
}

static bool is_text(const json_t *value)
{
    size_t n = json_string_length(value);

    return json_is_string(value) && n > 0 && n <= RPC_TEXT_MAX &&
           strlen(json_string_value(value)) == n;
}

static bool are_texts(const json_t *value)
{
    size_t n = json_array_size(value);
    bool good = json_is_array(value) && n > 0 && n <= RPC_TEXTS_MAX;

    for (size_t i = 0; good && i < n; i++) {
        good = is_text(json_array_get(value, i));
    }
    return good;
}

static bool are_tags(const json_t *value)
{
    const char *key;
    json_t *tag;
    bool good = json_is_object(value);

    json_object_foreach((json_t *)(uintptr_t)value, key, tag)
    {
        good = good && json_is_string(tag);
    }
    return good;
}

static bool is_word(const json_t *value, const char *const *words)
{
    for (size_t i = 0; json_is_string(value) && words[i] != NULL; i++) {
        if (strcmp(json_string_value(value), words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Of its type; numbers go into *number for the bound. */
static bool fits(const struct rpc_param *param, const json_t *value, uint64_t *number)
{
    uint64_t ignored;

    switch (param->type) {
    case RPC_TEXT:
        return is_text(value);
    case RPC_TEXTS:
        return are_texts(value);
    case RPC_BOOL:
        return json_is_boolean(value);
    case RPC_COUNT:
        return read_number(value, text_parse_count, number);
    case RPC_SIZE:
        return read_number(value, text_parse_size, number);
    case RPC_REAL:
        *number = json_number_value(value) > (double)param->max ? UINT64_MAX : 0;
        return json_is_number(value) && json_number_value(value) >= 0;
    case RPC_DURATION:
        return read_duration(value, &ignored);
    case RPC_TIME:
        return is_text(value) &&
               text_parse_time(json_string_value(value), SOME_NOW_NS, &ignored, NULL) == 0;
    case RPC_FILTER:
        return json_is_string(value) &&
               strlen(json_string_value(value)) == json_string_length(value);
    case RPC_TAGS:
        return are_tags(value);
    case RPC_WORD:
        return is_word(value, param->words);
    }
    return false;
}

/* ---- a call ---- */

static int check_value(const struct rpc_param *param, const json_t *value, struct err *err)
{
    uint64_t number = 0;

    if (!fits(param, value, &number)) {
        struct buf words = {0};
        for (size_t i = 0; param->type == RPC_WORD && param->words[i] != NULL; i++) {
            buf_printf(&words, "%s%s", i == 0 ? ": " : ", ", param->words[i]);
        }
        buf_put_u8(&words, 0);
        err_set(err, ERR_USAGE, "\"%s\" is %s%s", param->name, types[param->type].wanted,
                (const char *)words.data);
        buf_deinit(&words);
        return ERR_USAGE;
    }
    if (param->max > 0 && number > param->max) {
        return err_set(err, ERR_USAGE, "\"%s\" is at most %llu", param->name,
                       (unsigned long long)param->max);
    }
    return param->type == RPC_FILTER ? filter_bound_check(json_string_value(value), err) : 0;
}

static const struct rpc_param *find_param(const struct rpc_method *method, const char *name)
{
    for (size_t i = 0; i < method->n_params; i++) {
        if (strcmp(method->params[i].name, name) == 0) {
            return &method->params[i];
        }
    }
    return NULL;
}

static int refuse_unknown(const struct rpc_method *method, const char *name, struct err *err)
{
    const char *names[PARAMS_MAX];

    if (method->n_params == 0) {
        return err_set(err, ERR_USAGE, "%s takes no parameters, also no \"%.64s\"", method->name,
                       name);
    }
    for (size_t i = 0; i < method->n_params; i++) {
        names[i] = method->params[i].name;
    }
    const char *near = text_nearest(name, names, method->n_params);
    return err_set(err, ERR_USAGE, "%s has no parameter \"%.64s\"%s%s%s", method->name, name,
                   near == NULL ? "" : ": is \"", near == NULL ? "" : near,
                   near == NULL ? "" : "\" meant?");
}

int rpc_args_check(const struct rpc_method *method, const json_t *args, struct err *err)
{
    const char *name;
    json_t *value;

    REQUIRE(method->n_params <= PARAMS_MAX);
    json_object_foreach((json_t *)(uintptr_t)args, name, value)
    {
        const struct rpc_param *param = find_param(method, name);
        int rc = param == NULL         ? refuse_unknown(method, name, err)
                 : json_is_null(value) ? 0
                                       : check_value(param, value, err);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < method->n_params; i++) {
        if (method->params[i].required && rpc_arg(args, method->params[i].name) == NULL) {
            return err_set(err, ERR_USAGE, "%s needs \"%s\"", method->name, method->params[i].name);
        }
    }
    return 0;
}

/* ---- reading ---- */

const json_t *rpc_arg(const json_t *args, const char *name)
{
    const json_t *value = json_object_get(args, name);

    return json_is_null(value) ? NULL : value;
}

const char *rpc_arg_text(const json_t *args, const char *name)
{
    return json_string_value(rpc_arg(args, name));
}

bool rpc_arg_bool(const json_t *args, const char *name, bool otherwise)
{
    const json_t *value = rpc_arg(args, name);

    return value == NULL ? otherwise : json_is_true(value);
}

uint64_t rpc_arg_count(const json_t *args, const char *name, uint64_t otherwise)
{
    uint64_t number;

    return read_number(rpc_arg(args, name), text_parse_count, &number) ? number : otherwise;
}

uint64_t rpc_arg_size(const json_t *args, const char *name, uint64_t otherwise)
{
    uint64_t number;

    return read_number(rpc_arg(args, name), text_parse_size, &number) ? number : otherwise;
}

double rpc_arg_real(const json_t *args, const char *name, double otherwise)
{
    const json_t *value = rpc_arg(args, name);

    return value == NULL ? otherwise : json_number_value(value);
}

uint64_t rpc_arg_duration_ns(const json_t *args, const char *name, uint64_t otherwise)
{
    uint64_t ns;

    return read_duration(rpc_arg(args, name), &ns) ? ns : otherwise;
}

uint64_t rpc_arg_time_ns(const json_t *args, const char *name, uint64_t now_ns, uint64_t otherwise)
{
    const char *text = rpc_arg_text(args, name);
    uint64_t ns;

    return text != NULL && text_parse_time(text, now_ns, &ns, NULL) == 0 ? ns : otherwise;
}
