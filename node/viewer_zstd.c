/* SPDX-License-Identifier: Apache-2.0
 *
 * compress=zstd: all messages of a viewer together are one zstd stream (RFC 8878, one frame without
 * an end), flushed with each message, so that each can be decoded when it comes. One context a
 * viewer, since what was said before decides what comes next; little of it is compressed at once on
 * the loop, much of it on a worker, and then nothing more of this viewer until it is done.
 */
#include "node/viewer_uv.h"

#include <zstd.h>

#include "node/work.h"
#include "shared/base/mem.h"

#define LEVEL      1
#define WINDOW_LOG 18 /* 256 KiB: of memory here and at the other end */
/* What a core compresses in a twentieth of a millisecond. */
#define INLINE_BYTES (16u * 1024u)

struct viewer_zstd {
    ZSTD_CCtx *context;
    struct viewer_write *write; /* being compressed on a worker */
    struct buf out;
};

struct viewer_zstd *viewer_zstd_new(void)
{
    struct viewer_zstd *zstd = x_alloc(sizeof *zstd);

    zstd->context = ZSTD_createCCtx();
    REQUIRE(zstd->context != NULL);
    ZSTD_CCtx_setParameter(zstd->context, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(zstd->context, ZSTD_c_windowLog, WINDOW_LOG);
    return zstd;
}

void viewer_zstd_free(struct viewer_zstd *zstd)
{
    if (zstd != NULL) {
        ZSTD_freeCCtx(zstd->context);
        buf_deinit(&zstd->out);
        mem_free(zstd);
    }
}

bool viewer_zstd_is_busy(const struct viewer_zstd *zstd)
{
    return zstd->write != NULL;
}

static void compress(struct viewer_zstd *zstd, const void *data, size_t n, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {data, n, 0};
    size_t left = 0;

    do {
        buf_reserve(&zstd->out, ZSTD_CStreamOutSize());
        ZSTD_outBuffer out = {zstd->out.data, zstd->out.cap, zstd->out.len};
        left = ZSTD_compressStream2(zstd->context, &out, &in, end);
        REQUIRE(!ZSTD_isError(left));
        zstd->out.len = out.pos;
    } while (end == ZSTD_e_flush ? left > 0 : in.pos < in.size);
}

static void compress_all(struct viewer_zstd *zstd, struct viewer_write *write)
{
    compress(zstd, write->own.data, write->own.len, ZSTD_e_continue);
    for (unsigned i = 0; i < write->n; i++) {
        compress(zstd, write->data[i], write->n_bytes[i], ZSTD_e_continue);
    }
    compress(zstd, NULL, 0, ZSTD_e_flush);
}

static void run(void *arg)
{
    struct viewer_zstd *zstd = arg;

    compress_all(zstd, zstd->write);
}

static void on_done(void *arg, bool cancelled)
{
    struct viewer_zstd *zstd = arg;
    struct viewer_write *write = zstd->write;

    zstd->write = NULL;
    viewer_write_back(write, &zstd->out, false, cancelled);
}

void viewer_zstd_go(struct viewer_write *write)
{
    struct viewer_zstd *zstd = write->viewer->zstd;

    if (write->held + write->own.len > INLINE_BYTES) {
        zstd->write = write;
        if (work_run(write->viewer->stream->relay->node, run, on_done, zstd)) {
            return;
        }
        zstd->write = NULL; /* too much waits: then here */
    }
    compress_all(zstd, write);
    viewer_write_go_as(write, &zstd->out, false);
}
