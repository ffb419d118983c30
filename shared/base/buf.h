/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte buffer that grows: what encoders write into. Growth doubles, so appending is cheap, and
 * ends the program when there is no memory; where a packet, file or peer chooses the size, check
 * the named limit first and use buf_try_reserve. An all-zero struct buf is a valid empty one. It
 * knows nothing of files: whoever owns it writes data[0..len) out.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/bytes.h"

struct buf {
    uint8_t *data; /* owned; NULL while cap is 0 */
    size_t len;
    size_t cap;
};

void buf_init(struct buf *buf);
void buf_deinit(struct buf *buf); /* releases the bytes; the buffer is empty and usable again */

/* Makes room for `extra` more bytes behind len. buf_try_reserve gives false when there is no memory
 * and leaves the buffer as it was. */
void buf_reserve(struct buf *buf, size_t extra);
bool buf_try_reserve(struct buf *buf, size_t extra);

/* Empty again, memory kept. */
static inline void buf_reset(struct buf *buf)
{
    buf->len = 0;
}

/* Room for n bytes behind the others, to be filled by the caller at once; len already counts them.
 */
static inline uint8_t *buf_extend(struct buf *buf, size_t n)
{
    if (buf->cap - buf->len < n) {
        buf_reserve(buf, n);
    }
    uint8_t *at = buf->data + buf->len;
    buf->len += n;
    return at;
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t n)
{
    if (n > 0) {
        memcpy(buf_extend(buf, n), bytes, n);
    }
}

static inline void buf_put_u8(struct buf *buf, uint8_t v)
{
    *buf_extend(buf, 1) = v;
}

static inline void buf_put_le16(struct buf *buf, uint16_t v)
{
    put_le16(buf_extend(buf, sizeof v), v);
}

static inline void buf_put_le32(struct buf *buf, uint32_t v)
{
    put_le32(buf_extend(buf, sizeof v), v);
}

static inline void buf_put_le64(struct buf *buf, uint64_t v)
{
    put_le64(buf_extend(buf, sizeof v), v);
}

/* n zero bytes. */
void buf_put_zeros(struct buf *buf, size_t n);
/* The bytes of a string, without its terminator. */
void buf_put_str(struct buf *buf, const char *s);
/* printf behind the others. The terminator is not counted in len, but is there: after a buf_printf
 * data is a C string if all before it was text. */
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Takes n bytes off the front; the rest moves up. n must be at most len. */
void buf_consume(struct buf *buf, size_t n);
