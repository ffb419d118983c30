/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/tags.h"

#include <stdio.h>
#include <string.h>

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.-/", c) != NULL);
}

static size_t key_length(const char *text)
{
    size_t n = 0;

    while (is_key_char(text[n])) {
        n++;
    }
    return n;
}

int tag_check(const char *text, struct err *err)
{
    size_t n_key = key_length(text);

    if (n_key == 0 || text[n_key] != '=') {
        return err_set(err, ERR_USAGE,
                       "'%.80s' is no tag: it is KEY=VALUE, and a key has letters, digits and "
                       "\"_.-/\"",
                       text);
    }
    for (const char *c = text + n_key + 1; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e || *c == ',') {
            return err_set(err, ERR_USAGE,
                           "the value of the tag '%.*s' has a character that is not printable "
                           "ASCII, or a comma",
                           (int)(n_key > 60 ? 60 : n_key), text);
        }
    }
    if (strlen(text) > TAG_MAX) {
        return err_set(err, ERR_USAGE, "the tag '%.40s…' is longer than %d bytes", text, TAG_MAX);
    }
    return 0;
}

static size_t bytes_of(const struct tags *tags)
{
    size_t n = 0;

    for (uint8_t i = 0; i < tags->n; i++) {
        n += strlen(tags->items[i]) + 1;
    }
    return n;
}

int tags_add(struct tags *tags, const char *text, struct err *err)
{
    int rc = tag_check(text, err);

    if (rc < 0) {
        return rc;
    }
    size_t n_key = key_length(text) + 1;
    uint8_t at = tags->n;
    for (uint8_t i = tags->n; i > 0; i--) {
        const char *other = tags->items[i - 1];
        if (strncmp(other, text, n_key) == 0) {
            return err_set(err, ERR_USAGE, "the tag '%.*s' is given twice", (int)n_key - 1, text);
        }
        at = strcmp(other, text) > 0 ? (uint8_t)(i - 1) : at;
    }
    if (tags->n == TAGS_MAX || bytes_of(tags) + strlen(text) + 1 > TAGS_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "a node has at most %d tags, of %d bytes together", TAGS_MAX,
                       TAGS_BYTES_MAX);
    }
    memmove(tags->items + at + 1, tags->items + at, (size_t)(tags->n - at) * sizeof *tags->items);
    snprintf(tags->items[at], sizeof tags->items[at], "%s", text);
    tags->n++;
    return 0;
}

bool tags_have(const struct tags *tags, const char *text)
{
    for (uint8_t i = 0; i < tags->n; i++) {
        if (strcmp(tags->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

bool tags_have_all(const struct tags *tags, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!tags_have(tags, texts[i])) {
            return false;
        }
    }
    return true;
}

size_t tags_write(const struct tags *tags, char out[TAGS_BYTES_MAX])
{
    size_t n = 0;

    for (uint8_t i = 0; i < tags->n; i++) {
        size_t len = strlen(tags->items[i]);
        memcpy(out + n, tags->items[i], len);
        out[n + len] = '\n';
        n += len + 1;
    }
    return n;
}

bool tags_read(const void *bytes, size_t n, struct tags *tags)
{
    const char *at = bytes;
    const char *end = at + n;
    char again[TAGS_BYTES_MAX];

    *tags = (struct tags){0};
    while (n <= TAGS_BYTES_MAX && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char text[TAG_MAX + 1] = "";
        if (stop == NULL || stop - at > TAG_MAX) {
            break;
        }
        memcpy(text, at, (size_t)(stop - at));
        if (tags_add(tags, text, NULL) < 0) {
            break;
        }
        at = stop + 1;
    }
    if (at != end || tags_write(tags, again) != n || memcmp(again, bytes, n) != 0) {
        *tags = (struct tags){0};
        return false;
    }
    return true;
}
