/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/command.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

#define COMMANDS_MAX 64

static const struct command *find(const struct command *const *list, const char *name)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i]->name, name) == 0) {
            return list[i];
        }
    }
    return NULL;
}

/* group: "manage " for the sentence, or "". */
static int look_up(const struct command *const *list, const char *group, const char *name,
                   const struct command **out, struct err *err)
{
    const char *names[COMMANDS_MAX];
    const char *blank = group[0] == '\0' ? "" : " ";
    size_t n = 0;

    const struct command *command = find(list, name);
    if (command != NULL) {
        *out = command;
        return 0;
    }
    for (size_t i = 0; list[i] != NULL && n < COMMANDS_MAX; i++) {
        if (!list[i]->hidden) {
            names[n++] = list[i]->name;
        }
    }
    const char *near = text_nearest(name, names, n);
    if (near == NULL) {
        return err_set(err, ERR_USAGE, "unknown command '%s%s%s'", group, blank, name);
    }
    return err_set(err, ERR_USAGE, "unknown command '%s%s%s'; did you mean '%s%s%s'?", group, blank,
                   name, group, blank, near);
}

const struct command *program_find(const struct program *program, const char *name)
{
    return find(program->commands, name);
}

int program_look_up(const struct program *program, const char *name, const struct command **out,
                    struct err *err)
{
    return look_up(program->commands, "", name, out, err);
}

const struct command *group_find(const struct command *group, const char *name)
{
    return group->commands == NULL ? NULL : find(group->commands, name);
}

int group_look_up(const struct command *group, const char *name, const struct command **out,
                  struct err *err)
{
    if (group->commands == NULL) {
        return err_set(err, ERR_USAGE, "'%s' has no commands of its own", group->name);
    }
    return look_up(group->commands, group->name, name, out, err);
}

const char *command_format_name(const struct command *command, char out[COMMAND_NAME_MAX])
{
    const struct command *group = command->group;

    snprintf(out, COMMAND_NAME_MAX, "%s%s%s", group == NULL ? "" : group->name,
             group == NULL ? "" : " ", command->name);
    return out;
}
