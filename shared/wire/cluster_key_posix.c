/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/wire/cluster_key.h"
#include "shared/wire/private_file.h"

#define FILE_MAX 1024u

struct kind {
    const char *words; /* of its file */
    const char *more;  /* why there is one line only */
    const char *made_by;
    int (*parse)(const char *text, struct cluster_key *out, struct err *err);
};

static const struct kind cluster = {
    .words = "cluster key file",
    .more = "a file holds one key; others are added with 'packetrecorder manage cluster-keys add'",
    .made_by = "cluster-new",
    .parse = cluster_key_parse,
};
static const struct kind admin = {
    .words = "admin key file",
    .more = "a file holds one key",
    .made_by = "admin-new",
    .parse = admin_key_parse,
};

/* Cuts the end of the one line there is, and ends the text. */
static int only_line(const struct kind *kind, struct buf *text, struct err *err)
{
    size_t n = text->len;

    n -= n > 0 && text->data[n - 1] == '\n' ? 1 : 0;
    n -= n > 0 && text->data[n - 1] == '\r' ? 1 : 0;
    if (memchr(text->data, '\n', n) != NULL) {
        return err_set(err, ERR_KEY, "more than one line: %s", kind->more);
    }
    text->data[n] = '\0';
    return strlen((const char *)text->data) == n
               ? 0
               : err_set(err, ERR_KEY, "a zero byte is in it: that is no key");
}

static int load(const struct kind *kind, const char *path, struct cluster_key **out,
                struct err *err)
{
    struct buf text = {0};
    struct cluster_key *key = cluster_key_new();

    buf_reserve(&text, FILE_MAX + 8192); /* so that no growth leaves a copy behind */
    int rc = private_file_read(path, kind->words, FILE_MAX, &text, err);
    if (rc == 0) {
        rc = only_line(kind, &text, err);
        rc = rc == 0 ? kind->parse((const char *)text.data, key, err) : rc;
        rc = rc < 0 ? err_wrap(err, "the %s '%s'", kind->words, path) : 0;
    } else if (rc == ERR_NOT_FOUND) {
        rc = err_set(err, ERR_KEY, "no %s '%s': 'packetrecorder keys %s' makes one", kind->words,
                     path, kind->made_by);
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

int cluster_key_load(const char *path, struct cluster_key **out, struct err *err)
{
    return load(&cluster, path, out, err);
}

int admin_key_load(const char *path, struct cluster_key **out, struct err *err)
{
    return load(&admin, path, out, err);
}
