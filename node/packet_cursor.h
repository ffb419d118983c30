/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a page of packets ended, as an opaque text for the next request: the session and the number
 * up to which its packets were looked at. Numbers never change, so it stays good while the session
 * grows and when its oldest packets are deleted. In hex:
 *
 *   0  u8 version (1)   1  session id (16)   17 u64 number   25 u32 FNV-1a of bytes 0..24
 *
 * Pure.
 */
#pragma once

#include <stdint.h>

#include "node/cursor_text.h"
#include "shared/base/err.h"

#define PACKET_CURSOR_BYTES 25 /* without the sum */
#define PACKET_CURSOR_TEXT  CURSOR_TEXT(PACKET_CURSOR_BYTES)

/* id: a whole UUID. */
void packet_cursor_write(const char *id, uint64_t number, char out[PACKET_CURSOR_TEXT]);
/* ERR_USAGE: not a cursor, or one of another session. */
int packet_cursor_read(const char *text, const char *id, uint64_t *number, struct err *err);
