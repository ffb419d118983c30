/* SPDX-License-Identifier: Apache-2.0
 *
 * measure OUT COMMAND [ARGS…]: runs the command and writes what it cost to the file OUT, one line:
 * wall seconds, user seconds, system seconds, largest resident set in KiB, exit code. SIGTERM and
 * SIGINT are passed on to the command. Exit code is the command's, 128 + n after signal n.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void pass_on(int number)
{
    kill(child, number);
}

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double timeval_s(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
}

/* Blocks the two signals until the child is known, so that an early one is not lost. */
static pid_t start(char **command)
{
    struct sigaction action = {.sa_handler = pass_on};
    sigset_t both;
    sigset_t before;

    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    sigprocmask(SIG_BLOCK, &both, &before);
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(command[0], command);
        fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    child = pid;
    if (pid > 0) {
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int main(int argc, char **argv)
{
    struct rusage cost;
    int status = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: measure OUT COMMAND [ARGS...]\n");
        return 2;
    }
    double began = now_s();
    pid_t pid = start(argv + 2);
    if (pid < 0) {
        perror("measure: fork");
        return 1;
    }
    while (wait4(pid, &status, 0, &cost) < 0) {
        if (errno != EINTR) {
            perror("measure: wait");
            return 1;
        }
    }
    double wall = now_s() - began;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *out = fopen(argv[1], "w");
    if (out == NULL) {
        fprintf(stderr, "measure: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    fprintf(out, "%.6f %.6f %.6f %ld %d\n", wall, timeval_s(cost.ru_utime),
            timeval_s(cost.ru_stime), cost.ru_maxrss, code);
    fclose(out);
    return code;
}
