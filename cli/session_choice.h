/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sessions a command works on: the words of -s (ids, prefixes, names, last, all), or the only
 * session of the store when there are none. And what every reader of a store ends with: saying what
 * could not be read.
 */
#pragma once

#include "cli/command.h"
#include "shared/store/scan.h"

struct session_choice {
    struct store_session *sessions; /* owned, each once, in the order named */
    size_t n;
    bool all; /* the word "all" was among them */
};

/* ERR_USAGE when there is nothing named and the store holds several; ERR_NOT_FOUND, ERR_AMBIGUOUS
 * as store_session_find. Release with session_choice_deinit, also after a failure. */
int session_choice_make(struct store *store, const struct option_list *names,
                        struct session_choice *out, struct err *err);
void session_choice_deinit(struct session_choice *choice);

/* Warns of link types that the filter cannot be compiled for, so that none of their packets match.
 * A filter that is wrong altogether is left to the scan. */
void session_choice_check_filter(const struct session_choice *choice, const char *filter);

/* 0 when everything could be read, else ERR_PARTLY: how many packets, of which session, and the way
 * out. */
int session_choice_damage(const struct scan_damage *damage, struct err *err);
