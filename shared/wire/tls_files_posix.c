/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of certificates and keys: read here, so that their modes are looked at and an error
 * names the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/wire/tls_internal.h"

#define PEM_MAX_BYTES (4u * 1024u * 1024u) /* a system's CA bundle is 200 KiB */

/* A key that root lends to a group (ssl-cert) is as it should be; one that all may read is not. */
static bool is_private(const struct stat *st)
{
    return (st->st_mode & (st->st_uid == 0 ? 037 : 077)) == 0;
}

static int read_file(const char *path, const char *what, bool secret, struct buf *out,
                     struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = err_errno(err, errno, "cannot read the %s '%s'", what, path);
        if (fd >= 0) {
            close(fd);
        }
        return code == ERR_NOT_FOUND ? err_set(err, ERR_KEY, "no %s '%s'", what, path) : code;
    }
    if (secret && !is_private(&st)) {
        close(fd);
        return err_set(err, ERR_KEY,
                       "the %s '%s' can be read by others than its owner: chmod 600 '%s'", what,
                       path, path);
    }
    ssize_t n = 1;
    while (n > 0 && out->len <= PEM_MAX_BYTES) {
        buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        out->len += n > 0 ? (size_t)n : 0;
        n = n < 0 && errno == EINTR ? 1 : n;
    }
    int code = 0;
    if (n < 0) {
        code = err_errno(err, errno, "cannot read the %s '%s'", what, path);
    } else if (out->len > PEM_MAX_BYTES) {
        code = err_set(err, ERR_LIMIT, "the %s '%s' is larger than 4 MiB", what, path);
    }
    close(fd);
    return code;
}

static void forget(struct buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->cap);
    }
    buf_deinit(buf);
}

int tls_server_context_new(const char *cert_file, const char *key_file, struct tls_context **out,
                           uint64_t *expires_ns, struct err *err)
{
    struct buf cert = {0};
    struct buf key = {0};
    int rc = read_file(cert_file, "certificate", false, &cert, err);

    buf_reserve(&key, PEM_MAX_BYTES / 16); /* so that growth leaves no copies behind */
    rc = rc < 0 ? rc : read_file(key_file, "private key", true, &key, err);
    if (rc == 0) {
        struct tls_pem cert_pem = {cert_file, (const char *)cert.data, cert.len};
        struct tls_pem key_pem = {key_file, (const char *)key.data, key.len};
        rc = tls_server_context_from_pem(&cert_pem, &key_pem, out, expires_ns, err);
    }
    forget(&key);
    buf_deinit(&cert);
    return rc;
}

int tls_client_context_new(const char *ca_file, struct tls_context **out, struct err *err)
{
    struct buf ca = {0};

    if (ca_file == NULL) {
        return tls_client_context_from_pem(NULL, out, err);
    }
    int rc = read_file(ca_file, "CA file", false, &ca, err);
    if (rc == 0) {
        struct tls_pem pem = {ca_file, (const char *)ca.data, ca.len};
        rc = tls_client_context_from_pem(&pem, out, err);
    }
    buf_deinit(&ca);
    return rc;
}
