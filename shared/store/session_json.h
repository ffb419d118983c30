/* SPDX-License-Identifier: Apache-2.0
 *
 * A session as JSON, in the shape that other programs rely on: an element of `sessions --json`, and
 * what `capture --json` prints at its end,
 * and what a node answers. excluded_filter is what self_excluded left out; error says why a capture
 * ended before it was told to, null where it did not. clock is how the recording node's clock stood
 * against the swarm's (clock_samples.h).
 */
#pragma once

#include <stdbool.h>

#include "shared/store/store.h"

struct json_t; /* jansson's json_t */

/* What is unknown is null: stored_bytes UINT64_MAX, times 0, empty texts, unknown counters. New
 * reference. */
struct json_t *session_json(const struct store_session *session, bool encrypted);
