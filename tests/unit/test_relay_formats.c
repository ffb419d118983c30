/* SPDX-License-Identifier: Apache-2.0
 *
 * What viewers get: raw frames, and the pcapng blocks around packets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/relay_frames.h"
#include "node/relay_pcapng.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"

static struct block *block_of(const uint32_t *lengths, size_t n)
{
    static uint8_t bytes[70000];
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);

    for (size_t i = 0; i < n; i++) {
        memset(bytes, (int)(i + 1), lengths[i]);
        const struct packet_view packet = {
            .caplen = lengths[i], .len = lengths[i] + 5, .data = bytes};
        assert_true(block_append(block, &packet));
    }
    return block;
}

/* The length of the frame at p, with its content at *data. */
static uint64_t read_frame(const uint8_t *p, const uint8_t **data)
{
    uint64_t n = p[1];
    unsigned more = n == 126 ? 2 : n == 127 ? 8 : 0;

    assert_int_equal(p[0], 0x82);
    if (more > 0) {
        n = 0;
    }
    for (unsigned i = 0; i < more; i++) {
        n = n << 8 | p[2 + i];
    }
    *data = p + 2 + more;
    return n;
}

static void each_packet_is_one_frame_with_its_bytes(void **state)
{
    static const uint32_t lengths[] = {1, 60, 125, 126, 1514, 65535, 65536, 0, 33};
    struct block *block = block_of(lengths, ARRAY_LEN(lengths));
    uint8_t *buffer = malloc(200000);
    struct relay_frames out = {buffer, buffer + 200000};
    uint32_t n_packets = 0;
    const uint8_t *p = buffer;

    (void)state;
    assert_int_equal(relay_frames_put(&out, block->data, block->len, &n_packets), block->len);
    assert_int_equal(n_packets, ARRAY_LEN(lengths));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        const uint8_t *data = NULL;
        assert_int_equal(read_frame(p, &data), lengths[i]);
        for (uint32_t k = 0; k < lengths[i]; k++) {
            assert_int_equal(data[k], i + 1);
        }
        p = data + lengths[i];
    }
    assert_ptr_equal(p, out.at);
    block_unref(block);
    free(buffer);
}

/* In pieces through a small buffer the same frames come out; malloc of the exact size lets ASan see
 * a byte too many. */
static void a_full_buffer_stops_at_a_packet_and_goes_on_there(void **state)
{
    static const uint32_t lengths[] = {90, 90, 90, 90, 90, 126, 90};
    struct block *block = block_of(lengths, ARRAY_LEN(lengths));
    uint32_t taken = 0;
    uint32_t n_packets = 0;
    uint32_t rounds = 0;

    (void)state;
    while (taken < block->len) {
        uint8_t *buffer = malloc(RELAY_FRAME_MAX(126));
        struct relay_frames out = {buffer, buffer + RELAY_FRAME_MAX(126)};
        const uint8_t *data = NULL;
        uint32_t n = relay_frames_put(&out, block->data + taken, block->len - taken, &n_packets);
        assert_true(n > 0);
        assert_int_equal(read_frame(buffer, &data), lengths[rounds]);
        taken += n;
        rounds++;
        free(buffer);
    }
    assert_int_equal(rounds, ARRAY_LEN(lengths));
    assert_int_equal(n_packets, ARRAY_LEN(lengths));
    block_unref(block);
}

static const struct iface eth0 = {
    .name = "eth0", .link_type = LINK_ETHERNET, .snaplen = 96, .filter = "not (x) and (tcp)"};

static bool holds(const struct buf *buf, const char *text)
{
    return memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

static void the_head_tells_the_filter_and_what_is_left_out(void **state)
{
    struct buf out = {0};
    const struct relay_head head = {.iface = &eth0,
                                    .excluded = "tcp port 8080",
                                    .node = "alpha",
                                    .application = "packetrecorder",
                                    .warning = "no promiscuous mode"};

    (void)state;
    relay_pcapng_head(&out, &head);
    assert_int_equal(get_le32(out.data), 0x0A0D0D0A);
    assert_true(holds(&out, "not (x) and (tcp)"));
    assert_true(holds(&out, "own traffic: tcp port 8080"));
    assert_true(holds(&out, "node 'alpha'"));
    assert_true(holds(&out, "no promiscuous mode"));
    buf_deinit(&out);
}

static void statistics_tell_position_and_loss_for_programs_and_people(void **state)
{
    struct buf out = {0};
    const struct ledger ledger = {
        .received = 10, .kernel = 3, .interface = LEDGER_UNKNOWN, .store = 4};
    struct relay_statistics statistics = {
        .ledger = &ledger, .position = 1234, .lost = 56, .note = "interface down"};

    (void)state;
    relay_pcapng_statistics(&out, &statistics);
    assert_true(holds(&out, "packetrecorder: lost=56 position=1234\nviewer lost 56 packets"));
    assert_true(holds(&out, "\ninterface down"));
    assert_true(holds(&out, "all viewers: 4"));
    buf_reset(&out);
    statistics = (struct relay_statistics){.ledger = &(struct ledger){0}, .position = 7};
    relay_pcapng_statistics(&out, &statistics);
    assert_true(holds(&out, "packetrecorder: position=7"));
    assert_false(holds(&out, "lost"));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_packet_is_one_frame_with_its_bytes),
        cmocka_unit_test(a_full_buffer_stops_at_a_packet_and_goes_on_there),
        cmocka_unit_test(the_head_tells_the_filter_and_what_is_left_out),
        cmocka_unit_test(statistics_tell_position_and_loss_for_programs_and_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
