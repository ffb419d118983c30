/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "shared/wire/http.h"

#include "shared/base/mem.h"

void http_put_status(struct buf *out, unsigned status)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
}

void http_put_request(struct buf *out, const char *method, const char *target)
{
    buf_printf(out, "%s ", method);
    for (const char *p = target; *p != '\0'; p++) {
        uint8_t byte = (uint8_t)*p;
        /* Blanks and control bytes would end the target early; others are the caller's choice. */
        if (byte <= ' ' || byte >= 0x7f || byte == '#') {
            buf_printf(out, "%%%02X", byte);
        } else {
            buf_put_u8(out, byte);
        }
    }
    buf_put_str(out, " HTTP/1.1\r\n");
}

void http_put_header(struct buf *out, const char *name, const char *fmt, ...)
{
    va_list ap;

    buf_put_str(out, name);
    buf_put_str(out, ": ");
    size_t from = out->len;
    va_start(ap, fmt);
    buf_vprintf(out, fmt, ap);
    va_end(ap);
    for (size_t i = from; i < out->len; i++) {
        if (out->data[i] == '\r' || out->data[i] == '\n' || out->data[i] == '\0') {
            out->data[i] = ' ';
        }
    }
    buf_put_str(out, "\r\n");
}

void http_put_end(struct buf *out)
{
    buf_put_str(out, "\r\n");
}

void http_put_chunk(struct buf *out, const void *data, size_t n)
{
    REQUIRE(n > 0); /* an empty chunk would end the message */
    buf_printf(out, "%zx\r\n", n);
    buf_append(out, data, n);
    buf_put_str(out, "\r\n");
}

void http_put_last_chunk(struct buf *out)
{
    buf_put_str(out, "0\r\n\r\n");
}
