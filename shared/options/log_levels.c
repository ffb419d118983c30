/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/log_levels.h"

#include <stddef.h>

const char *const log_level_words[] = {"debug", "info", "warn", "error", NULL};
