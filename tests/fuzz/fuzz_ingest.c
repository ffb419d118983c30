/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sniffer may send: the first byte says whether the connection is compressed, then messages
 * follow, each behind its length (u32, little-endian). Whatever comes, a block that is given out is
 * a run of packets of interface 0 that reads back whole.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "shared/wire/ingest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_batch(struct ingest_batch *batch, uint64_t wanted_from)
{
    struct packet_view view;
    uint32_t found = 0;
    int rc = 0;

    if (batch->block != NULL) {
        struct block_cursor cursor = block_cursor(batch->block->data, batch->block->len);
        while ((rc = block_next(&cursor, &view)) == 1) {
            REQUIRE(view.iface == 0 && view.caplen <= INGEST_PAYLOAD_MAX);
            found++;
        }
    }
    uint64_t end = batch->header.position + batch->header.n_packets;
    uint64_t from = batch->header.position > wanted_from ? batch->header.position : wanted_from;
    REQUIRE(rc == 0 && found == (end > from ? end - from : 0));
    REQUIRE(found == 0 || batch->iface != NULL);
    block_unref(batch->block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct ingest_decoder *decoder = ingest_decoder_new((bytes_u8(&in) & 1) != 0);
    uint64_t wanted_from = 0;
    uint64_t position;
    uint64_t credit;
    int rc = 0;

    (void)ingest_decode_taken(data, n, &position, &credit, NULL);
    while (rc == 0 && bytes_left(&in) >= 4) {
        struct ingest_batch batch;
        size_t length = bytes_le32(&in);
        length = length < bytes_left(&in) ? length : bytes_left(&in);
        const uint8_t *message = bytes_take(&in, length);
        rc = ingest_decode_packets(decoder, message, length, wanted_from, &batch, NULL);
        if (rc == 0) {
            check_batch(&batch, wanted_from);
            wanted_from = batch.header.position + batch.header.n_packets;
        }
    }
    ingest_decoder_free(decoder);
    return 0;
}
