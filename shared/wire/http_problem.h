/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node's refusal says: a problem document (RFC 9457) as the error of a client. Pure.
 */
#pragma once

#include <stddef.h>

#include "shared/base/err.h"

/* Sets the error that a status (300 and up) and its content stand for, and returns its code: 400
 * ERR_USAGE, 401 ERR_KEY, 403 ERR_PERMISSION, 404 ERR_NOT_FOUND, others ERR_IO. The sentence is the
 * document's `detail` (else its `title`), or the status in words where there is no document. */
int http_problem(unsigned status, const void *content, size_t n, struct err *err);
