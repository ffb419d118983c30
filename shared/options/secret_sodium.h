/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that come as words of the command line: moved into guarded memory at once, so that
 * neither ps nor a core dump shows them.
 */
#pragma once

/* Copies `word` into sodium memory and erases it where it stood. Owned by the caller. */
char *secret_take(char *word);

/* Takes NULL. */
void secret_free(char *secret);

#define SECRET_KEY_TEXT_MAX 48 /* "prd_", 43 characters, terminator */

/* A new database key: "prd_" and 32 random bytes in base64url without padding (contract: keys
 * db-new). Erase it after use. */
void secret_make_db_key(char out[SECRET_KEY_TEXT_MAX]);
