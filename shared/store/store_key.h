/* SPDX-License-Identifier: Apache-2.0
 *
 * What opens an encrypted store: 32 random bytes (`prd_KEY`, base64url) or a passphrase. A
 * passphrase becomes a key by Argon2id (RFC 9106) with the salt and costs that stand in the clear
 * beside the store; random keys need no derivation. The secret lives in locked memory
 * (sodium_malloc) and appears in no message.
 */
#pragma once

#include "shared/base/err.h"

struct store_key;

/* `text` is borrowed. "prd_…" is a random key (ERR_KEY when it is malformed), anything else a
 * passphrase. */
int store_key_from_text(const char *text, struct store_key **out, struct err *err);

/* First line of the file. Refused (ERR_KEY, with the chmod line) when others than its owner can
 * read it. */
int store_key_from_file(const char *path, struct store_key **out, struct err *err);

void store_key_free(struct store_key *key); /* takes NULL */
