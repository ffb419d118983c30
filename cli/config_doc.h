/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/CONFIG.md, out of the option table.
 */
#pragma once

#include <stdio.h>

#include "shared/options/command.h"

void config_doc_print(FILE *out, const struct command *serve);
