/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/file_name.h"

#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"

/* Where the suffix of the file name begins, its dot included; the end of the text when there is
 * none. A dot that begins the name is no suffix. */
static const char *suffix_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');

    return dot == NULL || dot == name ? path + strlen(path) : dot;
}

enum file_format file_name_format(const char *path)
{
    return strcasecmp(suffix_of(path), ".pcap") == 0 ? FILE_FORMAT_PCAP : FILE_FORMAT_PCAPNG;
}

char *file_name_rotated(const char *path, uint32_t number, const char *time)
{
    const char *suffix = suffix_of(path);

    return x_sprintf("%.*s_%05u_%s%s", (int)(suffix - path), path, number, time, suffix);
}
