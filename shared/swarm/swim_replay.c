/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 6479: the bitmap is a ring of words, and moving the window clears whole words. The word of
 * the highest counter holds bits of the future as well, so the oldest word is not looked at any
 * more: SWIM_REPLAY_WINDOW counters are remembered, not SWIM_REPLAY_BITS.
 */
#include <string.h>

#include "shared/swarm/swim_envelope.h"

#define WORDS (SWIM_REPLAY_BITS / 64)

static bool is_too_old(const struct swim_replay *replay, uint64_t counter)
{
    return counter == 0 ||
           (counter < replay->highest && replay->highest - counter >= SWIM_REPLAY_WINDOW);
}

bool swim_replay_is_new(const struct swim_replay *replay, uint64_t counter)
{
    if (counter > replay->highest) {
        return true;
    }
    return !is_too_old(replay, counter) &&
           (replay->seen[counter / 64 % WORDS] >> counter % 64 & 1) == 0;
}

void swim_replay_take(struct swim_replay *replay, uint64_t counter)
{
    if (is_too_old(replay, counter)) {
        return;
    }
    if (counter > replay->highest) {
        uint64_t from = replay->highest / 64;
        uint64_t n = counter / 64 - from;
        for (uint64_t i = 1; i <= (n < WORDS ? n : WORDS); i++) {
            replay->seen[(from + i) % WORDS] = 0;
        }
        replay->highest = counter;
    }
    replay->seen[counter / 64 % WORDS] |= 1ull << counter % 64;
}

void swim_replay_begin(struct swim_replay *replay, uint64_t counter)
{
    replay->highest = counter;
    memset(replay->seen, 0xff, sizeof replay->seen);
    /* Those ahead in the word of the highest are still to come. */
    if (counter % 64 != 63) {
        replay->seen[counter / 64 % WORDS] &= (2ull << counter % 64) - 1;
    }
}
