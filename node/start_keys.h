/* SPDX-License-Identifier: Apache-2.0
 *
 * Failing closed at start, as far as API keys go: without a key in force nothing is served to other
 * hosts, and what this host's users can do is said. node/auth checks each request.
 */
#pragma once

#include "shared/options/node_options.h"

/* ERR_KEY: other hosts are to be served but there is no key, or the keys cannot be read; with the
 * command that mends it. Warns while there is no key at all, and when
 * injection is allowed and nobody may. */
int start_keys_check(const struct node_options *options, uint64_t now_ns, struct err *err);
