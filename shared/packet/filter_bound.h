/* SPDX-License-Identifier: Apache-2.0
 *
 * What a filter of somebody else may cost. libpcap's compiler takes more than the square of the
 * length (300 ports in 3.5 KB: seconds, 600: minutes), and waits for the DNS with each name; one
 * compiles at a time. So what comes over the network is bounded before it is compiled. Pure.
 */
#pragma once

#include "shared/base/err.h"

#define FILTER_ASKED_BYTES 1024
/* Words that may be names that are looked up: hosts, networks, services. */
#define FILTER_ASKED_NAMES 8

/* 0, or ERR_FILTER with the bound and the way out. NULL is fine. */
int filter_bound_check(const char *expression, struct err *err);
