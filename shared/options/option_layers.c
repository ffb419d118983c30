/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/option_layers.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/options/option_value.h"
#include "shared/options/options.h"

bool option_parse_yes_no(const char *text, bool *out)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

int options_set(struct command_context *ctx, size_t i, char *text, enum option_origin origin,
                uint64_t now_ns, struct err *err)
{
    const struct command_option *option = &ctx->command->options[i];
    bool value;
    int rc = 0;

    if (text[0] == '\0') {
        return err_set(err, ERR_USAGE, "the value is empty");
    }
    if (ctx->origins[i] != origin) {
        option_clear_list(option, ctx->args);
    }
    if (!option_is_flag(option)) {
        rc = option_set_value(option, ctx->args, text, now_ns, err);
    } else if (option_parse_yes_no(text, &value)) {
        option_set_flag(option, ctx->args, value);
    } else {
        rc = err_set(err, ERR_USAGE, "'%s' is neither yes nor no", text);
    }
    if (rc == 0) {
        ctx->origins[i] = (unsigned char)origin;
    }
    return rc;
}

int options_read_environment(struct command_context *ctx, char *(*get)(const char *name),
                             uint64_t now_ns)
{
    for (size_t i = 0; i < ctx->command->n_options; i++) {
        const char *name = ctx->command->options[i].environment;
        char *text = name == NULL ? NULL : get(name);
        if (text == NULL || text[0] == '\0' || ctx->origins[i] != ORIGIN_DEFAULT) {
            continue;
        }
        if (options_set(ctx, i, text, ORIGIN_ENVIRONMENT, now_ns, &ctx->err) < 0) {
            return err_wrap(&ctx->err, "variable %s", name);
        }
    }
    return 0;
}

void options_adopt(struct command_context *ctx, struct command_context *lower)
{
    REQUIRE(ctx->command->options == lower->command->options);
    for (size_t i = 0; i < ctx->command->n_options; i++) {
        const struct command_option *option = &ctx->command->options[i];
        if (ctx->origins[i] != ORIGIN_DEFAULT || lower->origins[i] == ORIGIN_DEFAULT) {
            continue;
        }
        option_swap(option, ctx->args, lower->args);
        ctx->origins[i] = lower->origins[i];
        ctx->lines[i] = lower->lines[i];
    }
    for (size_t i = 0; i < lower->n_kept; i++) {
        options_keep(ctx, lower->kept[i]);
    }
    lower->n_kept = 0;
}

bool options_same(const struct command_context *a, const struct command_context *b, size_t i)
{
    struct buf x = {0};
    struct buf y = {0};

    option_format(&a->command->options[i], a->args, &x);
    option_format(&b->command->options[i], b->args, &y);
    bool same = x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
    buf_deinit(&x);
    buf_deinit(&y);
    return same;
}

static char *flag_text(const struct command_option *option, const struct buf *value)
{
    if (option->kind == OPT_NEGATABLE) {
        return x_sprintf("--%s%s", value->data[0] == 'y' ? "" : "no-", option->name);
    }
    return x_sprintf("--%s", option->name);
}

/* One word an item; a flag that is not set has none. */
static void add_words(struct command_context *ctx, size_t i, char **words, size_t *n)
{
    const struct command_option *option = &ctx->command->options[i];
    size_t items = option_n_items(option, ctx->args);

    for (size_t k = 0; k < items; k++) {
        struct buf value = {0};
        option_format_item(option, ctx->args, k, &value);
        if (!option_is_flag(option)) {
            words[(*n)++] = x_sprintf("--%s=%.*s", option->name, (int)value.len,
                                      value.len > 0 ? (const char *)value.data : "");
        } else if (option->kind == OPT_NEGATABLE || value.data[0] == 'y') {
            words[(*n)++] = flag_text(option, &value);
        }
        buf_deinit(&value);
    }
}

char **options_to_words(struct command_context *ctx, size_t *n)
{
    size_t room = 1;

    for (size_t i = 0; i < ctx->command->n_options; i++) {
        room += option_n_items(&ctx->command->options[i], ctx->args);
    }
    char **words = x_alloc(room * sizeof *words);
    *n = 0;
    for (size_t i = 0; i < ctx->command->n_options; i++) {
        if (ctx->origins[i] != ORIGIN_DEFAULT && ctx->command->options[i].kind != OPT_SECRET) {
            add_words(ctx, i, words, n);
        }
    }
    return words;
}
