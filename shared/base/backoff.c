/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/backoff.h"

uint64_t backoff_next_ns(struct backoff *backoff, uint64_t random)
{
    uint64_t longest = BACKOFF_FIRST_NS;

    for (uint32_t i = 0; i < backoff->failures && longest < BACKOFF_MAX_NS; i++) {
        longest *= 2;
    }
    longest = longest > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : longest;
    if (backoff->failures < UINT32_MAX) {
        backoff->failures++;
    }
    return random % (longest + 1);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}
