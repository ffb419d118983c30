/* SPDX-License-Identifier: Apache-2.0
 *
 * Cursors as clients see them: bytes in hex with a sum behind them, which finds typing errors and
 * cut texts. Nothing depends on a cursor being ours: whoever reads one checks what it says. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the final zero, for n bytes. */
#define CURSOR_TEXT(n) (2 * ((n) + 4) + 1)

/* out: CURSOR_TEXT(n). */
void cursor_text_write(const uint8_t *bytes, size_t n, char *out);
/* False: not what cursor_text_write made of n bytes that begin with this version. */
bool cursor_text_read(const char *text, uint8_t version, uint8_t *bytes, size_t n);
