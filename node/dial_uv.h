/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP connection to another member: from one of the local ports that captures leave out, so that
 * what the swarm says to itself is in no capture. Two connections share a port when they go to
 * different places; where none of them is free for this place, the kernel chooses one. On the loop
 * that it was started on.
 */
#pragma once

#include <sys/socket.h>
#include <uv.h>

/* The own-traffic filter has them. */
#define DIAL_PORT_FROM 47960
#define DIAL_PORT_TO   48023

struct dial {
    uv_poll_t poll;
    int fd;  /* -1: none, or handed over */
    int why; /* it failed at once */
    /* Once, later, unless it was stopped: the connected socket, moved; or -errno. */
    void (*done)(struct dial *dial, int fd);
    /* The last: the memory may go. */
    void (*closed)(struct dial *dial);
};

/* done and closed are set. first: which of the ports is tried first. -errno: nothing was begun, and
 * nothing is called. */
int dial_start(struct dial *dial, uv_loop_t *loop, const struct sockaddr_storage *to,
               uint64_t first);
/* Also behind done, and again; before `closed`. */
void dial_stop(struct dial *dial);
