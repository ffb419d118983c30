/* SPDX-License-Identifier: Apache-2.0
 *
 * An interface as JSON, in the shape that other programs rely on: an element of
 * `list-interfaces --json`, and of what a node answers. Pure.
 */
#pragma once

#include "shared/capture/interface.h"

struct json_t; /* jansson's json_t */

/* New reference. */
struct json_t *interface_json(const struct interface *interface);
