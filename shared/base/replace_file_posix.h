/* SPDX-License-Identifier: Apache-2.0
 *
 * Small files that are written whole: state, keys, journals. What is there afterwards, also after a
 * crash, is the file as it was or as it was to be, and it is on the disk when this returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REPLACE_FILE_NAME_MAX 250

/* Replaces `name` in the directory; mode 0600. to_owner: what root writes belongs to whom the file
 * before belonged, or else the directory, so that a node which runs as another user can read it. 0,
 * or an errno; then the file is as it was. `.NAME.new` beside it is taken for it. */
int replace_file(int dir_fd, const char *name, const void *bytes, size_t n, bool to_owner);
