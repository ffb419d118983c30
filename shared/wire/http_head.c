/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of a head once it is read.
 */
#include "shared/wire/http.h"

#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"

static const struct {
    unsigned status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (statuses[i].status == status) {
            return statuses[i].text;
        }
    }
    return "";
}

const char *http_header(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        if (strcmp(head->headers[i].name, name) == 0) {
            return head->headers[i].value;
        }
    }
    return NULL;
}

static bool list_has(const char *list, const char *token)
{
    size_t n = strlen(token);

    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, ",");
        size_t word = length;
        while (word > 0 && (list[word - 1] == ' ' || list[word - 1] == '\t')) {
            word--;
        }
        if (word == n && strncasecmp(list, token, n) == 0) {
            return true;
        }
        list += length;
    }
    return false;
}

bool http_header_has(const struct http_head *head, const char *name, const char *token)
{
    /* A list may come in several headers of one name (RFC 9110 §5.3). */
    for (size_t i = 0; i < head->n_headers; i++) {
        if (strcmp(head->headers[i].name, name) == 0 && list_has(head->headers[i].value, token)) {
            return true;
        }
    }
    return false;
}
