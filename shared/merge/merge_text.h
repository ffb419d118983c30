/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of sources on their way into a file that others read: what would steer a terminal and what
 * is no UTF-8 becomes '?'. Private to shared/merge.
 */
#pragma once

/* In place. */
void merge_clean_text(char *text);
