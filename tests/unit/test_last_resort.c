/* SPDX-License-Identifier: Apache-2.0
 *
 * What ends a daemon whose loop hangs: each case is a child that never looks at anything again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/last_resort_posix.h"
#include "shared/base/clock_posix.h"

#define LATE_MS 200

/* Arms, says so on the pipe, and hangs; stderr goes into the pipe too. */
static pid_t start_hanging(uint32_t ms, int code, int *out)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        last_resort_arm(ms, code);
        (void)!write(fds[1], "!", 1);
        for (;;) {
            pause();
        }
    }
    close(fds[1]);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 1);
    *out = fds[0];
    return pid;
}

static int code_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_process_that_hangs_ends_in_time_with_0_and_says_so(void **state)
{
    char text[512] = "";
    uint64_t before_ns = clock_monotonic_ns();
    int fd;

    (void)state;
    pid_t pid = start_hanging(LATE_MS, 0, &fd);
    assert_int_equal(code_of(pid), 0);
    uint64_t took_ms = (clock_monotonic_ns() - before_ns) / 1000000;
    assert_in_range(took_ms, LATE_MS - 20, 5000);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "packetrecorder verify"));
    close(fd);
}

static void one_that_never_started_ends_with_its_own_code(void **state)
{
    int fd;

    (void)state;
    pid_t pid = start_hanging(1, 2, &fd);
    assert_int_equal(code_of(pid), 2);
    close(fd);
}

static void a_second_signal_ends_it_at_once_with_130(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int fd;
        pid_t pid = start_hanging(60000, 0, &fd);
        assert_int_equal(kill(pid, numbers[i]), 0);
        assert_int_equal(code_of(pid), 130);
        close(fd);
    }
}

static void disarmed_it_ends_nothing(void **state)
{
    (void)state;
    last_resort_arm(60000, 0);
    last_resort_disarm();
    struct sigaction now;
    assert_int_equal(sigaction(SIGALRM, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(sigaction(SIGTERM, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(alarm(0), 0); /* no timer was running */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_hangs_ends_in_time_with_0_and_says_so),
        cmocka_unit_test(one_that_never_started_ends_with_its_own_code),
        cmocka_unit_test(a_second_signal_ends_it_at_once_with_130),
        cmocka_unit_test(disarmed_it_ends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
