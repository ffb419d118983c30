/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view_lines.h"

#include <errno.h>
#include <poll.h>

#include "shared/base/mem.h"

struct view_lines {
    struct consumer consumer;
    struct packet_print print;
    const struct iface *ifaces; /* borrowed from whoever drives it */
    uint32_t n_ifaces;
    uint64_t number;
};

static struct view_lines *lines_of(struct consumer *consumer)
{
    return container_of(consumer, struct view_lines, consumer);
}

static int on_ifaces(struct consumer *consumer, const struct iface *ifaces, uint32_t n,
                     struct err *err)
{
    struct view_lines *lines = lines_of(consumer);

    (void)err;
    lines->ifaces = ifaces;
    lines->n_ifaces = n;
    return 0;
}

static int flush(struct view_lines *lines, struct err *err)
{
    return fflush(lines->print.out) != 0 ? packet_print_failed(err) : 0;
}

static int on_block(struct consumer *consumer, struct block *block,
                    const struct consumer_load *load, struct err *err)
{
    static const struct store_session none;
    struct view_lines *lines = lines_of(consumer);
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct scan_packet packet = {.session = &none};
    int code = 0;

    (void)load;
    while (code == 0 && block_next(&cursor, &packet.view) == 1) {
        REQUIRE(packet.view.iface < lines->n_ifaces);
        packet.iface = &lines->ifaces[packet.view.iface];
        packet.number = ++lines->number;
        code = packet_print(&lines->print, &packet, err);
    }
    return code == 0 ? flush(lines, err) : code;
}

/* Nobody writes while nothing comes: ask the pipe. */
static int on_tick(struct consumer *consumer, uint64_t now_ns, struct err *err)
{
    struct view_lines *lines = lines_of(consumer);
    struct pollfd reader = {.fd = fileno(lines->print.out)};

    (void)now_ns;
    if (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0) {
        errno = EPIPE;
        return packet_print_failed(err);
    }
    return 0;
}

static int on_finish(struct consumer *consumer, const struct ledger *ledgers, uint32_t n,
                     const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    (void)ledgers;
    (void)n;
    (void)total;
    (void)ended_ns;
    return flush(lines_of(consumer), err);
}

static const struct consumer_ops lines_ops = {
    .name = "lines",
    .begin = on_ifaces,
    .ifaces = on_ifaces,
    .block = on_block,
    .tick = on_tick,
    .finish = on_finish,
};

struct consumer *view_lines_new(const struct packet_print *print)
{
    struct view_lines *lines = x_alloc(sizeof *lines);

    lines->consumer.ops = &lines_ops;
    lines->print.out = print->out;
    lines->print.json = print->json;
    lines->print.show_data = print->show_data;
    lines->print.with_interface = print->with_interface;
    return &lines->consumer;
}

void view_lines_free(struct consumer *consumer)
{
    if (consumer != NULL) {
        struct view_lines *lines = lines_of(consumer);
        packet_print_deinit(&lines->print);
        mem_free(lines);
    }
}
