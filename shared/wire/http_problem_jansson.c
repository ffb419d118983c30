/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/http_problem.h"

#include <jansson.h>
#include <string.h>

#include "shared/wire/http.h"

#define SENTENCE_MAX 512

static int code_of(unsigned status)
{
    switch (status) {
    case 400:
        return ERR_USAGE;
    case 401:
        return ERR_KEY;
    case 403:
        return ERR_PERMISSION;
    case 404:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

/* A member that is a string, not empty, for a terminal: control bytes become '?'. */
static bool take_member(const json_t *document, const char *name, char out[SENTENCE_MAX])
{
    const char *text = json_string_value(json_object_get(document, name));
    size_t n = 0;

    while (text != NULL && text[n] != '\0' && n < SENTENCE_MAX - 1) {
        out[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f ? '?' : text[n];
        n++;
    }
    out[n] = '\0';
    return n > 0;
}

int http_problem(unsigned status, const void *content, size_t n, struct err *err)
{
    char sentence[SENTENCE_MAX];
    json_t *document = n == 0 ? NULL : json_loadb(content, n, 0, NULL);
    bool told =
        take_member(document, "detail", sentence) || take_member(document, "title", sentence);
    int code = code_of(status);

    json_decref(document);
    if (told) {
        return err_set(err, code, "%s", sentence);
    }
    const char *words = http_status_text(status);
    return err_set(err, code, "the node answers %u%s%s", status, words[0] == '\0' ? "" : " ",
                   words);
}
