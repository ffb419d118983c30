/* SPDX-License-Identifier: Apache-2.0
 *
 * A WebSocket connection of a node, after the upgrade. All on the loop thread. Two ways to send: a
 * message, which is copied; or bytes that are framed already (ws_put_header), written from where
 * they lie and released afterwards, which is how packets go out. Pings are answered, silent peers
 * are pinged and ended after a while. The connection frees itself after `closed`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shared/wire/ws.h"

struct ws_conn;

struct ws_conn_opts {
    size_t max_message; /* of what the peer may send; longer: closed with 1009 */
    bool deflate;       /* permessage-deflate, if the peer offers it */
    /* A whole message of the peer (WS_TEXT or WS_BINARY), borrowed. May be NULL: ignored. */
    void (*message)(struct ws_conn *conn, void *arg, enum ws_opcode opcode, const uint8_t *data,
                    size_t n);
    /* What was queued went below the low mark, or out altogether. */
    void (*drained)(struct ws_conn *conn, void *arg);
    /* The end, whoever ended it; conn is gone after this call. */
    void (*closed)(struct ws_conn *conn, void *arg);
    void *arg;
};

/* Bytes that wait to be sent, in our memory (not the kernel's). */
size_t ws_conn_queued(const struct ws_conn *conn);
/* False while more than the high mark waits: do not send packets then. */
bool ws_conn_has_room(const struct ws_conn *conn);
bool ws_conn_is_deflated(const struct ws_conn *conn);
const char *ws_conn_peer(const struct ws_conn *conn);
const char *ws_conn_key_id(const struct ws_conn *conn); /* "" = none; for ending revoked ones */
unsigned ws_conn_rights(const struct ws_conn *conn);

void ws_conn_send(struct ws_conn *conn, enum ws_opcode opcode, const void *data, size_t n);

/* n ≤ WS_CONN_IOV_MAX runs of bytes that are whole frames together; release(arg) when the kernel
 * (or TLS) has taken them all, also when the connection breaks. */
#define WS_CONN_IOV_MAX 16
void ws_conn_write_framed(struct ws_conn *conn, const struct iovec *iov, unsigned n,
                          void (*release)(void *arg), void *arg);

/* Starts the closing handshake; `closed` follows, within two seconds. Again: nothing. */
void ws_conn_close(struct ws_conn *conn, uint16_t code, const char *reason);
/* When the node ends, its owner closes it, after the last that it has to say; else the server does
 * so at once. */
void ws_conn_hold(struct ws_conn *conn);
/* At once, without a word. */
void ws_conn_abort(struct ws_conn *conn);
