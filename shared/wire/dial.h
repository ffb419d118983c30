/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection that a blocking client dials: names looked up and addresses tried side by side (RFC
 * 8305), TCP, TLS or a UNIX socket, with absolute deadlines throughout. Bytes are queued and
 * fetched without waiting; dial_wait is the only place that waits. One thread at a time, but for
 * dial_interrupt. Used by ws_client_posix, http_call_posix and rpc_client_posix alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/url.h"

struct dial;

struct dial_opts {
    const struct url_endpoint *endpoint;
    const char *unix_path; /* a UNIX socket in place of the endpoint; NULL = none */
    const char *flag;      /* the node's option for hints in errors; NULL = --http-addr */
    const char *ca_file;   /* TLS: NULL = the system's */
    uint16_t local_port_from;
    uint16_t local_port_to; /* 0 = any port */
    int stop_fd;            /* readable: what waits ends with ERR_INTERRUPTED; 0 = none */
};

/* Connects, and shakes hands where it is TLS. -ETIMEDOUT at the deadline (monotonic ns), ERR_KEY
 * for a certificate that is refused. */
int dial_open(const struct dial_opts *opts, uint64_t deadline_ns, struct dial **out,
              struct err *err);
void dial_close(struct dial *dial); /* takes NULL */
/* stop_fd is for what came before this. */
void dial_go_on(struct dial *dial);

/* Takes bytes to be sent (encrypts them); dial_flush sends what the kernel takes at once. */
int dial_queue(struct dial *dial, const void *data, size_t n, struct err *err);
int dial_flush(struct dial *dial, struct err *err);
size_t dial_queued(const struct dial *dial);
/* Erases what was queued and sent, where it held a secret. */
void dial_forget(struct dial *dial);

/* Appends what came to `in`, whose free room (at least 1 byte, DIAL_READ_BYTES are usual) says how
 * much. 1, 0 when nothing is there now, or negative: the connection ended (-ECONNRESET, also for an
 * orderly end) or broke. */
#define DIAL_READ_BYTES (256u * 1024u)
int dial_receive(struct dial *dial, struct buf *in, struct err *err);
/* True when the peer closed its side in order: nothing was cut. */
bool dial_is_at_end(const struct dial *dial);

/* Waits until bytes can be read (if asked) or queued ones written: 0. -ETIMEDOUT; ERR_INTERRUPTED
 * once for each dial_interrupt since the last. */
int dial_wait(struct dial *dial, bool read, uint64_t deadline_ns, struct err *err);
/* Any thread, signal handlers. */
void dial_interrupt(struct dial *dial);
bool dial_was_interrupted(struct dial *dial); /* and forgets it */

/* The words for a peer that went away before it said anything: -ECONNRESET. */
int dial_no_answer(const struct url_endpoint *endpoint, struct err *err);

/* All of it until the deadline: queued bytes go out. */
int dial_flush_all(struct dial *dial, uint64_t deadline_ns, struct err *err);

/* The addresses of a host, with the port in them; freeaddrinfo. getaddrinfo knows no deadline, so
 * names are looked up in a thread of their own, which is left behind when it takes too long. */
struct addrinfo;
int resolve_host(const struct dial_opts *opts, uint64_t deadline_ns, struct addrinfo **out,
                 struct err *err);
/* A connected socket to one of them: the first that answers, begun 250 ms apart. */
int race_connect(const struct addrinfo *addresses, const struct dial_opts *opts,
                 uint64_t deadline_ns, int *fd, struct err *err);
/* Milliseconds for poll() until then, rounded up; -1 = for ever. */
int poll_timeout(uint64_t deadline_ns);
