/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.2 and newer (OpenSSL over memory BIOs) as a codec without I/O, both sides: ciphertext in,
 * plaintext out, and the other way round. The same code serves the node's listeners and the
 * blocking clients. Secrets stay inside OpenSSL. Drivers: node/stream_uv, ws_client_posix.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

struct tls_context;
struct tls;

/* A server's certificate chain and key, both PEM. ERR_KEY when they do not fit each other, cannot
 * be read, or others than the owner can read the key; a certificate that has expired is told
 * through *expires_ns (UNIX time, ns), which the caller watches. */
int tls_server_context_new(const char *cert_file, const char *key_file, struct tls_context **out,
                           uint64_t *expires_ns, struct err *err);
/* A client's: trusts the certificates in ca_file (CAs, or the server's own), or the system's CAs
 * where it is NULL. There is no way to check nothing. */
int tls_client_context_new(const char *ca_file, struct tls_context **out, struct err *err);
void tls_context_free(struct tls_context *context); /* counted: running sessions keep it */

/* One connection. host: whom a client expects (name or address; SNI and check); NULL for servers.
 */
struct tls *tls_new(struct tls_context *context, const char *host);
void tls_free(struct tls *tls); /* takes NULL */

/* Takes ciphertext. Plaintext that came out is appended to `plain`, what must be sent (handshake,
 * alerts) to `cipher`. Plaintext is never more than the ciphertext fed and the rest of one record
 * (16 KiB), so the caller bounds memory by what it feeds. 1 when the peer closed, 0, or ERR_DAMAGED
 * / ERR_KEY (certificate refused, with OpenSSL's words); alerts are in `cipher` then. n = 0 starts
 * a client's handshake. */
int tls_feed(struct tls *tls, const uint8_t *data, size_t n, struct buf *plain, struct buf *cipher,
             struct err *err);
bool tls_is_ready(const struct tls *tls); /* the handshake is done */

/* Encrypts all n bytes behind what is in `cipher`; only when ready. */
int tls_write(struct tls *tls, const void *data, size_t n, struct buf *cipher, struct err *err);
/* close_notify. */
void tls_close(struct tls *tls, struct buf *cipher);
