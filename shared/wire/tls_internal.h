/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the parts of the TLS codec: contexts out of PEM text, so that OpenSSL reads no key file
 * by itself. Not for others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/wire/tls.h"

/* A server's context out of n bytes of PEM each; the names are for errors. *expires_ns: the first
 * certificate of the chain that ends. */
struct tls_pem {
    const char *name;
    const char *text;
    size_t n;
};
int tls_server_context_from_pem(const struct tls_pem *cert, const struct tls_pem *key,
                                struct tls_context **out, uint64_t *expires_ns, struct err *err);
/* A client's; ca NULL: the system's. */
int tls_client_context_from_pem(const struct tls_pem *ca, struct tls_context **out,
                                struct err *err);

/* The sentence of OpenSSL's last error, or `fallback`. Empties its queue. */
int tls_told(struct err *err, int code, const char *what, const char *fallback);

/* OpenSSL's SSL_CTX of a context. */
struct ssl_ctx_st *tls_context_handle(const struct tls_context *context);
