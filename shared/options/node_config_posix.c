/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/node_config.h"

#include <stddef.h>
#include <string.h>

#include "shared/options/option_layers.h"
#include "shared/options/option_value.h"
#include "shared/options/options.h"

/* The key and the file with it are one thing: what was said nearer wins over the other. */
static int settle_key(struct command_context *ctx)
{
    size_t key = options_index(ctx, "encryption-key");
    size_t file = options_index(ctx, "encryption-key-file");
    struct node_options *options = ctx->args;

    if (options->encryption_key == NULL || options->encryption_key_file == NULL) {
        return 0;
    }
    if (ctx->origins[key] == ctx->origins[file]) {
        return err_set(&ctx->err, ERR_USAGE,
                       "the store's key is given twice: as it is and in '%s'; give one",
                       options->encryption_key_file);
    }
    size_t loser = ctx->origins[key] > ctx->origins[file] ? file : key;
    option_release(&ctx->command->options[loser], ctx->args);
    options->encryption_key = loser == key ? NULL : options->encryption_key;
    options->encryption_key_file = loser == file ? NULL : options->encryption_key_file;
    ctx->origins[loser] = ORIGIN_DEFAULT;
    return 0;
}

/* A context with what the file says and nothing else. */
static int read_layer(const struct command_context *ctx, const char *path,
                      struct command_context *layer, uint64_t now_ns, struct err *err)
{
    struct config config = {0};

    *layer = (struct command_context){.program = ctx->program};
    options_begin(layer, ctx->command, now_ns);
    int rc = config_read_file(&config, path, err);
    if (rc == 0) {
        config_apply(&config, layer, now_ns);
        rc = config_verdict(&config, err);
    }
    config_deinit(&config);
    return rc;
}

int node_config_load(struct command_context *ctx, char *(*get)(const char *name), uint64_t now_ns)
{
    const struct node_options *options = ctx->args;
    struct command_context layer;

    int rc = options_read_environment(ctx, get, now_ns);
    if (rc == 0 && options->config != NULL) {
        rc = read_layer(ctx, options->config, &layer, now_ns, &ctx->err);
        if (rc == 0) {
            options_adopt(ctx, &layer);
        }
        options_free(&layer);
    }
    return rc < 0 ? rc : settle_key(ctx);
}

int node_config_reload(struct command_context *ctx, void (*changed)(void *arg, const char *name),
                       void *arg, uint64_t now_ns, struct err *err)
{
    const struct node_options *options = ctx->args;
    struct command_context layer;

    if (options->config == NULL) {
        return 0;
    }
    int rc = read_layer(ctx, options->config, &layer, now_ns, err);
    for (size_t i = 0; rc == 0 && i < ctx->command->n_options; i++) {
        const struct command_option *option = &ctx->command->options[i];
        if (ctx->origins[i] > ORIGIN_FILE || option->section == NULL ||
            options_same(ctx, &layer, i)) {
            continue;
        }
        if (strcmp(option->name, "log-level") == 0) {
            option_swap(option, ctx->args, layer.args);
            ctx->origins[i] = layer.origins[i];
        } else {
            changed(arg, option->name);
        }
    }
    options_free(&layer);
    return rc;
}
