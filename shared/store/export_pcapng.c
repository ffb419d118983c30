/* SPDX-License-Identifier: Apache-2.0
 *
 * One section: an interface for each interface of each session, the packets, and at the end the
 * ledger of each session as statistics. A session's interfaces keep their order, so that the runs
 * of an only session are the file's bytes as they are; packets of further sessions get the number
 * of their interface in this file on the way.
 */
#include <inttypes.h>
#include <stdio.h>

#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/store/export_writer.h"

#define COMMENT_MAX 1024

struct pcapng_writer {
    struct export_writer base;
    uint32_t *first_iface; /* number in this file of each session's first interface */
};

static void write_interfaces(struct pcapng_writer *w, const struct store_session *session)
{
    struct buf *buf = &w->base.job.sink->buf;
    char comment[COMMENT_MAX];

    snprintf(comment, sizeof comment, "session %s%s%s%s%s", session->id,
             session->name[0] != '\0' ? ", name " : "", session->name,
             session->node[0] != '\0' ? ", node " : "", session->node);
    for (uint32_t i = 0; i < session->n_ifaces; i++) {
        pcapng_write_interface(buf, &session->ifaces[i], comment);
    }
}

static int open_pcapng(const struct export_job *job, struct export_writer **out, struct err *err)
{
    struct pcapng_writer *w = x_alloc(sizeof *w);
    uint32_t n_ifaces = 0;
    const struct pcapng_section section = {
        .hardware = job->hardware,
        .os = job->os,
        .application = job->spec->application,
    };

    (void)err;
    w->base.job = *job;
    w->first_iface = x_alloc((job->spec->n + 1) * sizeof *w->first_iface);
    pcapng_write_section(&job->sink->buf, &section);
    for (size_t i = 0; i < job->spec->n; i++) {
        w->first_iface[i] = n_ifaces;
        n_ifaces += job->spec->sessions[i].n_ifaces;
        write_interfaces(w, &job->spec->sessions[i]);
    }
    *out = &w->base;
    return 0;
}

static int packet_pcapng(struct export_writer *base, const struct scan_packet *packet,
                         struct err *err)
{
    struct pcapng_writer *w = container_of(base, struct pcapng_writer, base);
    struct packet_view view = packet->view;
    uint32_t n = block_packet_bytes(view.caplen, view.options_len);

    if (view.iface >= packet->session->n_ifaces) {
        base->left_why = "their interface is not described; it may be new: export again";
        return EXPORT_LEFT_OUT;
    }
    view.iface += w->first_iface[packet->session - base->job.spec->sessions];
    struct block one = {.data = buf_extend(&base->job.sink->buf, n), .cap = n};
    REQUIRE(block_append(&one, &view));
    return export_sink_settle(base->job.sink, err);
}

static int run_pcapng(struct export_writer *base, const uint8_t *raw, size_t n, struct err *err)
{
    return export_sink_write(base->job.sink, raw, n, err);
}

static void say_count(char *out, size_t n, const char *what, uint64_t count)
{
    size_t used = strnlen(out, n);

    if (count != LEDGER_UNKNOWN) {
        snprintf(out + used, n - used, "; %s: %" PRIu64, what, count);
    }
}

static void say_ledger(const struct ledger *loss, bool all, char *out, size_t n)
{
    if (all) {
        say_count(out, n, "captured", loss->captured);
        say_count(out, n, "received", loss->received);
        say_count(out, n, "dropped by kernel", loss->kernel);
        say_count(out, n, "dropped by interface", loss->interface);
    }
    say_count(out, n, "dropped at the limit", loss->limit);
    say_count(out, n, "dropped at the store", loss->store);
}

/* The ledger is known for the session: with one interface it is the interface's, with several it
 * can only be told in words, at the first. */
static void write_statistics(struct pcapng_writer *w, size_t i, const struct scan_damage *damage)
{
    const struct store_session *session = &w->base.job.spec->sessions[i];
    bool alone = session->n_ifaces == 1;
    struct pcapng_statistics block =
        alone ? pcapng_statistics_of(&session->loss) : PCAPNG_STATISTICS_UNKNOWN;
    char comment[COMMENT_MAX];

    block.time_ns = session->ended_ns != 0 ? session->ended_ns : w->base.job.now_ns;
    block.start_ns = session->started_ns;
    block.end_ns = session->ended_ns != 0 ? session->ended_ns : UINT64_MAX;
    snprintf(comment, sizeof comment, "counts of the whole session %s", session->id);
    say_ledger(&session->loss, !alone, comment, sizeof comment);
    if (i == 0 && damage->packets + damage->gone_packets > 0) {
        say_count(comment, sizeof comment, "unreadable in the store and not in this file",
                  damage->packets + damage->gone_packets);
    }
    pcapng_write_statistics(&w->base.job.sink->buf, w->first_iface[i], &block, comment);
}

static int finish_pcapng(struct export_writer *base, const struct scan_damage *damage,
                         struct err *err)
{
    struct pcapng_writer *w = container_of(base, struct pcapng_writer, base);

    for (size_t i = 0; i < base->job.spec->n; i++) {
        if (base->job.spec->sessions[i].n_ifaces > 0) {
            write_statistics(w, i, damage);
        }
    }
    return export_sink_flush(base->job.sink, err);
}

static void free_pcapng(struct export_writer *base)
{
    if (base != NULL) {
        struct pcapng_writer *w = container_of(base, struct pcapng_writer, base);
        mem_free(w->first_iface);
        mem_free(w);
    }
}

const struct export_writer_ops export_pcapng = {
    .name = "pcapng",
    .suffixes = {"pcapng", "ntar"},
    .open = open_pcapng,
    .packet = packet_pcapng,
    .run = run_pcapng,
    .finish = finish_pcapng,
    .free = free_pcapng,
};
