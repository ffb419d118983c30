/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a member from anybody. One that is read keeps to its bounds and, written again by a
 * key of ours, says the same; a good signature under the real cryptography is one that was made.
 */
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "tests/support/swim_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_same(const struct swim_record *a, const struct swim_record *b)
{
    REQUIRE(memcmp(a->public_key, b->public_key, sizeof a->public_key) == 0);
    REQUIRE(memcmp(a->boot_nonce, b->boot_nonce, sizeof a->boot_nonce) == 0);
    REQUIRE(swim_incarnation_compare(a->incarnation, b->incarnation) == 0);
    REQUIRE(a->left == b->left && a->n_addrs == b->n_addrs && a->n_meta == b->n_meta);
    for (unsigned i = 0; i < a->n_addrs; i++) {
        REQUIRE(swim_addr_is_same(&a->addrs[i], &b->addrs[i]));
    }
    REQUIRE(memcmp(a->meta, b->meta, a->n_meta) == 0);
}

static void check_again(const struct swim_record *record)
{
    struct swim_test_member member = swim_test_member(&swim_crypto_null, 1);
    struct swim_keyring ring = swim_test_keyring();
    struct swim_record ours = *record;
    struct swim_record again;
    uint8_t bytes[SWIM_RECORD_MAX];

    memcpy(ours.public_key, member.public_key, sizeof ours.public_key);
    size_t n =
        swim_record_write(&ours, &swim_crypto_null, member.secret_key, ring.cluster_id, bytes);
    REQUIRE(n > 0 && n <= sizeof bytes);
    REQUIRE(swim_record_read(bytes, n, &again));
    check_same(&ours, &again);
    REQUIRE(swim_record_is_signed(bytes, n, &again, &swim_crypto_null, ring.cluster_id));
    bytes[n / 2] ^= 1;
    REQUIRE(!swim_record_read(bytes, n, &again) ||
            !swim_record_is_signed(bytes, n, &again, &swim_crypto_null, ring.cluster_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct swim_keyring ring = swim_test_keyring();
    struct swim_record record;

    if (!swim_record_read(data, n, &record)) {
        return 0;
    }
    REQUIRE(n <= SWIM_RECORD_MAX && record.incarnation.boot != 0);
    REQUIRE(record.n_addrs <= SWIM_ADDRS_MAX && record.n_meta <= SWIM_META_MAX);
    REQUIRE(record.meta >= data && record.meta + record.n_meta <= data + n);
    if (swim_record_is_signed(data, n, &record, &swim_crypto_sodium, ring.cluster_id)) {
        struct swim_test_member member = swim_test_member(&swim_crypto_sodium, 1);
        REQUIRE(memcmp(record.public_key, member.public_key, sizeof member.public_key) == 0);
    }
    check_again(&record);
    return 0;
}
