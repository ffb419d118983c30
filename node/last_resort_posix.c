/* SPDX-License-Identifier: Apache-2.0 */
#include "node/last_resort_posix.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define EXIT_INTERRUPTED 130

static const char late[] =
    "packetrecorder: warning: not all could be ended in time; what was recorded last may be "
    "missing, 'packetrecorder verify' says so\n";

static volatile sig_atomic_t late_code;

static void on_alarm(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, late, sizeof late - 1);
    _exit((int)late_code);
}

static void on_second(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

void last_resort_arm(uint32_t ms, int code)
{
    struct itimerval timer = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction second = {.sa_handler = on_second};

    late_code = code;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    sigaction(SIGTERM, &second, NULL);
    sigaction(SIGINT, &second, NULL);
}

void last_resort_disarm(void)
{
    const struct itimerval none = {0};

    setitimer(ITIMER_REAL, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
}
