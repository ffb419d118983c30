/* SPDX-License-Identifier: Apache-2.0
 *
 * A listening TCP socket. It accepts in bounded batches, so that a storm of connects leaves the
 * loop time for the connections that are there, and survives a process without free descriptors: a
 * spare one is given up to take and drop who waits, counted, in place of spinning. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "shared/base/err.h"

#define LISTENER_BATCH 128 /* accepted in one turn of the loop */

struct listener {
    uv_poll_t poll;
    uv_timer_t pause; /* no descriptor at all is free: accepting waits */
    unsigned n_handles;
    int fd;
    int spare_fd;
    struct sockaddr_storage address; /* with the real port */
    char text[64];                   /* "127.0.0.1:8080" */
    uint64_t no_descriptors;         /* dropped for want of a descriptor */
    /* fd is moved. */
    void (*accepted)(struct listener *listener, int fd, const struct sockaddr_storage *peer);
    void (*closed)(struct listener *listener);
    void *arg; /* of whoever opened it */
};

/* Binds and listens. ERR_IN_USE (the port is taken), ERR_PERMISSION, with the way out: `option`
 * ("--http-addr") is where the address was given. */
int listener_open(struct listener *listener, uv_loop_t *loop, const struct sockaddr_storage *at,
                  const char *option, struct err *err);
/* The same with a socket that listens already (moved, also on failure) and its name. */
int listener_open_socket(struct listener *listener, uv_loop_t *loop, int fd, const char *text,
                         struct err *err);
bool listener_is_loopback(const struct listener *listener);
uint16_t listener_port(const struct listener *listener);
/* The socket is closed at once; closed follows. */
void listener_close(struct listener *listener, void (*closed)(struct listener *listener));

/* "HOST:PORT", "[V6]:PORT", ":PORT" (all addresses) into addresses. Blocks where HOST is a name.
 * Gives how many (at most max), or ERR_USAGE. */
int listener_resolve(const char *text, struct sockaddr_storage *out, size_t max, struct err *err);
bool address_is_loopback(const struct sockaddr_storage *address);
