/* SPDX-License-Identifier: Apache-2.0
 *
 * From the options of a command to an open store: which key it is (flag, then environment) and what
 * opening had to repair. Every command that touches a store goes through here.
 */
#pragma once

#include "cli/option_groups.h"
#include "shared/store/store.h"

/* The key by --encryption-key, --encryption-key-file, PACKETRECORDER_DB_KEY or
 * PACKETRECORDER_DB_KEY_FILE, in this order; *out stays NULL when there is none. Owned by the
 * caller (store_key_free). */
struct store_key;
int database_key(const struct store_args *args, struct store_key **out, struct err *err);

/* Opens the store of -d. What was repaired is said in a warning. Close with store_close. */
int database_open(const struct store_args *args, enum store_mode mode, struct store **out,
                  struct err *err);
