/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/viewer_zstd.h"

#include <stdbool.h>
#include <zstd.h>

#include "shared/base/mem.h"

#define WINDOW_LOG_MAX 23
#define PIECE_BYTES    (256u * 1024u)

struct viewer_zstd {
    ZSTD_DCtx *context;
    bool may_hold; /* the last piece was full: more may come without input */
    uint8_t piece[PIECE_BYTES];
};

struct viewer_zstd *viewer_zstd_new(void)
{
    struct viewer_zstd *zstd = x_alloc(sizeof *zstd);

    zstd->context = ZSTD_createDCtx();
    REQUIRE(zstd->context != NULL);
    ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return zstd;
}

void viewer_zstd_free(struct viewer_zstd *zstd)
{
    if (zstd != NULL) {
        ZSTD_freeDCtx(zstd->context);
        mem_free(zstd);
    }
}

void viewer_zstd_reset(struct viewer_zstd *zstd)
{
    ZSTD_DCtx_reset(zstd->context, ZSTD_reset_session_only);
    zstd->may_hold = false;
}

int viewer_zstd_next(struct viewer_zstd *zstd, struct bytes_reader *in, const uint8_t **data,
                     size_t *n, struct err *err)
{
    while (bytes_left(in) > 0 || zstd->may_hold) {
        ZSTD_inBuffer input = {in->p, bytes_left(in), 0};
        ZSTD_outBuffer output = {zstd->piece, sizeof zstd->piece, 0};
        size_t result = ZSTD_decompressStream(zstd->context, &output, &input);

        if (ZSTD_isError(result)) {
            return err_set(err, ERR_DAMAGED, "the node's compressed stream is damaged: %s",
                           ZSTD_getErrorName(result));
        }
        in->p += input.pos;
        zstd->may_hold = output.pos == output.size;
        if (output.pos > 0) {
            *data = zstd->piece;
            *n = output.pos;
            return 1;
        }
        if (input.pos == 0) {
            break; /* nothing more without input */
        }
    }
    return 0;
}
