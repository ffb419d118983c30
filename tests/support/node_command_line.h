/* SPDX-License-Identifier: Apache-2.0
 *
 * A program "d" with the commands of a node that do nothing, and its command line as one text.
 * Header only; include it after cmocka.h.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "shared/options/node_options.h"
#include "shared/options/options.h"
#include "shared/options/sniff_options.h"

#define ARGV_MAX 16

static int run_nothing(struct command_context *ctx, void *args)
{
    (void)ctx;
    (void)args;
    return 0;
}

static const struct command serve = {COMMAND_SERVE, .run = run_nothing};
static const struct command sniff = {COMMAND_SNIFF, .run = run_nothing};

static const struct command *const commands[] = {&serve, &sniff, NULL};

static const struct program program = {.name = "d", .commands = commands, .fallback = &serve};

/* What argv points into; secrets are erased in it. */
static struct {
    char text[1024];
    char *argv[ARGV_MAX];
    int argc;
} line;

/* "serve --insecure", words with one blank between; as options_parse. */
static int parse(struct command_context *ctx, const char *text)
{
    line.argc = 0;
    snprintf(line.text, sizeof line.text, "d%s%s", *text != '\0' ? " " : "", text);
    char *p = line.text;
    while (p != NULL && line.argc < ARGV_MAX) {
        line.argv[line.argc++] = strsep(&p, " ");
    }
    return options_parse(ctx, &program, line.argc, line.argv, 1);
}
