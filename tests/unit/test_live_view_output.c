/* SPDX-License-Identifier: Apache-2.0
 *
 * What a live view gives its consumer: numbers of interfaces across connections, and counters that
 * begin when the viewer comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/live_view_output.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"

struct fixture {
    struct consumer consumer;
    struct live_view_output output;
    unsigned begins;
    uint32_t n_ifaces;
    char names[8][IFACE_NAME_MAX];
    uint32_t seen[32]; /* the interface of each packet */
    unsigned n_seen;
    unsigned ends;
};

static struct fixture *fixture_of(struct consumer *consumer)
{
    return container_of(consumer, struct fixture, consumer);
}

static int take_ifaces(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                       struct err *err)
{
    struct fixture *f = fixture_of(consumer);

    (void)err;
    assert_in_range(n, 0, ARRAY_LEN(f->names));
    f->n_ifaces = n;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(f->names[i], sizeof f->names[i], "%s", ifaces[i].name);
    }
    return 0;
}

static int take_begin(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                      struct err *err)
{
    fixture_of(consumer)->begins++;
    return take_ifaces(consumer, ifaces, n, err);
}

static int take_block(struct consumer *consumer, struct block *block,
                      const struct consumer_load *load, struct err *err)
{
    struct fixture *f = fixture_of(consumer);
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct packet_view packet;

    (void)load;
    (void)err;
    while (block_next(&cursor, &packet) == 1) {
        assert_true(f->n_seen < ARRAY_LEN(f->seen));
        f->seen[f->n_seen++] = packet.iface;
    }
    return 0;
}

static int take_end(struct consumer *consumer, const struct ledger *ledgers, uint32_t n,
                    const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    (void)ledgers;
    (void)n;
    (void)total;
    (void)ended_ns;
    (void)err;
    fixture_of(consumer)->ends++;
    return 0;
}

static const struct consumer_ops ops = {
    .begin = take_begin, .ifaces = take_ifaces, .block = take_block, .finish = take_end};

static int set_up(void **state)
{
    struct fixture *f = x_alloc(sizeof *f);

    f->consumer.ops = &ops;
    live_view_output_init(&f->output, &f->consumer, false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    live_view_output_deinit(&f->output);
    mem_free(f);
    return 0;
}

static uint32_t add(struct fixture *f, const char *name, uint32_t link_type)
{
    struct iface iface = {.link_type = link_type};
    uint32_t id = 99;

    snprintf(iface.name, sizeof iface.name, "%s", name);
    assert_int_equal(live_view_output_iface(&f->output, &iface, &id, NULL), 0);
    return id;
}

/* One packet of each of these interfaces, as numbered by their connection. */
static void send(struct fixture *f, const uint32_t *ids, uint32_t n, const uint32_t *map)
{
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);

    for (uint32_t i = 0; i < n; i++) {
        const struct packet_view packet = {
            .iface = ids[i], .time_ns = 1000 + i, .caplen = 5, .len = 5, .data = (void *)"hello"};
        assert_true(block_append(block, &packet));
    }
    const struct stream_piece piece = {
        .run = block->data, .n = block->len, .n_packets = n, .packet_bytes = block->packet_bytes};
    assert_int_equal(live_view_output_packets(&f->output, &piece, map, NULL), 0);
    /* A run is borrowed: its numbers are as they were. */
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct packet_view packet;
    for (uint32_t i = 0; block_next(&cursor, &packet) == 1; i++) {
        assert_int_equal(packet.iface, ids[i]);
    }
    block_unref(block);
}

static void an_interface_is_told_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, "eth0", LINK_ETHERNET), 0);
    assert_int_equal(add(f, "eth1", LINK_ETHERNET), 1);
    assert_int_equal(add(f, "eth0", LINK_ETHERNET), 0);
    assert_int_equal(f->begins, 1);
    assert_int_equal(f->n_ifaces, 2);
    /* Of another link type it is another one. */
    assert_int_equal(add(f, "eth0", LINK_RAW), 2);
    assert_int_equal(f->n_ifaces, 3);
    assert_string_equal(f->names[1], "eth1");
}

static void packets_get_the_numbers_of_the_output(void **state)
{
    struct fixture *f = *state;
    static const uint32_t ids[] = {0, 1, 1, 0};
    static const uint32_t swapped[] = {1, 0};
    static const uint32_t second[] = {2, 1};

    add(f, "eth0", LINK_ETHERNET);
    add(f, "eth1", LINK_ETHERNET);
    add(f, "eth2", LINK_ETHERNET);
    send(f, ids, 4, NULL);
    send(f, ids, 4, swapped);
    send(f, ids, 4, second);
    static const uint32_t wanted[] = {0, 1, 1, 0, 1, 0, 0, 1, 2, 1, 1, 2};
    assert_int_equal(f->n_seen, ARRAY_LEN(wanted));
    assert_memory_equal(f->seen, wanted, sizeof wanted);
    assert_int_equal(f->output.packets, 12);
    assert_int_equal(f->output.bytes, 60);
    assert_int_equal(f->output.counts[0].packets, 4);
    assert_int_equal(f->output.counts[1].packets, 6);
    assert_int_equal(f->output.counts[2].packets, 2);
}

static void tell(struct fixture *f, uint32_t id, uint64_t kernel, uint64_t lost)
{
    struct pcapng_statistics s = PCAPNG_STATISTICS_UNKNOWN;

    s.osdrop = kernel;
    assert_int_equal(live_view_output_statistics(&f->output, id, &s, lost, "", NULL), 0);
}

static void expect_sums(struct fixture *f, uint64_t lost, uint64_t kernel, uint64_t interface)
{
    uint64_t sums[3];

    live_view_output_sums(&f->output, &sums[0], &sums[1], &sums[2]);
    assert_int_equal(sums[0], lost);
    assert_int_equal(sums[1], kernel);
    assert_int_equal(sums[2], interface);
}

static void counters_begin_when_the_viewer_comes(void **state)
{
    struct fixture *f = *state;

    expect_sums(f, 0, UINT64_MAX, UINT64_MAX);
    add(f, "eth0", LINK_ETHERNET);
    tell(f, 0, 1000, 0); /* before our time */
    expect_sums(f, 0, 0, UINT64_MAX);
    tell(f, 0, 1007, 3);
    expect_sums(f, 3, 7, UINT64_MAX);
    tell(f, 0, UINT64_MAX, 0); /* not told this time */
    tell(f, 0, 1010, 2);
    expect_sums(f, 5, 10, UINT64_MAX);
}

static void counters_go_on_when_the_node_begins_anew(void **state)
{
    struct fixture *f = *state;

    add(f, "eth0", LINK_ETHERNET);
    tell(f, 0, 1000, 0);
    tell(f, 0, 1007, 0);
    tell(f, 0, 0, 0); /* another capture: it counts from 0 */
    uint64_t lost;
    uint64_t kernel;
    uint64_t interface;
    live_view_output_sums(&f->output, &lost, &kernel, &interface);
    assert_int_not_equal(kernel, UINT64_MAX);
    tell(f, 0, 5, 0);
    live_view_output_sums(&f->output, &lost, &kernel, &interface);
    assert_int_equal(kernel, 12); /* seven before, five since */
}

static void the_end_is_told_if_there_was_a_beginning(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(live_view_output_finish(&f->output, 1, NULL), 0);
    assert_int_equal(f->ends, 0);
    add(f, "eth0", LINK_ETHERNET);
    assert_int_equal(live_view_output_finish(&f->output, 1, NULL), 0);
    assert_int_equal(f->ends, 1);
}

static void a_file_that_nothing_came_for_has_a_beginning_and_an_end(void **state)
{
    struct fixture *f = *state;

    f->output.is_file = false;
    assert_int_equal(live_view_output_begin(&f->output, NULL), 0);
    assert_false(f->output.begun); /* lines have none */
    f->output.is_file = true;
    assert_int_equal(live_view_output_begin(&f->output, NULL), 0);
    assert_true(f->output.begun);
    assert_int_equal(live_view_output_finish(&f->output, 1, NULL), 0);
    assert_int_equal(f->ends, 1);
}

static void interfaces_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct iface iface = {.link_type = LINK_ETHERNET};
    struct err err = {0};
    uint32_t id = 99;

    f->output.begun = true;
    f->output.ifaces = x_alloc(LIVE_VIEW_IFACES_MAX * sizeof *f->output.ifaces);
    f->output.counts = x_alloc(LIVE_VIEW_IFACES_MAX * sizeof *f->output.counts);
    f->output.n_ifaces = LIVE_VIEW_IFACES_MAX;
    snprintf(iface.name, sizeof iface.name, "one more");
    assert_int_equal(live_view_output_iface(&f->output, &iface, &id, &err), ERR_LIMIT);
    assert_int_equal(id, 99);
    assert_int_equal(f->output.n_ifaces, LIVE_VIEW_IFACES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interface_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packets_get_the_numbers_of_the_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_begin_when_the_viewer_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_go_on_when_the_node_begins_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_is_told_if_there_was_a_beginning, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_nothing_came_for_has_a_beginning_and_an_end,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(interfaces_are_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
