/* SPDX-License-Identifier: Apache-2.0
 *
 * A new key for an encrypted store, without rewriting the packets: each segment's header gets the
 * session's data key wrapped anew. Crash safe at every step:
 *
 * - 1: the new descriptor is written as `store.new`;
 * - 2: each segment's free slot takes the new wrapping;
 * - 3: the catalogue is re-encrypted in one transaction;
 * - 4: `store.new` becomes `store`;
 * - 5: the old slots are overwritten.
 *
 * Until 3 the old key opens everything, from 3 on the new one, and running rekey again finishes the
 * job.
 */
#pragma once

#include "shared/store/store.h"
#include "shared/store/store_key.h"

/* Opened for writing with the old key (or, to finish an interrupted one, with the new key).
 * *segments: how many headers were rewritten. ERR_KEY for an unencrypted store. */
int store_rekey(struct store *store, const struct store_key *key, uint64_t *segments,
                struct err *err);
