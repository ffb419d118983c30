/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_folders.h"

#include <string.h>

#include "shared/base/mem.h"

/* The value of the first line that begins with the name, "NAME: VALUE". */
static char *value_of(const char *text, const char *name)
{
    size_t n_name = strlen(name);

    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (n > n_name && strncmp(line, name, n_name) == 0 && line[n_name] == ':') {
            const char *value = line + n_name + 1;
            size_t blanks = strspn(value, " \t");
            size_t length = n - n_name - 1 - blanks;
            return x_sprintf("%.*s", (int)length, value + blanks);
        }
        line += n + (line[n] == '\n');
    }
    return NULL;
}

char *extcap_folder_of(const char *folders, bool global)
{
    char *folder = value_of(folders, global ? "Global Extcap path" : "Personal Extcap path");

    if (folder != NULL || global) {
        return folder != NULL ? folder : value_of(folders, "Extcap path");
    }
    char *configuration = value_of(folders, "Personal configuration");
    if (configuration != NULL) {
        folder = x_sprintf("%s/extcap", configuration);
        mem_free(configuration);
    }
    return folder;
}

bool extcap_is_listed(const char *interfaces)
{
    for (const char *line = interfaces; *line != '\0';) {
        const char *name = line + strspn(line, "0123456789. ");
        if (strncmp(name, "packetrecorder", 14) == 0) {
            return true;
        }
        size_t n = strcspn(line, "\n");
        line += n + (line[n] == '\n');
    }
    return false;
}
