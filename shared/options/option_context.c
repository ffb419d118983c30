/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/options.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/options/option_value.h"

void options_begin(struct command_context *ctx, const struct command *command, uint64_t now_ns)
{
    REQUIRE(command->n_options <= COMMAND_OPTIONS_MAX && ctx->args == NULL);
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

void options_free(struct command_context *ctx)
{
    for (size_t i = 0; ctx->args != NULL && i < ctx->command->n_options; i++) {
        option_release(&ctx->command->options[i], ctx->args);
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
