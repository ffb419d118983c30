/* SPDX-License-Identifier: Apache-2.0
 *
 * Where Wireshark looks for extcap programs, out of what `tshark -G folders` prints: "Personal
 * Extcap path:" from 4.2 on; before, the folder extcap in "Personal configuration:". Pure.
 */
#pragma once

#include <stdbool.h>

/* The folder, owned (mem_free); NULL when the text does not tell it. The last of several lines (4.2
 * may print a line a path) is not wanted: the first counts. */
char *extcap_folder_of(const char *folders, bool global);

/* True when a line of `tshark -D` ("4. packetrecorder (…)") is one of our interfaces. */
bool extcap_is_listed(const char *interfaces);
