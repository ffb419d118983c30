/* SPDX-License-Identifier: Apache-2.0
 *
 * A blocking WebSocket client with an absolute deadline, over TCP or TLS: what view, extcap, sniff
 * and the tests dial nodes with. One thread at a time, but for ws_client_interrupt. It does not
 * reconnect; whoever drives it does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/wire/http.h"
#include "shared/wire/url.h"
#include "shared/wire/ws.h"

struct ws_client;

struct ws_client_opts {
    const struct url_endpoint *endpoint;
    const char *target;  /* whole: "/connections/eth0?format=pcapng"; the endpoint's path is not
                            put before it */
    const char *api_key; /* sent as Authorization: Bearer; NULL = none */
    const char *ca_file; /* TLS: NULL = the system's */
    size_t max_message;  /* 0 = 16 MiB */
    bool deflate;        /* offers permessage-deflate */
    /* Local ports for the connection, so that a node can leave its own traffic out; 0 = any. */
    uint16_t local_port_from;
    uint16_t local_port_to;
    /* Connecting ends with ERR_INTERRUPTED when this is readable; it is not read. 0 = none. */
    int stop_fd;
};

/* Connects (all addresses of the name in turn), shakes hands. *status gets the HTTP status of a
 * refusal, 0 when there was no answer; err then has the detail of the problem document. deadline_ns
 * is monotonic. There is no client to interrupt yet: see stop_fd. */
int ws_client_open(const struct ws_client_opts *opts, uint64_t deadline_ns, struct ws_client **out,
                   unsigned *status, struct err *err);
void ws_client_close(
    struct ws_client *client); /* takes NULL; no close frame: see ws_client_finish */

/* A header of the handshake's response, or NULL. */
const char *ws_client_header(const struct ws_client *client, const char *name);

/* The next message, borrowed until the next call. 1 with opcode, data and n; WS_CLOSE gives 0 with
 * the code (*n bytes of reason at *data); -ETIMEDOUT at the deadline with nothing lost,
 * ERR_INTERRUPTED after ws_client_interrupt, else what broke. */
int ws_client_receive(struct ws_client *client, uint64_t deadline_ns, enum ws_opcode *opcode,
                      const uint8_t **data, size_t *n, uint16_t *close_code, struct err *err);

/* Sends one message, waiting for room until the deadline: -ETIMEDOUT, and nothing of it was taken.
 * 0: it is taken, and what of it has not gone out at the deadline goes with the next calls. While
 * it waits, what comes is read and kept (bounded) for ws_client_receive. */
int ws_client_send(struct ws_client *client, enum ws_opcode opcode, const void *data, size_t n,
                   uint64_t deadline_ns, struct err *err);
/* Sends a close frame and waits for the peer's, then closes as above. */
void ws_client_finish(struct ws_client *client, uint16_t code, const char *reason,
                      uint64_t deadline_ns);

/* Ends ws_client_receive at once, the one that waits or the next; nothing is lost. A send goes on.
 * Any thread, signal handlers. */
void ws_client_interrupt(struct ws_client *client);

/* One plain HTTP call over the same code, with any method but HEAD. 0 when a whole answer came,
 * whatever its *status: its content is in `body`, and http_problem() makes an error of a refusal.
 * ERR_LIMIT: more than max_body. */
struct http_call {
    const struct url_endpoint *endpoint;
    const char *method;
    const char *target;
    const char *api_key;
    const char *ca_file;
    const char *body; /* JSON, or NULL */
    size_t max_body;
};
int http_call(const struct http_call *call, uint64_t deadline_ns, unsigned *status,
              struct buf *body, struct err *err);
