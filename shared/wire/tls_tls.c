/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL reads and writes through a BIO of ours, which takes from the bytes that were fed and
 * appends to the caller's buffer: no copy in between, and no end but what the caller says.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/tls_internal.h"

#define RECORD_BYTES    16384u
#define RECORD_OVERHEAD 64u

struct tls {
    SSL *ssl;
    char *host; /* whom a client expects; NULL for servers */
    bool ready;
    bool closed; /* the peer said so */
    int failed;
    const uint8_t *in; /* during a call */
    size_t n_in;
    struct buf *out;
};

static int bio_write(BIO *bio, const char *data, int n)
{
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls->out == NULL || n <= 0) {
        return -1;
    }
    buf_append(tls->out, data, (size_t)n);
    return n;
}

static int bio_read(BIO *bio, char *data, int n)
{
    struct tls *tls = BIO_get_data(bio);
    size_t take = n < 0 ? 0 : (size_t)n < tls->n_in ? (size_t)n : tls->n_in;

    BIO_clear_retry_flags(bio);
    if (take == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(data, tls->in, take);
    tls->in += take;
    tls->n_in -= take;
    return (int)take;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg)
{
    (void)bio;
    (void)number;
    (void)arg;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* One for the program, as OpenSSL keeps its own. */
static BIO_METHOD *method;
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "packetrecorder");
    REQUIRE(method != NULL);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
}

/* SNI and the check of the name or address (RFC 9525). */
static void expect_host(struct tls *tls, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    char bare[256];

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "%"), host); /* without an IPv6 zone */
    tls->host = x_strdup(host);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, bare) != 1) {
        ERR_clear_error(); /* no address, so a name */
        REQUIRE(X509_VERIFY_PARAM_set1_host(param, bare, 0) == 1);
        REQUIRE(SSL_set_tlsext_host_name(tls->ssl, bare) == 1);
    }
}

struct tls *tls_new(struct tls_context *context, const char *host)
{
    struct tls *tls = x_alloc(sizeof *tls);

    REQUIRE(CRYPTO_THREAD_run_once(&method_once, make_method) == 1);
    BIO *bio = BIO_new(method);
    tls->ssl = SSL_new(tls_context_handle(context));
    REQUIRE(tls->ssl != NULL && bio != NULL);
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    if (host != NULL) {
        expect_host(tls, host);
        SSL_set_connect_state(tls->ssl);
    } else {
        SSL_set_accept_state(tls->ssl);
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        mem_free(tls->host);
        mem_free(tls);
    }
}

bool tls_is_ready(const struct tls *tls)
{
    return tls->ready;
}

/* What whoever dials can do about a certificate that is not believed. */
static const char *way_out(long verdict)
{
    switch (verdict) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "; trust it with --ca-file FILE, the certificate (PEM) that it was signed with";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "; dial it by a name that is in its certificate";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "; the node needs a new one, or this clock is wrong";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "; is the clock right, here and there?";
    default:
        return "";
    }
}

static int failed(struct tls *tls, struct err *err)
{
    long verdict = SSL_get_verify_result(tls->ssl);
    unsigned long number = ERR_peek_last_error();

    if (tls->host != NULL && verdict != X509_V_OK) {
        ERR_clear_error();
        return tls->failed =
                   err_set(err, ERR_KEY, "the certificate of '%s' is refused: %s%s", tls->host,
                           X509_verify_cert_error_string(verdict), way_out(verdict));
    }
    if (ERR_GET_LIB(number) == ERR_LIB_SSL &&
        (ERR_GET_REASON(number) == SSL_R_WRONG_VERSION_NUMBER ||
         ERR_GET_REASON(number) == SSL_R_HTTP_REQUEST)) {
        ERR_clear_error();
        return tls->failed = err_set(err, ERR_DAMAGED,
                                     tls->host != NULL ? "'%s' does not speak TLS on that port: "
                                                         "write http:// or ws://"
                                                       : "the peer%s does not speak TLS",
                                     tls->host != NULL ? tls->host : "");
    }
    return tls->failed = tls_told(err, ERR_DAMAGED, "TLS", "broken");
}

/* What OpenSSL's answer means: 0 to go on when more came, 1 the peer closed, or negative. */
static int outcome(struct tls *tls, int result, struct err *err)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        tls->closed = true;
        return 1;
    default:
        return failed(tls, err);
    }
}

static int shake_hands(struct tls *tls, struct err *err)
{
    int result = SSL_do_handshake(tls->ssl);

    if (result == 1) {
        tls->ready = true;
        return 0;
    }
    return outcome(tls, result, err);
}

static int read_plain(struct tls *tls, struct buf *plain, struct err *err)
{
    for (;;) {
        size_t n = 0;
        if (!buf_try_reserve(plain, RECORD_BYTES)) {
            return tls->failed = err_set(err, ERR_NO_MEMORY, "no memory for what came over TLS");
        }
        int result = SSL_read_ex(tls->ssl, plain->data + plain->len, RECORD_BYTES, &n);
        if (result != 1) {
            return outcome(tls, result, err);
        }
        plain->len += n;
    }
}

int tls_feed(struct tls *tls, const uint8_t *data, size_t n, struct buf *plain, struct buf *cipher,
             struct err *err)
{
    int rc = 0;

    if (tls->failed != 0 || tls->closed) {
        return tls->failed != 0 ? err_set(err, tls->failed, "TLS has ended") : 1;
    }
    ERR_clear_error();
    tls->in = data;
    tls->n_in = n;
    tls->out = cipher;
    if (!tls->ready) {
        rc = shake_hands(tls, err);
    }
    if (rc == 0 && tls->ready) {
        rc = read_plain(tls, plain, err);
    }
    tls->in = NULL;
    tls->n_in = 0;
    tls->out = NULL;
    return rc;
}

int tls_write(struct tls *tls, const void *data, size_t n, struct buf *cipher, struct err *err)
{
    const uint8_t *at = data;

    REQUIRE(tls->ready);
    if (tls->failed != 0) {
        return err_set(err, tls->failed, "TLS has ended");
    }
    ERR_clear_error();
    buf_reserve(cipher, n + (n / RECORD_BYTES + 1) * RECORD_OVERHEAD);
    tls->out = cipher;
    while (n > 0) {
        size_t done = 0;
        if (SSL_write_ex(tls->ssl, at, n, &done) != 1) {
            tls->out = NULL;
            return failed(tls, err);
        }
        at += done;
        n -= done;
    }
    tls->out = NULL;
    return 0;
}

void tls_close(struct tls *tls, struct buf *cipher)
{
    if (tls->ready && tls->failed == 0) {
        tls->out = cipher;
        SSL_shutdown(tls->ssl);
        ERR_clear_error();
        tls->out = NULL;
    }
}
