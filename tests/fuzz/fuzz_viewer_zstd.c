/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node may send to a viewer that asked for zstd: messages follow, each behind its length
 * (u16, little-endian). Whatever comes, pieces are bounded, a message is used up or refused, and
 * the next connection begins anew.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli/viewer_zstd.h"
#include "shared/base/mem.h"

#define PIECE_MAX  (1024u * 1024u)
#define OUTPUT_MAX (4u * 1024u * 1024u) /* of one input: a bomb goes on for ever */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A frame of four bytes. */
static const uint8_t good[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x04, 0x21,
                               0x00, 0x00, 'g',  'o',  'o',  'd'};

static int take_message(struct viewer_zstd *zstd, const uint8_t *message, size_t length,
                        uint64_t *output)
{
    struct bytes_reader in = bytes_reader(message, length);
    struct err err = {0};
    const uint8_t *piece;
    size_t n;
    int rc = 0;
    uint8_t seen = 0;

    while (*output < OUTPUT_MAX && (rc = viewer_zstd_next(zstd, &in, &piece, &n, &err)) == 1) {
        REQUIRE(n > 0 && n <= PIECE_MAX);
        seen ^= piece[0] ^ piece[n - 1];
        *output += n;
    }
    REQUIRE(rc != 0 || bytes_left(&in) == 0 || *output >= OUTPUT_MAX);
    REQUIRE(rc >= 0 || err.text[0] != '\0');
    (void)seen;
    return *output < OUTPUT_MAX ? rc : -1;
}

static void check_next_connection(struct viewer_zstd *zstd)
{
    struct bytes_reader in = bytes_reader(good, sizeof good);
    const uint8_t *piece;
    size_t n = 0;

    viewer_zstd_reset(zstd);
    REQUIRE(viewer_zstd_next(zstd, &in, &piece, &n, NULL) == 1);
    REQUIRE(n == 4 && memcmp(piece, "good", 4) == 0);
    REQUIRE(viewer_zstd_next(zstd, &in, &piece, &n, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    static struct viewer_zstd *zstd; /* kept: making one costs more than the rest */
    uint64_t output = 0;
    int rc = 0;

    if (zstd == NULL) {
        zstd = viewer_zstd_new();
    }
    viewer_zstd_reset(zstd);
    while (rc == 0 && bytes_left(&in) >= 2) {
        size_t length = bytes_le16(&in);
        length = length < bytes_left(&in) ? length : bytes_left(&in);
        const uint8_t *message = bytes_take(&in, length);
        rc = take_message(zstd, message, length, &output);
    }
    check_next_connection(zstd);
    return 0;
}
