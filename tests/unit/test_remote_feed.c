/* SPDX-License-Identifier: Apache-2.0
 *
 * What another member sends of its interface: sound blocks, and all that is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/relay_pcapng.h"
#include "node/remote_feed.h"
#include "node/remote_name.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/wire/rpc_live.h"

static struct buf stream_of(uint32_t n_packets)
{
    static const uint8_t bytes[60] = {1, 2, 3};
    const struct iface iface = {.name = "eth0", .link_type = LINK_ETHERNET, .ts_digits = 9};
    const struct relay_head head = {
        .iface = &iface, .excluded = "", .node = "n", .application = "a", .warning = ""};
    const struct ledger ledger = {.kernel = 7, .interface = 3};
    const struct relay_statistics statistics = {.ledger = &ledger};
    struct block *block = block_new(BLOCK_BYTES_MIN);
    struct buf out = {0};

    for (uint32_t i = 0; i < n_packets; i++) {
        const struct packet_view packet = {
            .time_ns = 1000 + i, .caplen = sizeof bytes, .len = sizeof bytes, .data = bytes};
        assert_true(block_append(block, &packet));
    }
    relay_pcapng_head(&out, &head);
    buf_append(&out, block->data, block->len);
    relay_pcapng_statistics(&out, &statistics);
    block_unref(block);
    return out;
}

/* Packets, or the error. In a buffer of exactly that size, so that a read too far is seen. */
static int read_all(const uint8_t *bytes, size_t n, struct remote_feed *feed)
{
    uint8_t *exact = malloc(n == 0 ? 1 : n);
    struct remote_bytes at = {exact, n};
    struct packet_view packet;
    struct err err;
    int n_packets = 0;
    int rc;

    memcpy(exact, bytes, n);
    while ((rc = remote_feed_next(feed, &at, &packet, &err)) == 1) {
        assert_int_equal(packet.iface, 0);
        n_packets++;
    }
    free(exact);
    return rc < 0 ? rc : n_packets;
}

static struct remote_feed ethernet(void)
{
    return (struct remote_feed){
        .link_type = LINK_ETHERNET, .kernel = UINT64_MAX, .interface = UINT64_MAX};
}

static void packets_and_counters_come_out(void **state)
{
    struct buf stream = stream_of(50);
    struct remote_feed feed = ethernet();

    (void)state;
    assert_int_equal(read_all(stream.data, stream.len, &feed), 50);
    assert_int_equal(feed.kernel, 7);
    assert_int_equal(feed.interface, 3);
    buf_deinit(&stream);
}

static void another_link_type_is_refused(void **state)
{
    struct buf stream = stream_of(1);
    struct remote_feed feed = ethernet();

    (void)state;
    feed.link_type = LINK_RAW;
    assert_int_equal(read_all(stream.data, stream.len, &feed), ERR_DAMAGED);
    buf_deinit(&stream);
}

/* Cut anywhere but between blocks, or with any byte changed: packets or an error, never more than
 * there are. */
static void damage_is_told(void **state)
{
    struct buf stream = stream_of(3);
    unsigned n_damaged = 0;

    (void)state;
    for (size_t n = 0; n < stream.len; n++) {
        struct remote_feed feed = ethernet();
        int rc = read_all(stream.data, n, &feed);
        assert_true(rc == ERR_DAMAGED || (rc >= 0 && rc <= 3 && n % 4 == 0));
    }
    for (size_t i = 0; i < stream.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct remote_feed feed = ethernet();
            stream.data[i] ^= (uint8_t)(1u << bit);
            int rc = read_all(stream.data, stream.len, &feed);
            assert_true(rc == ERR_DAMAGED || (rc >= 0 && rc <= 4));
            n_damaged += rc == ERR_DAMAGED;
            stream.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(n_damaged > 100);
    buf_deinit(&stream);
}

/* A block of a capture, and the store's reader, have no room for them. */
static void a_packet_has_no_more_options_than_a_block_takes(void **state)
{
    static const uint8_t options[PACKET_MAX_OPTIONS + 4];
    static const uint8_t bytes[60] = {1, 2, 3};
    struct remote_feed feed = ethernet();
    struct packet_view packet = {.caplen = sizeof bytes,
                                 .len = sizeof bytes,
                                 .data = bytes,
                                 .options = options,
                                 .options_len = PACKET_MAX_OPTIONS};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct block *block = block_new(BLOCK_BYTES_MIN);
        assert_true(block_append(block, &packet));
        assert_int_equal(read_all(block->data, block->len, &feed), i == 0 ? 1 : ERR_DAMAGED);
        block_unref(block);
        packet.options_len += 4;
    }
}

static void put_answer(struct buf *out)
{
    rpc_put_map(out, 8);
    rpc_put_text(out, "watermark_ns");
    rpc_put_u64(out, 5);
    rpc_put_text(out, "packets");
    rpc_put_u64(out, 6);
    rpc_put_text(out, "lost");
    rpc_put_u64(out, 7);
    rpc_put_text(out, "clock");
    rpc_put_map(out, 2);
    rpc_put_text(out, "offset_ns");
    rpc_put_i64(out, -8);
    rpc_put_text(out, "bound_ns");
    rpc_put_u64(out, 9);
    rpc_put_text(out, "node");
    rpc_put_text(out, "n\033[2J");
    rpc_put_text(out, "end");
    rpc_put_bool(out, true);
    rpc_put_text(out, "what comes later");
    rpc_put_nil(out);
    rpc_put_text(out, "data");
    rpc_put_bin(out, "abc", 3);
}

static void an_answer_is_read(void **state)
{
    struct rpc_live_answer answer;
    struct buf packed = {0};

    (void)state;
    put_answer(&packed);
    assert_int_equal(
        rpc_live_read_answer((struct rpc_span){packed.data, packed.len}, &answer, NULL), 0);
    assert_int_equal(answer.watermark_ns, 5);
    assert_int_equal(answer.packets, 6);
    assert_int_equal(answer.lost, 7);
    assert_true(answer.has_clock && answer.offset_ns == -8 && answer.bound_ns == 9);
    assert_string_equal(answer.node, "n?[2J");
    assert_true(answer.end);
    assert_memory_equal(answer.data.bytes, "abc", 3);
    for (size_t n = 0; n < packed.len; n++) {
        uint8_t *exact = malloc(n == 0 ? 1 : n);
        memcpy(exact, packed.data, n);
        assert_int_equal(rpc_live_read_answer((struct rpc_span){exact, n}, &answer, NULL),
                         ERR_DAMAGED);
        free(exact);
    }
    buf_deinit(&packed);
}

/* An answer is not taken that is larger than what was asked for and one packet. */
static void an_answer_has_no_more_packets_than_were_asked(void **state)
{
    char *bytes = x_alloc(RPC_LIVE_ANSWER_MAX + 1);
    struct rpc_live_answer answer;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct buf packed = {0};
        rpc_put_map(&packed, 1);
        rpc_put_text(&packed, "data");
        rpc_put_bin(&packed, bytes, RPC_LIVE_ANSWER_MAX + i);
        assert_int_equal(
            rpc_live_read_answer((struct rpc_span){packed.data, packed.len}, &answer, NULL),
            i == 0 ? 0 : ERR_DAMAGED);
        buf_deinit(&packed);
    }
    mem_free(bytes);
}

static void an_opening_has_a_stream(void **state)
{
    struct rpc_live_opened opened;
    struct buf packed = {0};

    (void)state;
    rpc_put_map(&packed, 2);
    rpc_put_text(&packed, "link_type");
    rpc_put_u64(&packed, 1);
    rpc_put_text(&packed, "stream");
    rpc_put_u64(&packed, 0);
    assert_int_equal(
        rpc_live_read_opened((struct rpc_span){packed.data, packed.len}, &opened, NULL),
        ERR_DAMAGED);
    packed.data[packed.len - 1] = 12;
    assert_int_equal(
        rpc_live_read_opened((struct rpc_span){packed.data, packed.len}, &opened, NULL), 0);
    assert_int_equal(opened.stream, 12);
    buf_deinit(&packed);
}

static void a_name_has_one_node(void **state)
{
    static const char *const names[] = {"n2/eth0", "swarm:n2/eth0"};
    static const char *const none[] = {"eth0", "/eth0", "n2/", "swarm:/eth0", "swarm:n2", ""};
    char *node = NULL;
    char *interface = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(remote_name_split(names[i], &node, &interface, NULL), 0);
        assert_string_equal(node, "n2");
        assert_string_equal(interface, "eth0");
        assert_string_equal(remote_name_plain(names[i]), "n2/eth0");
        mem_free(node);
        mem_free(interface);
    }
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_int_equal(remote_name_split(none[i], &node, &interface, NULL), ERR_NOT_FOUND);
    }
    assert_int_equal(remote_name_split("n2/n1/eth0", &node, &interface, NULL), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_and_counters_come_out),
        cmocka_unit_test(another_link_type_is_refused),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(a_packet_has_no_more_options_than_a_block_takes),
        cmocka_unit_test(a_name_has_one_node),
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(an_answer_has_no_more_packets_than_were_asked),
        cmocka_unit_test(an_opening_has_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
