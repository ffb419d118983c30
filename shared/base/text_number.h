/* SPDX-License-Identifier: Apache-2.0
 *
 * A decimal number as it stands in text, exact, before its unit is known. Shared by the parsers of
 * text.c and text_time.c; everybody else uses text.h.
 */
#pragma once

#include <stdint.h>

#define TEXT_SECOND 1000000000ULL

struct number {
    uint64_t whole;
    uint64_t fraction; /* fraction / scale, at most 18 digits; further digits are cut */
    uint64_t scale;
};

enum number_result {
    NUMBER_OK,
    NUMBER_ROUNDED,
    NUMBER_NONE,
    NUMBER_TOO_LARGE,
};

/* Reads digits with an optional fraction and moves *text behind them. */
enum number_result number_read(const char **text, struct number *out);

/* number times factor, rounded to the nearest. */
enum number_result number_scale(const struct number *number, uint64_t factor, uint64_t *out);
