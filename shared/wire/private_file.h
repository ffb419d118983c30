/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that hold secrets: small, regular, and readable by nobody but their owner, or they are not
 * read at all.
 */
#pragma once

#include <stddef.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* Appends the file to `out`; `what` names it in errors ("API key file"). ERR_NOT_FOUND; ERR_KEY
 * with the chmod line when others can read it, or when it is no regular file; ERR_IO above `max`
 * bytes. Reserve max + 8192 first where no growth may leave a copy behind, and erase it after. */
int private_file_read(const char *path, const char *what, size_t max, struct buf *out,
                      struct err *err);
