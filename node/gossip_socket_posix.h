/* SPDX-License-Identifier: Apache-2.0
 *
 * A UDP socket of the swarm: batches of datagrams in and out, with the kernel's receive stamps and
 * its count of what it dropped. One family each ([::] is IPv6 alone). It never waits. No datagram
 * is fragmented: what a path does not carry comes back as -EMSGSIZE. Gossip thread; opened before
 * that begins.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "shared/base/err.h"
#include "shared/swarm/swim_envelope.h"

#define GOSSIP_RCVBUF     (4u << 20)
#define GOSSIP_RECV_BATCH 32
#define GOSSIP_SEND_BATCH 8 /* few: who is asked for the time waits for those before it */

struct gossip_socket {
    int fd;
    uint8_t family;           /* 4 or 6 */
    bool is_any;              /* bound to all addresses */
    bool is_loopback;         /* bound to one that only this host reaches */
    struct swim_addr address; /* bound to, with the real port */
    uint32_t n_dropped;       /* by the kernel, as it counted last */
    uint32_t rcvbuf;          /* bytes that the kernel gave */
};

/* One that came. */
struct gossip_datagram {
    uint8_t *bytes;
    size_t n; /* SWIM_DATAGRAM_MAX + 1: longer than any of ours */
    struct swim_addr from;
    int64_t stamp_ns; /* of the wall clock; 0: the kernel gave none */
};

struct gossip_inbox; /* buffers of one batch; may serve many sockets */

struct gossip_inbox *gossip_inbox_new(void);
void gossip_inbox_free(struct gossip_inbox *inbox);

/* ERR_IN_USE and the like with the way out. port 0: any free one. */
int gossip_socket_open(struct gossip_socket *s, const struct sockaddr_storage *at, struct err *err);
/* True when `at` names a port, or the one that was found is free for TCP as well. */
bool gossip_socket_port_is_free(const struct gossip_socket *s, const struct sockaddr_storage *at);
void gossip_socket_close(struct gossip_socket *s); /* of a zeroed or closed one: nothing */

/* What waits, at most a batch: how many; 0: nothing. *n_dropped grows by what the kernel dropped.
 */
size_t gossip_socket_receive(struct gossip_socket *s, struct gossip_inbox *inbox,
                             uint32_t *n_dropped);
/* Borrowed until the next receive. */
const struct gossip_datagram *gossip_inbox_at(const struct gossip_inbox *inbox, size_t i);

/* Datagrams that are to go out together. */
struct gossip_outbox {
    size_t n;
    struct swim_addr to[GOSSIP_SEND_BATCH];
    uint16_t lengths[GOSSIP_SEND_BATCH];
    uint8_t bytes[GOSSIP_SEND_BATCH][SWIM_DATAGRAM_MAX];
};

/* All of them, in order; failed(arg, i, errno) for each that the kernel refused. Empties it. */
void gossip_socket_send(struct gossip_socket *s, struct gossip_outbox *outbox,
                        void (*failed)(void *arg, const struct swim_addr *to, int errnum),
                        void *arg);

/* One at once, and when it left this host: the kernel's own stamp of the wall clock, 0: it gave
 * none (yet). Gives 0 or -errno. */
int gossip_socket_send_stamped(struct gossip_socket *s, const struct swim_addr *to,
                               const uint8_t *bytes, size_t n, int64_t *stamp_ns);
/* Stamps that came late are thrown away: unread they would keep the socket's loop awake. */
void gossip_socket_drop_stamps(struct gossip_socket *s);

bool gossip_addr_from(const struct sockaddr *from, struct swim_addr *out);
socklen_t gossip_addr_to(const struct swim_addr *from, struct sockaddr_storage *out);
bool gossip_addr_is_loopback(const struct swim_addr *addr);
/* "10.0.0.1:7946", "[fd00::1]:7946". */
#define GOSSIP_ADDR_TEXT 56
void gossip_addr_text(const struct swim_addr *addr, char out[GOSSIP_ADDR_TEXT]);
