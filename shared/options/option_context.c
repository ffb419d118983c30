/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/options.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/options/option_value.h"

void options_begin(struct command_context *ctx, const struct command *command, uint64_t now_ns)
{
    REQUIRE(command->n_options <= COMMAND_OPTIONS_MAX);
    REQUIRE(ctx->args == NULL || ctx->command == command->group);
    ctx->group_args = ctx->args;
    memcpy(ctx->group_origins, ctx->origins, sizeof ctx->group_origins);
    memset(ctx->origins, 0, sizeof ctx->origins);
    ctx->command = command;
    ctx->args = x_alloc(command->args_size);
    for (size_t i = 0; i < command->n_options; i++) {
        option_set_default(&command->options[i], ctx->args, now_ns);
    }
}

void options_keep(struct command_context *ctx, char *text)
{
    ctx->kept = x_realloc(ctx->kept, (ctx->n_kept + 1) * sizeof *ctx->kept);
    ctx->kept[ctx->n_kept++] = text;
}

static void release(const struct command_option *options, size_t n, void *args)
{
    for (size_t i = 0; i < n; i++) {
        option_release(&options[i], args);
    }
}

void options_free(struct command_context *ctx)
{
    void *group_args = (void *)ctx->group_args;

    if (ctx->args != NULL) {
        release(ctx->command->options, ctx->command->n_options, ctx->args);
    }
    if (group_args != NULL) {
        release(ctx->command->group->options, ctx->command->group->n_options, group_args);
        mem_free(group_args);
    }
    if (ctx->program != NULL) {
        release(ctx->program->global_options, ctx->program->n_global_options, &ctx->global);
    }
    for (size_t i = 0; i < ctx->n_kept; i++) {
        mem_free(ctx->kept[i]);
    }
    mem_free(ctx->kept);
    mem_free(ctx->args);
    mem_free(ctx->words);
    *ctx = (struct command_context){0};
}

size_t options_index(const struct command_context *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->command->n_options; i++) {
        if (strcmp(ctx->command->options[i].name, name) == 0) {
            return i;
        }
    }
    REQUIRE(!"the command has an option of that name");
    return 0;
}

bool options_given(const struct command_context *ctx, const char *name)
{
    return ctx->origins[options_index(ctx, name)] != ORIGIN_DEFAULT;
}

char *options_describe_given(const struct command_context *ctx)
{
    char *text = x_strdup("");

    for (size_t i = 0; i < ctx->command->n_options; i++) {
        char line[128];
        if (ctx->origins[i] == ORIGIN_DEFAULT ||
            !options_describe(&ctx->command->options[i], ctx->args, line, sizeof line)) {
            continue;
        }
        char *longer = x_sprintf("%s%s\n", text, line);
        mem_free(text);
        text = longer;
    }
    return text;
}
