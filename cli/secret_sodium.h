/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that come as words of the command line: moved into guarded memory at once, so that
 * neither ps nor a core dump shows them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Copies `word` into sodium memory and erases it where it stood. Owned by the caller. */
char *secret_take(char *word);

/* Takes NULL. */
void secret_free(char *secret);

/* n bytes that nobody can guess. */
void secret_random(void *out, size_t n);

#define SECRET_KEY_BYTES    32
#define SECRET_KEY_TEXT_MAX 48 /* "prd_", 43 characters, terminator */

/* "prd_" and the key in base64url without padding (contract: keys db-new). */
void secret_format_db_key(const uint8_t key[SECRET_KEY_BYTES], char out[SECRET_KEY_TEXT_MAX]);
