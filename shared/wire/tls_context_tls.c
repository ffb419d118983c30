/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/tls_internal.h"

#define CHAIN_MAX 16
#define NS_PER_S  1000000000ULL
#define DAY_S     86400ULL

/* TLS 1.2: forward secrecy and authenticated encryption only. 1.3 has nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct tls_context {
    SSL_CTX *ctx;
};

struct ssl_ctx_st *tls_context_handle(const struct tls_context *context)
{
    return context->ctx;
}

int tls_told(struct err *err, int code, const char *what, const char *fallback)
{
    unsigned long number = ERR_peek_last_error();
    const char *reason = number == 0 ? NULL : ERR_reason_error_string(number);

    ERR_clear_error();
    return err_set(err, code, "%s: %s", what, reason == NULL ? fallback : reason);
}

/* No passphrase is asked for on a terminal. */
static int no_passphrase(char *out, int n, int writing, void *arg)
{
    (void)out;
    (void)n;
    (void)writing;
    (void)arg;
    return -1;
}

static BIO *pem_bio(const struct tls_pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->n);

    REQUIRE(bio != NULL);
    return bio;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char http[] = "\x08http/1.1";
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)arg;
    /* Whoever offers only others is answered without one (RFC 7301 allows it). */
    if (SSL_select_next_proto(&chosen, n, http, sizeof http - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static struct tls_context *context_new(bool server)
{
    struct tls_context *context = x_alloc(sizeof *context);

    context->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    REQUIRE(context->ctx != NULL);
    REQUIRE(SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION) == 1);
    REQUIRE(SSL_CTX_set_cipher_list(context->ctx, ciphers) == 1);
    SSL_CTX_set_options(context->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE |
                                          SSL_OP_PRIORITIZE_CHACHA);
    /* An idle connection keeps no buffers: 34 KiB less each. */
    SSL_CTX_set_mode(context->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    /* Resumption is by tickets, which cost the server no memory. */
    SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context->ctx, no_passphrase);
    if (server) {
        SSL_CTX_set_num_tickets(context->ctx, 1);
        SSL_CTX_set_alpn_select_cb(context->ctx, choose_protocol, NULL);
    }
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->ctx); /* OpenSSL counts: sessions hold it, too */
        mem_free(context);
    }
}

static uint64_t end_of(const X509 *cert)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    bool good = ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) == 1;

    ASN1_TIME_free(epoch);
    if (!good || days < 0 || seconds < 0) {
        return 0;
    }
    uint64_t s = (uint64_t)days * DAY_S + (uint64_t)seconds;
    return s > UINT64_MAX / NS_PER_S ? UINT64_MAX : s * NS_PER_S; /* 9999: never */
}

/* The certificate and those that vouch for it, in the order of the file. */
static int use_chain(SSL_CTX *ctx, const struct tls_pem *pem, uint64_t *expires_ns, struct err *err)
{
    BIO *bio = pem_bio(pem);
    char what[512];
    int rc = 0;
    int n = 0;
    X509 *cert;

    snprintf(what, sizeof what, "the certificate '%.400s'", pem->name);
    *expires_ns = UINT64_MAX;
    while (rc == 0 && n < CHAIN_MAX && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        uint64_t end = end_of(cert);
        *expires_ns = end < *expires_ns ? end : *expires_ns;
        bool good = n == 0 ? SSL_CTX_use_certificate(ctx, cert) == 1
                           : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
        rc = good ? 0 : tls_told(err, ERR_KEY, what, "OpenSSL refuses it");
        n++;
    }
    BIO_free(bio);
    if (rc == 0 && n == 0) {
        rc = tls_told(err, ERR_KEY, what, "no PEM certificate is in it");
    }
    ERR_clear_error(); /* the end of the file is an error to OpenSSL */
    return rc;
}

static int use_key(SSL_CTX *ctx, const struct tls_pem *pem, const char *cert, struct err *err)
{
    BIO *bio = pem_bio(pem);
    char what[512];
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    int rc = 0;

    snprintf(what, sizeof what, "the private key '%.400s'", pem->name);
    BIO_free(bio);
    if (key == NULL) {
        rc = tls_told(err, ERR_KEY, what, "no PEM key without a passphrase is in it");
    } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        snprintf(what, sizeof what,
                 "the private key '%.200s' does not fit the certificate '%.200s'", pem->name, cert);
        rc = tls_told(err, ERR_KEY, what, "they are not of one pair");
    }
    EVP_PKEY_free(key);
    return rc;
}

int tls_server_context_from_pem(const struct tls_pem *cert, const struct tls_pem *key,
                                struct tls_context **out, uint64_t *expires_ns, struct err *err)
{
    struct tls_context *context = context_new(true);
    uint64_t expires = 0;
    int rc = use_chain(context->ctx, cert, &expires, err);

    rc = rc < 0 ? rc : use_key(context->ctx, key, cert->name, err);
    if (rc < 0) {
        tls_context_free(context);
        return rc;
    }
    *expires_ns = expires;
    *out = context;
    return 0;
}

static int trust(SSL_CTX *ctx, const struct tls_pem *ca, struct err *err)
{
    BIO *bio = pem_bio(ca);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    size_t n = 0;
    X509 *cert;

    while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        n += X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (n == 0) {
        return err_set(err, ERR_KEY, "no PEM certificate is in the CA file '%s'", ca->name);
    }
    /* A server's own certificate may be what is trusted: no CA needed on a workbench. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

int tls_client_context_from_pem(const struct tls_pem *ca, struct tls_context **out, struct err *err)
{
    static const unsigned char http[] = "\x08http/1.1";
    struct tls_context *context = context_new(false);
    int rc = 0;

    SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(context->ctx, http, sizeof http - 1);
    if (ca != NULL) {
        rc = trust(context->ctx, ca, err);
    } else if (SSL_CTX_set_default_verify_paths(context->ctx) != 1) {
        rc = tls_told(err, ERR_KEY, "the system's certificates", "cannot be read");
    }
    if (rc < 0) {
        tls_context_free(context);
        return rc;
    }
    *out = context;
    return 0;
}
