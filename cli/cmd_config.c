/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/config_doc.h"
#include "cli/output.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/options/node_check.h"
#include "shared/options/node_config.h"
#include "shared/options/option_value.h"
#include "shared/options/options.h"

static const char *const actions[] = {"check", "show", "doc", NULL};
static const char *const origins[] = {"default", "file", "environment", "flag"};

static const struct command_word words[] = {
    {.name = "ACTION",
     .help = "check: say all that is wrong with a file. show: the values in force and where each "
             "comes from. doc: the reference of all options, as in docs/CONFIG.md.",
     .words = actions},
    {.name = "FILE",
     .help = "The configuration file; without it the one that PACKETRECORDER_CONFIG names.",
     .optional = true,
     .complete = COMPLETE_FILE},
};

/* A problem with the values together, at the line of the one to change. */
struct finding {
    struct config *config;
    const struct command_context *node;
};

static void add_finding(void *arg, const char *option, const char *text)
{
    struct finding *finding = arg;

    config_add_problem(finding->config, finding->node->lines[options_index(finding->node, option)],
                       "'%s': %s", option, text);
}

static int print_problems_json(const struct config *config, struct err *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < config->n_problems; i++) {
        const struct config_problem *problem = &config->problems[i];
        json_t *one = json_object();
        json_object_set_new(one, "file", to_json_text(config->file));
        json_object_set_new(one, "line",
                            to_json_count(problem->line == 0 ? UINT64_MAX : problem->line));
        json_object_set_new(one, "problem", to_json_text(problem->text));
        json_array_append_new(array, one);
    }
    return output_json(stdout, array, err);
}

static void print_problems(const struct config *config)
{
    for (size_t i = 0; i < config->n_problems; i++) {
        struct buf line = {0};
        char *text = config_problem_text(config, i);
        output_put_name(&line, text);
        printf("%.*s\n", (int)line.len, (const char *)line.data);
        buf_deinit(&line);
        mem_free(text);
    }
}

static int check(struct command_context *ctx, const char *file)
{
    struct command_context node = {.program = &cli_program};
    struct config config = {0};

    options_begin(&node, &cmd_serve, clock_wall_ns());
    int rc = config_read_file(&config, file, &ctx->err);
    if (rc == 0) {
        struct finding finding = {.config = &config, .node = &node};
        config_apply(&config, &node, clock_wall_ns());
        node_options_check(node.args, add_finding, &finding);
        config_sort_problems(&config);
        if (ctx->global.json) {
            rc = print_problems_json(&config, &ctx->err);
        } else {
            print_problems(&config);
        }
        if (rc == 0 && config.n_problems > 0) {
            rc = err_set(&ctx->err, ERR_DAMAGED, "%zu problem%s in '%s'", config.n_problems,
                         config.n_problems == 1 ? "" : "s", file);
        } else if (rc == 0 && !ctx->global.quiet && !ctx->global.json) {
            printf("'%s' is good\n", file);
        }
    }
    config_deinit(&config);
    options_free(&node);
    return rc;
}

static json_t *value_json(const struct command_context *node, size_t i)
{
    const struct command_option *option = &node->command->options[i];
    size_t n = option_n_items(option, node->args);
    json_t *list = json_array();

    for (size_t k = 0; k < n; k++) {
        struct buf value = {0};
        option_format_item(option, node->args, k, &value);
        buf_put_u8(&value, '\0');
        json_array_append_new(list, json_string((const char *)value.data));
        buf_deinit(&value);
    }
    if (option->kind == OPT_LIST) {
        return list;
    }
    json_t *one = n == 0 ? json_null() : json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

static int show_json(const struct command_context *node, struct err *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < node->command->n_options; i++) {
        const struct command_option *option = &node->command->options[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(option->name));
        json_object_set_new(one, "section", to_json_text(option->section));
        json_object_set_new(one, "value", value_json(node, i));
        json_object_set_new(one, "origin", json_string(origins[node->origins[i]]));
        json_object_set_new(one, "line",
                            node->origins[i] == ORIGIN_FILE ? to_json_count(node->lines[i])
                                                            : json_null());
        json_array_append_new(array, one);
    }
    return output_json(stdout, array, err);
}

/* A line of the file that would say the same. What a file cannot hold becomes a comment. */
static void show_option(const struct command_context *node, size_t i)
{
    const struct command_option *option = &node->command->options[i];
    size_t n = option_n_items(option, node->args);

    for (size_t k = 0; k < (n == 0 ? 1 : n); k++) {
        struct buf line = {0};
        buf_printf(&line, "%s%s =", n == 0 || option->section == NULL ? "# " : "", option->name);
        if (n > 0) {
            buf_put_u8(&line, ' ');
            option_format_item(option, node->args, k, &line);
        }
        printf("%-40.*s ; %s", (int)line.len, (const char *)line.data, origins[node->origins[i]]);
        if (node->origins[i] == ORIGIN_FILE) {
            printf(", line %u", node->lines[i]);
        } else if (node->origins[i] == ORIGIN_ENVIRONMENT) {
            printf(", %s", option->environment);
        } else if (node->origins[i] == ORIGIN_DEFAULT && option->note != NULL) {
            printf(": %s", option->note);
        }
        putchar('\n');
        buf_deinit(&line);
    }
}

/* What has no section comes first, as comments. */
static void show_text(const struct command_context *node)
{
    const char *section = NULL;

    for (size_t i = 0; i < node->command->n_options; i++) {
        if (node->command->options[i].section == NULL) {
            show_option(node, i);
        }
    }
    for (size_t i = 0; i < node->command->n_options; i++) {
        const char *own = node->command->options[i].section;
        if (own == NULL) {
            continue;
        }
        if (section == NULL || strcmp(section, own) != 0) {
            printf("\n[%s]\n", own);
            section = own;
        }
        show_option(node, i);
    }
}

static int show(struct command_context *ctx, const char *file)
{
    struct command_context node = {.program = &cli_program};

    options_begin(&node, &cmd_serve, clock_wall_ns());
    if (file != NULL) {
        ((struct node_options *)node.args)->config = file;
        node.origins[options_index(&node, "config")] = ORIGIN_FLAG;
    }
    int rc = node_config_load(&node, getenv, clock_wall_ns());
    if (rc < 0) {
        ctx->err = node.err;
    } else if (ctx->global.json) {
        rc = show_json(&node, &ctx->err);
    } else {
        show_text(&node);
    }
    options_free(&node);
    return rc;
}

static int run(struct command_context *ctx, void *args)
{
    const char *file = ctx->n_words > 1 ? ctx->words[1] : NULL;
    const char *variable = getenv("PACKETRECORDER_CONFIG");

    (void)args;
    if (strcmp(ctx->words[0], "doc") == 0) {
        config_doc_print(stdout, &cmd_serve);
        return 0;
    }
    if (strcmp(ctx->words[0], "show") == 0) {
        return show(ctx, file);
    }
    if (file == NULL && (variable == NULL || *variable == '\0')) {
        return err_set(&ctx->err, ERR_USAGE,
                       "name the file: 'packetrecorder config check FILE', or set "
                       "PACKETRECORDER_CONFIG");
    }
    return check(ctx, file != NULL ? file : variable);
}

const struct command cmd_config = {
    .name = "config",
    .summary = "check and show the configuration of a node",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .description =
        (const char *const[]){
            "A node is told what to do by flags, the environment and a configuration file; flags "
            "beat the environment, the environment beats the file. The file is INI: sections in "
            "brackets, 'name = value', the names those of the flags of 'serve'. A flag without a "
            "value takes yes or no, an option that may be repeated stands on several lines, and "
            "what is behind '#' at the start of a line or behind ' ;' is a comment.",
            "'check' says everything that is wrong, one problem a line as FILE:LINE: PROBLEM, and "
            "ends with 1 when there is any. What depends on this host (files, ports, rights) is "
            "found by 'doctor'.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"config check /etc/packetrecorder/packetrecorder.conf", "before the node reads it"},
            {"config show --json | jq -r '.[] | select(.origin != \"default\") | .name'",
             "what is set at all"},
            {NULL, NULL},
        },
    .run = run,
};
