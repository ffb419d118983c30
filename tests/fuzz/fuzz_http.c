/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and responses. The first byte says which side and where to cut: what comes out must not
 * depend on how the bytes were cut, and everything that is given must be as promised.
 */
#include <stdbool.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_head(const struct http_head *head, enum http_side side)
{
    size_t bytes = 0;

    REQUIRE(head->n_headers <= HTTP_HEADERS_MAX);
    for (size_t i = 0; i < head->n_headers; i++) {
        const struct http_header *header = &head->headers[i];
        REQUIRE(header->name[0] != '\0');
        REQUIRE(strpbrk(header->name, " \t\r\n:ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
        REQUIRE(strpbrk(header->value, "\r\n") == NULL);
        bytes += strlen(header->name) + strlen(header->value);
    }
    REQUIRE(bytes <= HTTP_HEAD_MAX_BYTES);
    REQUIRE(http_header(head, "transfer-encoding") == NULL ||
            http_header(head, "content-length") == NULL);
    if (side == HTTP_REQUESTS) {
        REQUIRE(head->method[0] != '\0' && head->target[0] != '\0');
        REQUIRE(strpbrk(head->target, " \t\r\n") == NULL);
    }
    (void)http_header_has(head, "connection", "upgrade");
}

static void write_head(const struct http_head *head, enum http_side side, struct buf *out)
{
    check_head(head, side);
    buf_printf(out, "HEAD %u %s %d%d%d%d %llu", head->status,
               side == HTTP_REQUESTS ? head->target : "", head->has_body, head->keep_alive,
               head->upgrade, head->is_http10, (unsigned long long)head->content_length);
    for (size_t i = 0; i < head->n_headers; i++) {
        buf_printf(out, " %s=%s", head->headers[i].name, head->headers[i].value);
    }
}

/* Feeds n bytes from a copy of their own. False after an error. */
static bool feed(struct http_parser *parser, enum http_side side, const uint8_t *data, size_t n,
                 struct buf *out)
{
    uint8_t *copy = x_alloc(n);
    struct http_piece piece;
    int event;

    memcpy(copy, data, n);
    struct bytes_reader in = bytes_reader(copy, n);
    while ((event = http_parser_next(parser, &in, &piece, NULL)) > HTTP_MORE) {
        if (event == HTTP_HEAD) {
            write_head(piece.head, side, out);
        } else if (event == HTTP_BODY) {
            REQUIRE(piece.n > 0 && piece.data >= copy && piece.data + piece.n <= copy + n);
            buf_append(out, piece.data, piece.n);
        } else {
            buf_put_str(out, "END");
        }
    }
    REQUIRE(event < 0 || bytes_left(&in) == 0);
    mem_free(copy);
    if (event < 0) {
        buf_put_str(out, "ERROR");
        REQUIRE(http_parser_next(parser, &in, &piece, NULL) == event);
    }
    return event == HTTP_MORE;
}

static struct buf trace(enum http_side side, const uint8_t *data, size_t n, size_t step)
{
    struct http_parser *parser = http_parser_new(side);
    struct buf out = {0};
    struct http_piece piece;
    bool good = true;

    for (size_t at = 0; good && at < n; at += step) {
        good = feed(parser, side, data + at, step < n - at ? step : n - at, &out);
    }
    if (good) {
        buf_printf(&out, "%d", http_parser_finish(parser, &piece, NULL));
    }
    http_parser_free(parser);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) {
        return 0;
    }
    enum http_side side = data[0] & 1 ? HTTP_RESPONSES : HTTP_REQUESTS;
    struct buf whole = trace(side, data + 1, n - 1, n);
    struct buf parts = trace(side, data + 1, n - 1, (data[0] >> 1) + 1u);
    REQUIRE(whole.len == parts.len);
    REQUIRE(whole.len == 0 || memcmp(whole.data, parts.data, whole.len) == 0);
    buf_deinit(&whole);
    buf_deinit(&parts);
    return 0;
}
