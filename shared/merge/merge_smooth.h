/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of a clock say between what bounds it stood, and name the middle. Where a machine is busy
 * one of them may be off by most of its bound, and straight lines from sample to sample carry that
 * into all packets between. Who has all samples can do better: a clock of quartz keeps its rate, so
 * those that are known well say much about their neighbours. Pure.
 */
#pragma once

#include <stdint.h>

#include "shared/merge/merge_clock.h"

/* Moves the offsets of n samples of one clock, in order of their times, to where they are likeliest
 * (least squares: a sample counts by its bound, what lies between two by how far quartz drifts),
 * none out of its bounds; a bound grows by as much as its offset moved, so it stays true. Nothing
 * is carried across a step, a sample of which nothing is known, or one that is not newer than that
 * before. */
void merge_smooth(struct merge_clock_sample *samples, uint32_t n);
