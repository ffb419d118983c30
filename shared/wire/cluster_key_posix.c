/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/wire/cluster_key.h"
#include "shared/wire/private_file.h"

#define FILE_WORDS "cluster key file"
#define FILE_MAX   1024u

/* Cuts the end of the one line there is, and ends the text. */
static int only_line(struct buf *text, struct err *err)
{
    size_t n = text->len;

    n -= n > 0 && text->data[n - 1] == '\n' ? 1 : 0;
    n -= n > 0 && text->data[n - 1] == '\r' ? 1 : 0;
    if (memchr(text->data, '\n', n) != NULL) {
        return err_set(err, ERR_KEY,
                       "more than one line: a file holds one key; others are added with "
                       "'packetrecorder manage cluster-keys add'");
    }
    text->data[n] = '\0';
    return strlen((const char *)text->data) == n
               ? 0
               : err_set(err, ERR_KEY, "a zero byte is in it: that is no cluster key");
}

int cluster_key_load(const char *path, struct cluster_key **out, struct err *err)
{
    struct buf text = {0};
    struct cluster_key *key = cluster_key_new();

    buf_reserve(&text, FILE_MAX + 8192); /* so that no growth leaves a copy behind */
    int rc = private_file_read(path, FILE_WORDS, FILE_MAX, &text, err);
    if (rc == 0) {
        rc = only_line(&text, err);
        rc = rc == 0 ? cluster_key_parse((const char *)text.data, key, err) : rc;
        rc = rc < 0 ? err_wrap(err, "the cluster key file '%s'", path) : 0;
    } else if (rc == ERR_NOT_FOUND) {
        rc = err_set(err, ERR_KEY,
                     "no cluster key file '%s': 'packetrecorder keys cluster-new' makes one", path);
    }
    sodium_memzero(text.data, text.cap);
    buf_deinit(&text);
    if (rc < 0) {
        cluster_key_free(key);
        return rc;
    }
    *out = key;
    return 0;
}
