/* SPDX-License-Identifier: Apache-2.0
 *
 * The clear text of a datagram or of a message on a stream (the first byte says which). A frame
 * that is read keeps to its bounds, is written again in no more bytes than were measured, and reads
 * back as itself; room of a byte less is too little.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "tests/support/swim_frames.h"

#define ROOM (SWIM_STREAM_BIN_MAX + 256)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_borrowed(const struct swim_frame *f, const uint8_t *data, size_t n,
                           size_t max_bin)
{
    REQUIRE(f->n_bin <= max_bin);
    REQUIRE(f->n_bin == 0 || (f->bin >= data && f->bin + f->n_bin <= data + n));
    REQUIRE(f->key == NULL || (f->key >= data && f->key + SWIM_KV_KEY_BYTES <= data + n));
    REQUIRE(f->type != SWIM_KV || (f->key != NULL && f->n_bin <= SWIM_KV_VALUE_MAX));
}

static void check_again(const struct swim_frame *f, size_t max_bin)
{
    static uint8_t bytes[ROOM];
    struct swim_frame again;
    struct pack pack = pack_into(bytes, sizeof bytes);

    swim_frame_write(&pack, f);
    size_t n = pack_length(&pack);
    REQUIRE(!pack.failed && n <= swim_frame_size(f));
    struct unpack run = unpack_from(bytes, n);
    REQUIRE(swim_frame_read(&run, max_bin, &again) == SWIM_FRAME_OK);
    REQUIRE(swim_frames_are_same(f, &again));
    REQUIRE(swim_frame_read(&run, max_bin, &again) == SWIM_FRAME_END);
    pack = pack_into(bytes, n - 1);
    swim_frame_write(&pack, f);
    REQUIRE(pack.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct swim_frame frame;
    enum swim_frame_read rc;

    if (n == 0) {
        return 0;
    }
    size_t max_bin = (data[0] & 1) != 0 ? SWIM_STREAM_BIN_MAX : SWIM_BIN_MAX;
    struct unpack run = unpack_from(data + 1, n - 1);
    do {
        size_t left = unpack_left(&run);
        rc = swim_frame_read(&run, max_bin, &frame);
        REQUIRE(rc == SWIM_FRAME_END || rc == SWIM_FRAME_BAD || unpack_left(&run) < left);
        if (rc == SWIM_FRAME_OK) {
            check_borrowed(&frame, data, n, max_bin);
            check_again(&frame, max_bin);
        }
    } while (rc == SWIM_FRAME_OK || rc == SWIM_FRAME_OTHER);
    REQUIRE((rc == SWIM_FRAME_BAD) == unpack_failed(&run));
    return 0;
}
