/* SPDX-License-Identifier: Apache-2.0
 *
 * The UNIX socket of RPC: made with mode 0660 while the process still has its rights, so that its
 * group may be the one of --user; who connects is asked for by peer credentials besides. A socket
 * that a crash left is taken away only when nobody answers on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

/* Makes the directory of the default path where it is missing; binds and listens. owner: the user
 * who gets it, or NULL. Kept until rpc_unix_take. ERR_IN_USE: another node answers there. */
int rpc_unix_bind(const char *path, bool make_directory, const char *owner, struct err *err);
/* The listening socket of that path, non-blocking, and the lock that says that it is ours; both
 * moved. False: it was not bound. */
bool rpc_unix_take(int *fd, int *lock);
/* Closes what nobody took. */
void rpc_unix_release(void);
/* Takes the file away; lock is closed. */
void rpc_unix_remove(const char *path, int lock);

/* Who is at the other end: "uid N" into who. True: root, the user of this process, or somebody of
 * the group of this process, who may do all. */
bool rpc_unix_peer(int fd, char *who, size_t size);
