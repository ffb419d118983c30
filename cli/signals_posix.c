/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/signals_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "shared/base/mem.h"

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
static struct sigaction before[ARRAY_LEN(numbers)];
static struct sigaction pipe_before;
static int fds[2] = {-1, -1};

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;

    (void)!write(fds[1], &byte, 1);
    errno = saved;
}

int signals_catch(struct err *err)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return err_errno(err, errno, "cannot make a pipe");
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        sigaction(numbers[i], NULL, &before[i]);
        if (numbers[i] != SIGHUP || before[i].sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    sigaction(SIGPIPE, &ignore, &pipe_before);
    return 0;
}

int signals_fd(void)
{
    return fds[0];
}

int signals_next(void)
{
    unsigned char byte;

    return read(fds[0], &byte, 1) == 1 ? byte : 0;
}

void signals_release(void)
{
    if (fds[0] < 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        sigaction(numbers[i], &before[i], NULL);
    }
    sigaction(SIGPIPE, &pipe_before, NULL);
    close(fds[0]);
    close(fds[1]);
    fds[0] = fds[1] = -1;
}
