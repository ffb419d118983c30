/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of members in a digest, in pieces as a stream brings it: each piece is a length (u16,
 * little-endian) and that many bytes. What is read is in strict order over all pieces, within the
 * buckets that its piece covers, and gives the same bytes when it is written again.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The sid that the piece ends with; false: it is no list. */
static bool read_piece(const uint8_t *bytes, size_t n, uint64_t *last)
{
    struct swim_digest_list list;
    struct swim_digest_entry entry;
    uint8_t again[SWIM_DIGEST_ENTRY];
    size_t n_entries = 0;
    int rc;

    if (!swim_digest_open(bytes, n, *last, &list)) {
        return false;
    }
    swim_digest_put_head(again, list.buckets);
    REQUIRE(memcmp(again, bytes, SWIM_DIGEST_HEAD) == 0);
    while ((rc = swim_digest_next(&list, &entry)) == 1) {
        REQUIRE(entry.sid > *last && entry.incarnation.boot > 0 && entry.state <= SWIM_LEFT);
        REQUIRE((list.buckets >> swim_digest_bucket(entry.sid) & 1) != 0);
        swim_digest_put_entry(again, &entry);
        REQUIRE(memcmp(again, bytes + SWIM_DIGEST_HEAD + n_entries * SWIM_DIGEST_ENTRY,
                       sizeof again) == 0);
        *last = entry.sid;
        n_entries++;
    }
    size_t announced = (n - SWIM_DIGEST_HEAD) / SWIM_DIGEST_ENTRY;
    REQUIRE(rc == 0 ? n_entries == announced : n_entries < announced);
    REQUIRE(swim_digest_next(&list, &entry) == 0);
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    uint64_t last = 0;
    bool good = true;

    while (good && bytes_left(&in) >= 2) {
        size_t length = bytes_le16(&in);
        length = length < bytes_left(&in) ? length : bytes_left(&in);
        good = read_piece(bytes_take(&in, length), length, &last);
    }
    return 0;
}
