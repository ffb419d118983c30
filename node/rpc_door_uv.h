/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may begin a handshake on the TCP port of RPC: at most CHANNEL_STRANGERS_MAX at a time, and
 * CHANNEL_STRANGERS_OF_ADDRESS_MAX of one address. More wait, unread, until one of the others is
 * let in or gone, so that a thousand clients who come at once are served one after the other; who
 * waited too long, or would be one too many, is told that the node is busy. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "shared/base/buf.h"

#define RPC_DOOR_WAITING_MAX 1024

struct rpc_door;

/* head: what was read of it already, elsewhere; borrowed. NULL: nothing was. */
typedef void (*rpc_door_enter_cb)(void *arg, int fd, const struct sockaddr_storage *peer,
                                  const struct buf *head);

struct rpc_door *rpc_door_open(uv_loop_t *loop, rpc_door_enter_cb enter, void *arg);
/* Who waits is dropped. closed(arg) follows. */
void rpc_door_close(struct rpc_door *door, void (*closed)(void *arg));

/* Calls enter now or later, or refuses; fd is moved, head (or NULL) is copied when it waits. Each
 * that entered is one stranger until rpc_door_left. */
void rpc_door_knock(struct rpc_door *door, int fd, const struct sockaddr_storage *peer,
                    const struct buf *head);
/* It is known now, or gone. */
void rpc_door_left(struct rpc_door *door, const struct sockaddr_storage *peer);
/* Sends the byte that says "busy", and closes. */
void rpc_door_turn_away(int fd);

size_t rpc_door_strangers(const struct rpc_door *door);
size_t rpc_door_waiting(const struct rpc_door *door);
uint64_t rpc_door_turned_away(const struct rpc_door *door);
