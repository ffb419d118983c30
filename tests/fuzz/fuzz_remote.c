/* SPDX-License-Identifier: Apache-2.0
 *
 * What a hostile member answers to who follows an interface of it: the first byte says to which
 * call, the second has the link type, the rest is the answer. Whatever comes, what is taken for a
 * packet fits into a block of a capture, and texts can be shown.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/remote_feed.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc_live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const char *text, size_t size)
{
    REQUIRE(memchr(text, '\0', size) != NULL);
    for (; *text != '\0'; text++) {
        REQUIRE(*text >= 0x20 && *text < 0x7f);
    }
}

static void read_packets(const uint8_t *data, size_t n, uint32_t link_type)
{
    struct remote_feed feed = {
        .link_type = link_type, .kernel = UINT64_MAX, .interface = UINT64_MAX};
    struct remote_bytes bytes = {data, n};
    struct packet_view packet;
    struct err err = {0};
    int rc;

    while ((rc = remote_feed_next(&feed, &bytes, &packet, &err)) == 1) {
        REQUIRE(packet.iface == 0 && packet.options_len <= PACKET_MAX_OPTIONS);
        struct block *block = block_new(block_packet_bytes(packet.caplen, packet.options_len));
        REQUIRE(block != NULL && block_append(block, &packet));
        block_unref(block);
    }
    REQUIRE(rc == 0 ? bytes.left == 0 : rc == ERR_DAMAGED && err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rpc_live_opened opened;
    struct rpc_live_answer answer;

    if (n < 2) {
        return 0;
    }
    const struct rpc_span result = {data + 2, n - 2};
    if (data[0] % 3 == 0) {
        read_packets(result.bytes, result.n, data[1]);
    } else if (data[0] % 3 == 1) {
        REQUIRE(rpc_live_read_opened(result, &opened, NULL) < 0 ||
                (opened.stream != 0 && opened.link_type <= UINT16_MAX));
    } else if (rpc_live_read_answer(result, &answer, NULL) == 0) {
        check_text(answer.node, sizeof answer.node);
        check_text(answer.why, sizeof answer.why);
        REQUIRE(answer.data.n <= RPC_LIVE_ANSWER_MAX);
        read_packets(answer.data.bytes, answer.data.n, data[1]);
    }
    return 0;
}
