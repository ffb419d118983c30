/* SPDX-License-Identifier: Apache-2.0 */
#include "node/remote_name.h"

#include <string.h>

#include "shared/base/mem.h"

#define PREFIX "swarm:"

bool remote_name_is(const char *name)
{
    return strchr(name, '/') != NULL;
}

const char *remote_name_plain(const char *name)
{
    size_t n = sizeof PREFIX - 1;

    return strncmp(name, PREFIX, n) == 0 ? name + n : name;
}

int remote_name_split(const char *name, char **node, char **interface, struct err *err)
{
    const char *plain = remote_name_plain(name);
    const char *slash = strchr(plain, '/');

    if (slash == NULL || slash == plain || slash[1] == '\0') {
        return err_set(err, ERR_NOT_FOUND, "'%s' is no NODE/IFACE", name);
    }
    if (strchr(slash + 1, '/') != NULL) {
        return err_set(err, ERR_USAGE,
                       "'%s' goes over two nodes: a node relays its own interfaces to others, ask "
                       "the one that has it",
                       name);
    }
    *node = x_sprintf("%.*s", (int)(slash - plain), plain);
    *interface = x_strdup(slash + 1);
    return 0;
}
