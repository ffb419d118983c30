/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's description as the JSON text that stands in its segments (a FRAME_SESSION at the head
 * of each, again when interfaces were added, and at the end with the ledger), so that a lost
 * catalogue comes back whole. Computes only.
 */
#pragma once

#include "shared/store/store.h"

/* A capture file may announce thousands of interfaces with long texts; beyond this only what
 * reading packets needs is kept of them. Well below FRAME_RAW_MAX. */
#define SESSION_TEXT_MAX (8u * 1024u * 1024u)

/* Text, owned by the caller (mem_free). What is not UTF-8 is written with '?'. */
char *session_text_write(const struct store_session *session);
/* Fills *out from n bytes of text; ifaces and clock are owned by the caller
 * (store_session_deinit). ERR_DAMAGED; *out untouched
 * then. */
int session_text_read(const char *text, size_t n, struct store_session *out);
