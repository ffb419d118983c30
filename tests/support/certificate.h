/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for tests, made by OpenSSL on the spot: self-signed, for one name or address, valid
 * from now + from_s to now + to_s.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/mem.h"

struct certificate {
    char cert[4096]; /* PEM */
    char key[1024];
};

static inline void certificate_put(BIO *bio, char *out, size_t max)
{
    char *data = NULL;
    long n = BIO_get_mem_data(bio, &data);

    REQUIRE(n > 0 && (size_t)n < max);
    memcpy(out, data, (size_t)n);
    out[n] = '\0';
    BIO_free(bio);
}

/* alt: "DNS:localhost" or "IP:127.0.0.1,DNS:node". */
static inline void certificate_make(struct certificate *out, const char *alt, long from_s,
                                    long to_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
    REQUIRE(extension != NULL);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    certificate_put(bio, out->cert, sizeof out->cert);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    certificate_put(bio, out->key, sizeof out->key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* Writes text into a new file of that mode. */
static inline void certificate_write(const char *path, const char *text, unsigned mode)
{
    FILE *file = fopen(path, "w");

    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
    REQUIRE(chmod(path, mode) == 0);
}
