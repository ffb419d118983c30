/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/clock_posix.h"

#ifdef PR_TEST_CLOCK
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#endif
#include <sys/timex.h>
#include <time.h>

#ifdef PR_TEST_CLOCK
#include "shared/base/mem.h"
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
    uint64_t true_ns = read_clock(CLOCK_REALTIME);

    return true_ns + (uint64_t)clock_test_offset_ns(true_ns);
}

uint64_t clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

bool clock_is_kept(void)
{
    struct timex now = {0};
    uint64_t true_ns = read_clock(CLOCK_REALTIME);

    return clock_test_offset_ns(true_ns) == 0 && adjtimex(&now) >= 0 &&
           (now.status & STA_UNSYNC) == 0;
}

#ifdef PR_TEST_CLOCK
enum { TEST_BEFORE, TEST_AT, TEST_AFTER, N_TEST_WORDS };

static int64_t fixed_offset[N_TEST_WORDS];
static const volatile int64_t *test_offset = fixed_offset;

static void read_test_offset(void)
{
    const char *text = getenv("PACKETRECORDER_TEST_CLOCK_OFFSET");
    const char *path = getenv("PACKETRECORDER_TEST_CLOCK_FILE");
    uint64_t ns = 0;

    if (text != NULL && text_parse_duration(text[0] == '-' ? text + 1 : text, &ns, NULL) == 0) {
        fixed_offset[TEST_AFTER] = text[0] == '-' ? -(int64_t)ns : (int64_t)ns;
    }
    if (path != NULL) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        const void *words = mmap(NULL, sizeof fixed_offset, PROT_READ, MAP_SHARED, fd, 0);
        REQUIRE(words != MAP_FAILED); /* a test that would not test */
        close(fd);
        test_offset = words;
    }
}

int64_t clock_test_offset_ns(uint64_t true_ns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, read_test_offset);
    return (int64_t)true_ns < test_offset[TEST_AT] ? test_offset[TEST_BEFORE]
                                                   : test_offset[TEST_AFTER];
}
#endif
