/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals as bytes in a pipe (the self-pipe trick): the handler writes the signal's number, the
 * main thread polls the descriptor and reads it. SIGPIPE is ignored, so that a closed pipe is an
 * error of write(2). Process-wide: one user at a time.
 */
#pragma once

#include "shared/base/err.h"

/* SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under nohup) and SIGUSR1 go to the pipe from
 * now on. */
int signals_catch(struct err *err);
int signals_fd(void);
/* The next signal's number, 0 when none is waiting. */
int signals_next(void);
/* The handlers are as they were. */
void signals_release(void);
