/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live_view_output.h"

#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/file_writer_posix.h"
#include "shared/packet/block.h"

void live_view_output_init(struct live_view_output *out, struct consumer *consumer, bool is_file)
{
    *out = (struct live_view_output){
        .consumer = consumer,
        .is_file = is_file,
        .statistics = file_writer_statistics,
        .started_ns = clock_wall_ns(),
        .max_packets = UINT64_MAX,
    };
}

void live_view_output_deinit(struct live_view_output *out)
{
    mem_free(out->ifaces);
    mem_free(out->counts);
    buf_deinit(&out->patched);
    *out = (struct live_view_output){0};
}

static bool is_same(const struct iface *a, const struct iface *b)
{
    return strcmp(a->name, b->name) == 0 && a->link_type == b->link_type &&
           a->snaplen == b->snaplen && strcmp(a->filter, b->filter) == 0;
}

static int tell_ifaces(struct live_view_output *out, struct err *err)
{
    const struct consumer_ops *ops = out->consumer->ops;
    int code = out->begun ? ops->ifaces(out->consumer, out->ifaces, out->n_ifaces, err)
                          : ops->begin(out->consumer, out->ifaces, out->n_ifaces, err);

    out->begun = true;
    return code;
}

int live_view_output_iface(struct live_view_output *out, const struct iface *iface, uint32_t *id,
                           struct err *err)
{
    for (uint32_t i = 0; i < out->n_ifaces; i++) {
        if (is_same(&out->ifaces[i], iface)) {
            *id = i;
            return 0;
        }
    }
    if (out->n_ifaces == LIVE_VIEW_IFACES_MAX) {
        return err_set(err, ERR_LIMIT, "the node has sent more than %u different interfaces",
                       LIVE_VIEW_IFACES_MAX);
    }
    uint32_t n = out->n_ifaces + 1;
    out->ifaces = x_realloc(out->ifaces, n * sizeof *out->ifaces);
    out->counts = x_realloc(out->counts, n * sizeof *out->counts);
    out->ifaces[n - 1] = *iface;
    out->counts[n - 1] = (struct live_view_iface){
        .node = PCAPNG_STATISTICS_UNKNOWN,
        .kernel.last = UINT64_MAX,
        .interface.last = UINT64_MAX,
    };
    out->n_ifaces = n;
    *id = n - 1;
    return tell_ifaces(out, err);
}

/* A copy of the run with the interfaces' numbers in the output. */
static const uint8_t *patch(struct live_view_output *out, const struct stream_piece *piece,
                            const uint32_t *map)
{
    buf_reset(&out->patched);
    buf_append(&out->patched, piece->run, piece->n);
    uint8_t *p = out->patched.data;
    for (const uint8_t *end = p + piece->n; p < end; p += get_le32(p + 4)) {
        uint32_t id = map[get_le32(p + 8)];
        put_le32(p + 8, id);
        out->counts[id].packets++;
    }
    return out->patched.data;
}

int live_view_output_packets(struct live_view_output *out, const struct stream_piece *piece,
                             const uint32_t *map, struct err *err)
{
    static const struct consumer_load load = {.limit = 1};
    const uint8_t *run = piece->run;

    if (map != NULL) {
        run = patch(out, piece, map);
    } else if (out->n_ifaces == 1) {
        out->counts[0].packets += piece->n_packets;
    } else {
        for (const uint8_t *p = run; p < run + piece->n; p += get_le32(p + 4)) {
            out->counts[get_le32(p + 8)].packets++;
        }
    }
    /* Borrowed for the call: neither consumer keeps a block. */
    struct block block = {
        .data = (uint8_t *)(uintptr_t)run,
        .len = (uint32_t)piece->n,
        .cap = (uint32_t)piece->n,
        .n_packets = piece->n_packets,
        .min_ns = piece->min_ns,
        .max_ns = piece->max_ns,
        .packet_bytes = piece->packet_bytes,
        .refs = 1,
    };
    out->packets += piece->n_packets;
    out->bytes += piece->packet_bytes;
    return out->consumer->ops->block(out->consumer, &block, &load, err);
}

static void grow(struct live_view_growth *growth, uint64_t now)
{
    if (now != UINT64_MAX) {
        growth->sum += growth->last != UINT64_MAX && now > growth->last ? now - growth->last : 0;
        growth->last = now;
    }
}

static uint64_t told(const struct live_view_growth *growth)
{
    return growth->last == UINT64_MAX ? UINT64_MAX : growth->sum;
}

static void take_statistics(struct live_view_iface *count, const struct pcapng_statistics *now)
{
    grow(&count->kernel, now->osdrop);
    grow(&count->interface, now->ifdrop);
    count->node = *now;
}

/* Whoever reads the file sees one number for what was lost on the way to it. */
static struct pcapng_statistics with_own(const struct live_view_output *out, uint32_t id)
{
    const struct live_view_iface *count = &out->counts[id];
    struct pcapng_statistics s = count->node;

    s.osdrop = s.osdrop == UINT64_MAX ? count->lost : s.osdrop + count->lost;
    s.usrdeliv = count->packets;
    return s;
}

int live_view_output_statistics(struct live_view_output *out, uint32_t id,
                                const struct pcapng_statistics *statistics, uint64_t lost,
                                const char *comment, struct err *err)
{
    out->counts[id].lost += lost;
    if (statistics != NULL) {
        take_statistics(&out->counts[id], statistics);
    } else {
        out->counts[id].node.time_ns = clock_wall_ns();
    }
    if (!out->is_file) {
        return 0;
    }
    struct pcapng_statistics s = with_own(out, id);
    return out->statistics(out->consumer, id, &s, comment, err);
}

int live_view_output_begin(struct live_view_output *out, struct err *err)
{
    return out->begun || !out->is_file ? 0 : tell_ifaces(out, err);
}

int live_view_output_finish(struct live_view_output *out, uint64_t now_ns, struct err *err)
{
    int code = 0;

    if (!out->begun) {
        return 0;
    }
    for (uint32_t i = 0; code == 0 && out->is_file && i < out->n_ifaces; i++) {
        struct pcapng_statistics s = with_own(out, i);
        s.time_ns = now_ns;
        s.start_ns = out->started_ns;
        s.end_ns = now_ns;
        code = out->statistics(out->consumer, i, &s, NULL, err);
    }
    static const struct ledger nothing = {0};
    int ended = consumer_finish(out->consumer, NULL, 0, &nothing, now_ns, code == 0 ? err : NULL);
    return code == 0 ? ended : code;
}

void live_view_output_sums(const struct live_view_output *out, uint64_t *lost, uint64_t *kernel,
                           uint64_t *interface)
{
    *lost = 0;
    *kernel = *interface = out->n_ifaces == 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < out->n_ifaces; i++) {
        const struct live_view_iface *count = &out->counts[i];

        *lost += count->lost;
        *kernel = ledger_add(*kernel, told(&count->kernel));
        *interface = ledger_add(*interface, told(&count->interface));
    }
}
