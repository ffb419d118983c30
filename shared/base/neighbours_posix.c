/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/neighbours_posix.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 32

static bool read_limit(const char *path, uint64_t *limit)
{
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fscanf(file, "%" SCNu64, limit) == 1;

    if (file != NULL) {
        fclose(file);
    }
    return good;
}

/* A line of names, then a line of hexadecimal numbers for each processor: "entries" is the same in
 * all of them, "table_fulls" is each one's own. */
static void take_line(char *line, int fulls_at, struct neighbours *table)
{
    char *rest = NULL;
    int at = 0;

    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest), at++) {
        uint64_t value = 0;
        if ((at == 0 || at == fulls_at) && sscanf(word, "%" SCNx64, &value) == 1) {
            table->entries = at == 0 && value > table->entries ? value : table->entries;
            table->turned_away += at == fulls_at ? value : 0;
        }
    }
}

static int column_of(char *line, const char *name)
{
    char *rest = NULL;
    int at = 0;

    for (const char *word = strtok_r(line, " \n", &rest); word != NULL && at < COLUMNS_MAX;
         word = strtok_r(NULL, " \n", &rest), at++) {
        if (strcmp(word, name) == 0) {
            return at;
        }
    }
    return -1;
}

static void read_counts(const char *path, struct neighbours *table)
{
    FILE *file = fopen(path, "re");
    char line[512];

    if (file == NULL) {
        return;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        int fulls_at = column_of(line, "table_fulls");
        while (fgets(line, sizeof line, file) != NULL) {
            take_line(line, fulls_at, table);
        }
    }
    fclose(file);
}

bool neighbours_read(struct neighbours *out)
{
    struct neighbours table = {.max = UINT64_MAX};
    uint64_t limit;
    bool is_known = false;

    if (read_limit("/proc/sys/net/ipv4/neigh/default/gc_thresh3", &limit)) {
        table.max = limit;
        is_known = true;
    }
    if (read_limit("/proc/sys/net/ipv6/neigh/default/gc_thresh3", &limit)) {
        table.max = limit < table.max ? limit : table.max;
        is_known = true;
    }
    read_counts("/proc/net/stat/arp_cache", &table);
    read_counts("/proc/net/stat/ndisc_cache", &table);
    if (is_known) {
        *out = table;
    }
    return is_known;
}

bool neighbours_are_short(const struct neighbours *table, uint64_t members)
{
    uint64_t most = members > table->entries ? members : table->entries;

    return most > table->max / 4 * 3;
}
