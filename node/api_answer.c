/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api_answer.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "node/ask.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/filter_bound.h"

void api_reply_json(void *arg, const struct answer *answer, const struct err *err)
{
    struct exchange *ex = arg;

    if (answer == NULL) {
        api_fail(ex, err);
    } else if (!exchange_is_gone(ex)) {
        exchange_reply_json(ex, 200, json_incref(answer->json));
    }
    exchange_unref(ex);
}

void api_fail(struct exchange *ex, const struct err *err)
{
    if (exchange_is_gone(ex)) {
        return;
    }
    if (err->code == ERR_LIMIT) {
        exchange_add_header(ex, "Retry-After", "1");
        exchange_problem(ex, 503, "%s", err->text);
    } else if (err->code == ERR_FULL) {
        exchange_problem(ex, 507,
                         "%s; make room on that disk, or delete sessions: packetrecorder prune",
                         err->text);
    } else if (err->code == ERR_KEY) { /* of the store, not of the client */
        exchange_problem(ex, 500, "%s", err->text);
    } else {
        exchange_fail(ex, err);
    }
}

bool api_query_number(struct exchange *ex, const char *name, uint64_t min, uint64_t max,
                      uint64_t otherwise, uint64_t *out)
{
    const char *text = exchange_query(ex, name);
    uint64_t n = 0;

    if (text == NULL) {
        *out = otherwise;
        return true;
    }
    bool good = text[0] != '\0' && strlen(text) <= 19 && strspn(text, "0123456789") == strlen(text);
    for (const char *p = text; good && *p != '\0'; p++) {
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (!good || n < min || n > max) {
        exchange_problem(ex, 400, "?%s= is a number from %" PRIu64 " to %" PRIu64 ", not '%.64s'",
                         name, min, max, text);
        return false;
    }
    *out = n;
    return true;
}

bool api_query_filter(struct exchange *ex, const char **out)
{
    struct err err = {0};

    *out = exchange_query(ex, "filter");
    if (filter_bound_check(*out, &err) < 0) {
        exchange_fail(ex, &err);
        return false;
    }
    return true;
}

bool api_query_time(struct exchange *ex, const char *name, uint64_t otherwise, uint64_t *out)
{
    const char *text = exchange_query(ex, name);
    struct err err = {0};

    if (text == NULL) {
        *out = otherwise;
        return true;
    }
    if (text_parse_time(text, clock_wall_ns(), out, &err) < 0) {
        exchange_problem(ex, 400, "?%s=: %s", name, err.text);
        return false;
    }
    return true;
}

bool api_query_flag(struct exchange *ex, const char *name, bool *out)
{
    static const char *const yes[] = {"", "1", "true", "yes"};
    static const char *const no[] = {"0", "false", "no"};
    const char *text = exchange_query(ex, name);

    *out = false;
    for (size_t i = 0; text != NULL && i < ARRAY_LEN(yes); i++) {
        *out = *out || strcmp(text, yes[i]) == 0;
    }
    bool good = text == NULL || *out;
    for (size_t i = 0; !good && i < ARRAY_LEN(no); i++) {
        good = strcmp(text, no[i]) == 0;
    }
    if (!good) {
        exchange_problem(ex, 400, "?%s= is 1 or 0, not '%.64s'", name, text);
    }
    return good;
}
