/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of enum log_level, for option tables.
 */
#pragma once

extern const char *const log_level_words[]; /* NULL-terminated, in the order of the enum */
