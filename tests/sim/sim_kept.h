/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeds that failed once, with what they found: run again in every test run. A seed is a run only
 * as long as the simulator draws the same numbers; what it found is a test of its own elsewhere
 * when it was a fault of the core.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sim_kept {
    uint64_t seed;
    uint32_t n_nodes;
    uint32_t seconds;
    const char *found;
};

static const struct sim_kept sim_kept_seeds[] = {
    {13, 50, 60, "a left member of forgetful rules is heard of again (I3)"},
    {18, 32, 60, "a stranger's suspicion comes again when its record is known (I11)"},
    {62, 16, 60, "a replay meets a later life of its receiver (I11)"},
    {116, 32, 40, "a stranger's death notice comes again when its record is known (I11)"},
    {179, 16, 60, "who was cut off when it joined is back within 30 s (L5)"},
    {1078, 32, 60, "a suspicion of before the healing ran out unheard (L8)"},
    {5062, 32, 60, "the same (L3)"},
    {5119, 32, 60, "the same, in a minority (L3)"},
    {10003980, 32, 60, "asked once more, then unwell, then dead without being asked (L3)"},
    {20003160, 32, 60, "told of in a partition that ended just before the verdict (L3)"},
    {20002267, 32, 60, "dead in two incarnations on two sides, and alive to both again (L8)"},
    {10000350, 32, 60, "gossip misses one observer of a farewell (L7)"},
    {10005280, 32, 60, "a suspicion is told again, since no probe was free to ask (I7)"},
    {30001024, 32, 60, "the seed starts last and has nobody to ask (L6)"},
    {30001772, 32, 60, "the same with a node that has the seed's address (L6)"},
    {50004095, 32, 60, "the unwell wait 86 s for the slow, and probe nobody meanwhile (L1)"},
    {60005717, 32, 60, "a message waits for a lost one behind a late one: no end"},
    {60012458, 32, 60, "a farewell of somebody unknown comes again when it is known (I11)"},
    {60012908, 32, 60, "a full disk and a clock that went back give the same boot again (L8)"},
    {60021551, 32, 60, "one knows nobody but one that is gone, and tries its seed 30 s later (L6)"},
};
