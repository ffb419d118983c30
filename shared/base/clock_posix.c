/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/clock_posix.h"

#ifdef PR_TEST_CLOCK
#include <pthread.h>
#include <stdlib.h>
#endif
#include <time.h>

#ifdef PR_TEST_CLOCK
#include "shared/base/text.h"
#endif

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME) + (uint64_t)clock_test_offset_ns();
}

uint64_t clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

#ifdef PR_TEST_CLOCK
static int64_t test_offset_ns;

static void read_test_offset(void)
{
    const char *text = getenv("PACKETRECORDER_TEST_CLOCK_OFFSET");
    uint64_t ns = 0;

    if (text != NULL && text_parse_duration(text[0] == '-' ? text + 1 : text, &ns, NULL) == 0) {
        test_offset_ns = text[0] == '-' ? -(int64_t)ns : (int64_t)ns;
    }
}

int64_t clock_test_offset_ns(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, read_test_offset);
    return test_offset_ns;
}
#endif
