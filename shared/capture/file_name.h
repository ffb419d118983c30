/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of capture files: the format that a name asks for, and the names of a rotated capture,
 * which are dumpcap's: NAME_00001_20261121120000.pcapng. Pure: the time is text of the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_NAME_TIME_MAX 16 /* "20261121120000" */

enum file_format {
    FILE_FORMAT_PCAPNG,
    FILE_FORMAT_PCAP, /* classic, nanoseconds */
};

/* ".pcap" in any case is classic, everything else, "-" too, pcapng. */
enum file_format file_name_format(const char *path);

/* The name of file `number` (from 1). The number and the time go before the last suffix of the file
 * name. Owned by the caller. */
char *file_name_rotated(const char *path, uint32_t number, const char *time);
