/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/command.h"

#include <string.h>

#include "shared/base/text.h"

#define COMMANDS_MAX 64

const struct command *program_find(const struct program *program, const char *name)
{
    for (size_t i = 0; program->commands[i] != NULL; i++) {
        if (strcmp(program->commands[i]->name, name) == 0) {
            return program->commands[i];
        }
    }
    return NULL;
}

int program_look_up(const struct program *program, const char *name, const struct command **out,
                    struct err *err)
{
    const char *names[COMMANDS_MAX];
    size_t n = 0;

    const struct command *command = program_find(program, name);
    if (command != NULL) {
        *out = command;
        return 0;
    }
    for (size_t i = 0; program->commands[i] != NULL && n < COMMANDS_MAX; i++) {
        if (!program->commands[i]->hidden) {
            names[n++] = program->commands[i]->name;
        }
    }
    const char *near = text_nearest(name, names, n);
    if (near == NULL) {
        return err_set(err, ERR_USAGE, "unknown command '%s'", name);
    }
    return err_set(err, ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name, near);
}
