/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/daemon_exec_posix.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/options/option_layers.h"
#include "shared/options/options.h"

#define DAEMON "packetrecorderd"

/* The path where it is a program, owned, or NULL. */
static char *beside(const char *folder, const char *name)
{
    char *path = x_sprintf("%s/%s", folder, name);

    if (access(path, X_OK) == 0) {
        return path;
    }
    mem_free(path);
    return NULL;
}

char *daemon_find(void)
{
    const char *named = getenv("PACKETRECORDERD");
    char own[PATH_MAX];

    if (named != NULL && *named != '\0') {
        return x_strdup(named);
    }
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n > 0) {
        own[n] = '\0';
        *strrchr(own, '/') = '\0';
        char *path = beside(own, DAEMON);
        const char *folder = strrchr(own, '/');
        if (path == NULL && folder != NULL && strcmp(folder, "/cli") == 0) {
            own[folder - own] = '\0';
            path = beside(own, "node/" DAEMON); /* not installed: a tree of the build */
        }
        if (path != NULL) {
            return path;
        }
    }
    return x_strdup(DAEMON);
}

/* Words of the new process; all owned. */
static char **make_words(struct command_context *ctx)
{
    size_t n;
    char **options = options_to_words(ctx, &n);
    char **words = x_alloc((n + 5) * sizeof *words);
    size_t k = 0;

    words[k++] = x_strdup(DAEMON);
    words[k++] = x_strdup(ctx->command->name);
    if (ctx->global.api_key_file != NULL) {
        words[k++] = x_sprintf("--api-key-file=%s", ctx->global.api_key_file);
    }
    if (ctx->global.quiet && !options_given(ctx, "log-level")) {
        words[k++] = x_strdup("--log-level=warn");
    }
    memcpy(words + k, options, n * sizeof *words);
    mem_free(options);
    return words;
}

int daemon_exec(struct command_context *ctx, const char *key)
{
    char *path = daemon_find();
    char **words = make_words(ctx);

    if (key != NULL) {
        setenv("PACKETRECORDER_DB_KEY", key, 1);
    }
    execvp(path, words);
    int rc = err_errno(&ctx->err, errno,
                       "cannot run '%s' (it belongs beside packetrecorder; the variable "
                       "PACKETRECORDERD can name another place)",
                       path);
    unsetenv("PACKETRECORDER_DB_KEY");
    for (size_t i = 0; words[i] != NULL; i++) {
        mem_free(words[i]);
    }
    mem_free(words);
    mem_free(path);
    return rc;
}
