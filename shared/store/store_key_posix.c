/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/store_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/store/store_handle.h"

#define KEY_PREFIX "prd_"
#define SECRET_MAX 4096u

static struct store_key *key_new(bool passphrase, size_t n)
{
    struct store_key *key = x_alloc(sizeof *key);

    key->passphrase = passphrase;
    key->secret = seal_alloc(n);
    key->n = n;
    return key;
}

void store_key_free(struct store_key *key)
{
    if (key != NULL) {
        seal_free(key->secret);
        mem_free(key);
    }
}

int store_key_from_text(const char *text, struct store_key **out, struct err *err)
{
    size_t n = strlen(text);

    if (n == 0) {
        return err_set(err, ERR_KEY, "the encryption key is empty");
    }
    if (n > SECRET_MAX) {
        return err_set(err, ERR_KEY, "the encryption key is longer than %u bytes", SECRET_MAX);
    }
    if (strncmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) != 0) {
        struct store_key *key = key_new(true, n);
        memcpy(key->secret, text, n);
        *out = key;
        return 0;
    }
    struct store_key *key = key_new(false, SEAL_KEY_BYTES);
    size_t got = 0;
    const char *b64 = text + strlen(KEY_PREFIX);
    int r = sodium_base642bin(key->secret, SEAL_KEY_BYTES, b64, strlen(b64), NULL, &got, NULL,
                              sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (r != 0 || got != SEAL_KEY_BYTES) {
        store_key_free(key);
        return err_set(err, ERR_KEY,
                       "a key that begins with 'prd_' must be followed by 32 bytes in base64url; "
                       "packetrecorder keys db-new makes one");
    }
    *out = key;
    return 0;
}

static int read_secret(int fd, const char *path, char *text, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return err_errno(err, errno, "key file '%s'", path);
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
        return err_set(err, ERR_KEY,
                       "key file '%s' can be read by others than its owner: chmod 600 '%s'", path,
                       path);
    }
    size_t n = 0;
    ssize_t got;
    while (n <= SECRET_MAX && (got = read(fd, text + n, SECRET_MAX + 1 - n)) != 0) {
        if (got < 0 && errno != EINTR) {
            return err_errno(err, errno, "key file '%s'", path);
        }
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
    size_t line = strcspn(text, "\r\n");
    if (line < n && text[line] == '\0') {
        /* Taken as text, 32 random bytes would be a passphrase that ends at the first zero. */
        return err_set(err, ERR_KEY,
                       "key file '%s' holds bytes that are no text: packetrecorder keys db-new "
                       "makes a key",
                       path);
    }
    if (line + strspn(text + line, "\r\n") < n) {
        return err_set(err, ERR_KEY,
                       "key file '%s' holds more than one line; a key or passphrase is one", path);
    }
    text[line] = '\0'; /* longer than SECRET_MAX is refused by store_key_from_text */
    return 0;
}

int store_key_from_file(const char *path, struct store_key **out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        int code = err_errno(err, errno, "key file '%s'", path);
        return code == ERR_NOT_FOUND ? err_set(err, ERR_KEY, "no key file '%s'", path) : code;
    }
    char *text = (char *)seal_alloc(SECRET_MAX + 2);
    int r = read_secret(fd, path, text, err);
    if (r == 0) {
        r = store_key_from_text(text, out, err);
        r = r < 0 ? err_wrap(err, "key file '%s'", path) : 0;
    }
    seal_free(text);
    close(fd);
    return r;
}
