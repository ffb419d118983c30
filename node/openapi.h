/* SPDX-License-Identifier: Apache-2.0
 *
 * The route table as an OpenAPI 3.1 document. Pure.
 */
#pragma once

#include "node/routes.h"

struct json_t;

/* A new reference. */
struct json_t *openapi_document(const struct route_table *table);
