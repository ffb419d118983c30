/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/buf.h"

#include <stdio.h>

#include "shared/base/mem.h"

#define BUF_FIRST_BYTES 256u

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_deinit(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf);
}

/* The capacity that holds `extra` more, or 0 when no size_t can say it. */
static size_t grown(const struct buf *buf, size_t extra)
{
    if (extra > SIZE_MAX / 2 - buf->len) {
        return 0;
    }
    size_t need = buf->len + extra;
    size_t cap = buf->cap > 0 ? buf->cap : BUF_FIRST_BYTES;

    while (cap < need) {
        cap *= 2;
    }
    return cap;
}

void buf_reserve(struct buf *buf, size_t extra)
{
    size_t cap = grown(buf, extra);

    REQUIRE(cap > 0);
    if (cap > buf->cap) {
        buf->data = x_realloc(buf->data, cap);
        buf->cap = cap;
    }
}

bool buf_try_reserve(struct buf *buf, size_t extra)
{
    size_t cap = grown(buf, extra);

    if (cap == 0) {
        return false;
    }
    if (cap > buf->cap) {
        uint8_t *data = try_realloc(buf->data, cap);
        if (data == NULL) {
            return false;
        }
        buf->data = data;
        buf->cap = cap;
    }
    return true;
}

void buf_put_zeros(struct buf *buf, size_t n)
{
    if (n > 0) {
        memset(buf_extend(buf, n), 0, n);
    }
}

void buf_put_str(struct buf *buf, const char *s)
{
    buf_append(buf, s, strlen(s));
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
{
    va_list again;

    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    REQUIRE(n >= 0);
    buf_reserve(buf, (size_t)n + 1);
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, again);
    buf->len += (size_t)n;
    va_end(again);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(buf, fmt, ap);
    va_end(ap);
}

void buf_consume(struct buf *buf, size_t n)
{
    REQUIRE(n <= buf->len);
    buf->len -= n;
    if (n > 0 && buf->len > 0) {
        memmove(buf->data, buf->data + n, buf->len);
    }
}
