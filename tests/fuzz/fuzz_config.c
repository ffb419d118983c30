/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file of whatever bytes on the real table of a node. What was understood, written
 * out as a file and as words of a command line, must mean the same when it is read again.
 */
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/options/config.h"
#include "shared/options/node_check.h"
#include "shared/options/option_layers.h"
#include "shared/options/option_value.h"
#include "shared/options/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct command serve = {
    .name = "serve",
    .options = node_option_table,
    .n_options = N_NODE_OPTIONS,
    .args_size = sizeof(struct node_options),
};

static const struct command *const commands[] = {&serve, NULL};

static const struct program program = {.name = "d", .commands = commands, .fallback = &serve};

static size_t read_config(struct command_context *ctx, const void *text, size_t n)
{
    struct config config = {.file = "f"};

    *ctx = (struct command_context){.program = &program};
    options_begin(ctx, &serve, 1);
    config_read_text(&config, text, n);
    config_apply(&config, ctx, 1);
    size_t problems = config.n_problems;
    unsigned line = 0;
    for (size_t i = 0; i < problems; i++) {
        REQUIRE(config.problems[i].line >= line && config.problems[i].text[0] != '\0');
        line = config.problems[i].line;
        mem_free(config_problem_text(&config, i));
    }
    REQUIRE((config_verdict(&config, NULL) == 0) == (problems == 0));
    config_deinit(&config);
    return problems;
}

static void check_same(const struct command_context *a, const struct command_context *b)
{
    for (size_t i = 0; i < N_NODE_OPTIONS; i++) {
        REQUIRE(options_same(a, b, i));
    }
}

static void check_file_again(const struct command_context *ctx)
{
    struct command_context again;
    struct buf text = {0};

    for (size_t i = 0; i < N_NODE_OPTIONS; i++) {
        const struct command_option *option = &node_option_table[i];
        size_t items = ctx->origins[i] == ORIGIN_FILE ? option_n_items(option, ctx->args) : 0;
        for (size_t k = 0; k < items; k++) {
            buf_printf(&text, "[%s]\n%s=", option->section, option->name);
            option_format_item(option, ctx->args, k, &text);
            buf_put_u8(&text, '\n');
        }
    }
    REQUIRE(read_config(&again, text.data, text.len) == 0);
    check_same(ctx, &again);
    options_free(&again);
    buf_deinit(&text);
}

static void check_words_again(struct command_context *ctx)
{
    struct command_context again;
    size_t n;

    char **words = options_to_words(ctx, &n);
    char **argv = x_alloc((n + 1) * sizeof *argv);
    argv[0] = (char *)(uintptr_t) "d";
    memcpy(argv + 1, words, n * sizeof *words);
    REQUIRE(options_parse(&again, &program, (int)n + 1, argv, 1) == 0);
    check_same(ctx, &again);
    options_free(&again);
    for (size_t i = 0; i < n; i++) {
        mem_free(words[i]);
    }
    mem_free(words);
    mem_free(argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct command_context ctx;

    if (read_config(&ctx, data, n) == 0) {
        check_file_again(&ctx);
        check_words_again(&ctx);
    }
    (void)node_options_check(ctx.args, NULL, NULL);
    options_free(&ctx);
    return 0;
}
