/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/intake.h"

#include <string.h>

#include "shared/base/mem.h"

void intake_init(struct intake *intake, const struct intake_opts *opts)
{
    REQUIRE(opts->max_ifaces > 0 && opts->max_ifaces <= IFACES_MAX);
    *intake = (struct intake){
        .limits = opts->limits,
        .from_ns = opts->from_ns,
        .span_ns = opts->until_ns == 0              ? UINT64_MAX - opts->from_ns
                   : opts->until_ns > opts->from_ns ? opts->until_ns - opts->from_ns
                                                    : 0,
        .max_ifaces = opts->max_ifaces,
        .ifaces = x_alloc(opts->max_ifaces * sizeof *intake->ifaces),
        .ledgers = x_alloc(opts->max_ifaces * sizeof *intake->ledgers),
        .early = x_alloc(opts->max_ifaces * sizeof *intake->early),
        .exchange = opts->exchange,
        .unmatched = opts->unmatched,
        .arg = opts->arg,
    };
}

void intake_deinit(struct intake *intake)
{
    block_unref(intake->open);
    mem_free(intake->ifaces);
    mem_free(intake->ledgers);
    mem_free(intake->early);
    intake->open = NULL;
    intake->ifaces = NULL;
    intake->ledgers = NULL;
    intake->early = NULL;
}

static bool fail(struct intake *intake)
{
    intake->state = INTAKE_FAILED;
    return false;
}

/* The slow half of take(): a new block, then the packet into it. */
static __attribute__((noinline)) bool place_in_fresh(struct intake *intake,
                                                     const struct packet_view *packet, uint32_t id,
                                                     uint32_t caplen)
{
    struct block *full = intake->open;

    intake->open = NULL;
    intake->open =
        intake->exchange(full, block_packet_bytes(caplen, packet->options_len), intake->arg);
    if (intake->open == NULL) {
        return fail(intake);
    }
    REQUIRE(block_append_as(intake->open, packet, id, caplen));
    return true;
}

/* Counts the packet as interface `id`, cut to caplen, and copies it into the open block. */
static inline __attribute__((always_inline)) bool
take(struct intake *intake, const struct packet_view *packet, uint32_t id, uint32_t caplen)
{
    enum limits_verdict verdict = limits_take(&intake->limits, caplen, packet->time_ns);
    struct ledger *ledger = &intake->ledgers[id];

    if (__builtin_expect(verdict == LIMITS_REFUSE, 0)) {
        ledger->limit++;
        intake->state = INTAKE_REACHED;
        return false;
    }
    if (__builtin_expect(intake->open == NULL, 0) ||
        !block_append_as(intake->open, packet, id, caplen)) {
        if (!place_in_fresh(intake, packet, id, caplen)) {
            return false;
        }
    }
    ledger->captured++;
    ledger->bytes += caplen;
    if (__builtin_expect(verdict == LIMITS_TAKE_LAST, 0)) {
        intake->state = INTAKE_REACHED;
        return false;
    }
    return true;
}

/* When the capture is over: true keeps the source reading, until it has nothing more. */
static bool refuse(struct intake *intake, uint32_t id)
{
    if (intake->state == INTAKE_REACHED) {
        intake->ledgers[id].limit++;
        return true;
    }
    return false;
}

/* Outside of the time that is captured. The source goes on: another one may be behind. */
static __attribute__((noinline)) bool leave_out(struct intake *intake, uint32_t id,
                                                uint64_t time_ns)
{
    if (time_ns < intake->from_ns) {
        intake->early[id]++;
    } else {
        intake->ledgers[id].limit++;
    }
    return true;
}

/* Live: one interface, the filter has been applied. */
static bool on_live_packet(struct source_sink *sink, const struct packet_view *packet)
{
    struct intake_feed *feed = container_of(sink, struct intake_feed, sink);
    uint32_t id = feed->ids[0];

    /* One comparison for both ends: what is before wraps around. */
    if (__builtin_expect(packet->time_ns - feed->intake->from_ns >= feed->intake->span_ns, 0)) {
        return leave_out(feed->intake, id, packet->time_ns);
    }
    if (__builtin_expect(feed->intake->state != INTAKE_OPEN, 0)) {
        return refuse(feed->intake, id);
    }
    return take(feed->intake, packet, id, packet->caplen);
}

/* Gives the source's interfaces that are new a number of ours. */
static int adopt_ifaces(struct intake_feed *feed, struct err *err)
{
    struct intake *intake = feed->intake;
    uint32_t n = feed->source->n_ifaces;

    if (n - feed->n_ids > intake->max_ifaces - intake->n_ifaces) {
        return err_set(err, ERR_LIMIT, "more than %u interfaces in one capture",
                       intake->max_ifaces);
    }
    feed->ids = x_realloc(feed->ids, n * sizeof *feed->ids);
    feed->compiled = x_realloc(feed->compiled, n * sizeof *feed->compiled);
    for (uint32_t i = feed->n_ids; i < n; i++) {
        const struct iface *from = &feed->source->ifaces[i];
        struct iface *to = &intake->ifaces[intake->n_ifaces];
        const char *why = NULL;

        *to = *from;
        if (feed->snaplen != 0 && (to->snaplen == 0 || to->snaplen > feed->snaplen)) {
            to->snaplen = feed->snaplen;
        }
        if (feed->is_file) {
            intake->ledgers[intake->n_ifaces].kernel = LEDGER_UNKNOWN;
            intake->ledgers[intake->n_ifaces].interface = LEDGER_UNKNOWN;
        }
        feed->compiled[i] = NULL;
        if (feed->filtering.set != NULL) {
            feed->compiled[i] = feed->filtering.compile(feed->filtering.set, from->link_type, &why);
        }
        if (why != NULL && intake->unmatched != NULL) {
            intake->unmatched(to, why, intake->arg);
        }
        feed->ids[i] = intake->n_ifaces++;
    }
    feed->n_ids = n;
    return 0;
}

/* Files: the list of interfaces may have grown, the filter is ours to apply. */
static bool on_file_packet(struct source_sink *sink, const struct packet_view *packet)
{
    struct intake_feed *feed = container_of(sink, struct intake_feed, sink);
    struct intake *intake = feed->intake;
    uint32_t caplen = packet->caplen;

    if (packet->iface >= feed->n_ids && adopt_ifaces(feed, &intake->err) < 0) {
        return fail(intake);
    }
    if (feed->filtering.set != NULL &&
        !feed->filtering.matches(feed->compiled[packet->iface], packet)) {
        return true;
    }
    uint32_t id = feed->ids[packet->iface];
    intake->ledgers[id].received++;
    if (intake->state != INTAKE_OPEN) {
        return refuse(intake, id);
    }
    if (intake->limits.until_ns == LIMITS_NONE && intake->limits.span_ns != LIMITS_NONE) {
        limits_start_span(&intake->limits, packet->time_ns);
    }
    if (feed->snaplen != 0 && caplen > feed->snaplen) {
        caplen = feed->snaplen;
    }
    return take(intake, packet, id, caplen);
}

int intake_feed_init(struct intake_feed *feed, struct intake *intake, struct source *source,
                     const struct intake_filtering *filtering, uint32_t snaplen, struct err *err)
{
    *feed = (struct intake_feed){.intake = intake, .source = source, .snaplen = snaplen};
    if (filtering != NULL) {
        feed->filtering = *filtering;
    }
    feed->is_file = source->ops->fd(source) < 0;
    feed->sink.packet = feed->is_file ? on_file_packet : on_live_packet;
    return source->n_ifaces > 0 ? adopt_ifaces(feed, err) : 0;
}

void intake_feed_deinit(struct intake_feed *feed)
{
    mem_free(feed->ids);
    mem_free((void *)feed->compiled);
    feed->ids = NULL;
    feed->compiled = NULL;
}

void intake_refuse(struct intake *intake)
{
    if (intake->state == INTAKE_OPEN) {
        intake->state = INTAKE_REACHED;
    }
}

struct block *intake_take_open(struct intake *intake)
{
    struct block *block = intake->open;

    if (block == NULL || block->n_packets == 0) {
        return NULL;
    }
    intake->open = NULL;
    return block;
}

void intake_total(const struct intake *intake, struct ledger *out)
{
    *out = (struct ledger){0};
    for (uint32_t i = 0; i < intake->n_ifaces; i++) {
        const struct ledger *one = &intake->ledgers[i];

        out->captured += one->captured;
        out->bytes += one->bytes;
        out->limit += one->limit;
        out->received = ledger_add(out->received, one->received);
        out->kernel = ledger_add(out->kernel, one->kernel);
        out->interface = ledger_add(out->interface, one->interface);
    }
}
