/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of others on their way to a terminal, a log, or a file that others read: what would steer a
 * terminal (both blocks of control characters, C0 and C1) and what is no UTF-8 becomes '?'. Pure.
 */
#pragma once

#include <stdbool.h>

/* In place. */
void text_clean(char *text);
/* It would stay as it is. */
bool text_is_clean(const char *text);
