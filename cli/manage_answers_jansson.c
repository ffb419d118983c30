/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of calls, and what all commands do with answers.
 */
#include "cli/manage.h"

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

int manage_ask(struct command_context *ctx, const char *method, json_t *args, json_t **result)
{
    struct manage *manage = NULL;
    int rc = manage_open(ctx, &manage);

    if (rc < 0) {
        json_decref(args);
        return rc;
    }
    rc = manage_call(manage, method, args, result, &ctx->err);
    manage_close(manage);
    return rc;
}

static int refuse(struct command_context *ctx, const char *method, json_t **result,
                  const char *wanted)
{
    json_decref(*result);
    *result = NULL;
    return err_set(&ctx->err, ERR_DAMAGED,
                   "the node answered %s with something that is no %s; is it a packetrecorder of "
                   "another version?",
                   method, wanted);
}

int manage_check_list(struct command_context *ctx, const char *method, json_t **result)
{
    if (!json_is_array(*result)) {
        return refuse(ctx, method, result, "list");
    }
    for (size_t i = 0; i < json_array_size(*result); i++) {
        if (!json_is_object(json_array_get(*result, i))) {
            return refuse(ctx, method, result, "list of objects");
        }
    }
    return 0;
}

int manage_check_object(struct command_context *ctx, const char *method, json_t **result)
{
    return json_is_object(*result) ? 0 : refuse(ctx, method, result, "object");
}

void manage_set_text(json_t *args, const char *name, const char *text)
{
    if (text != NULL) {
        json_object_set_new(args, name, to_json_text(text));
    }
}

void manage_set_count(json_t *args, const char *name, uint64_t count)
{
    if (count != 0) {
        json_object_set_new(args, name, to_json_count(count));
    }
}

/* As text: a number of seconds would lose nanoseconds. */
void manage_set_duration(json_t *args, const char *name, uint64_t ns)
{
    char text[TEXT_NUMBER_MAX];

    if (ns != 0) {
        text_format_seconds(ns, text);
        json_object_set_new(args, name, json_string(text));
    }
}

void manage_set_range(json_t *args, uint64_t from_ns, uint64_t to_ns)
{
    if (from_ns != 0) {
        json_object_set_new(args, "from", to_json_time(from_ns));
    }
    if (to_ns != UINT64_MAX) {
        json_object_set_new(args, "to", to_json_time(to_ns));
    }
}

void manage_set_list(json_t *args, const char *name, const struct option_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++) {
        json_array_append_new(array, to_json_text(list->items[i]));
    }
    json_object_set_new(args, name, array);
}
