/* SPDX-License-Identifier: Apache-2.0
 *
 * Classic pcap holds one link type. When the sessions have only one, the header is written at once;
 * else it waits for the first packet, since the filter may leave a single one.
 */
#include "shared/base/mem.h"
#include "shared/packet/link_type.h"
#include "shared/packet/pcap.h"
#include "shared/store/export_writer.h"

struct pcap_writer {
    struct export_writer base;
    bool has_header;
    uint32_t link_type;
    uint32_t snaplen; /* the largest; 0 = one has no limit */
};

struct link_types {
    bool any;
    bool several;
    uint32_t first;
};

static void look_at_interface(struct pcap_writer *w, struct link_types *types,
                              const struct iface *iface)
{
    if (!types->any) {
        *types = (struct link_types){.any = true, .first = iface->link_type};
        w->snaplen = iface->snaplen;
        return;
    }
    types->several = types->several || iface->link_type != types->first;
    if (iface->snaplen == 0 || w->snaplen == 0) {
        w->snaplen = 0;
    } else if (iface->snaplen > w->snaplen) {
        w->snaplen = iface->snaplen;
    }
}

static void write_header(struct pcap_writer *w, uint32_t link_type)
{
    w->link_type = link_type;
    w->has_header = true;
    pcap_write_header(buf_extend(&w->base.job.sink->buf, PCAP_FILE_HEADER_BYTES), link_type,
                      w->snaplen);
}

static int open_pcap(const struct export_job *job, struct export_writer **out, struct err *err)
{
    struct pcap_writer *w = x_alloc(sizeof *w);
    struct link_types types = {0};

    (void)err;
    w->base.job = *job;
    for (size_t i = 0; i < job->spec->n; i++) {
        const struct store_session *session = &job->spec->sessions[i];
        for (uint32_t k = 0; k < session->n_ifaces; k++) {
            look_at_interface(w, &types, &session->ifaces[k]);
        }
    }
    if (!types.several) {
        write_header(w, types.any ? types.first : LINK_ETHERNET);
    }
    *out = &w->base;
    return 0;
}

static int refuse_link_type(const struct pcap_writer *w, const struct iface *iface, struct err *err)
{
    char first[LINK_TYPE_TEXT_MAX];
    char second[LINK_TYPE_TEXT_MAX];

    link_type_text(w->link_type, first);
    link_type_text(iface->link_type, second);
    return err_set(err, ERR_UNSUPPORTED,
                   "a classic pcap file holds one link type, but there are packets of %s and %s: "
                   "export to pcapng (--format pcapng), or choose with -s and -f what has one",
                   first, second);
}

static int packet_pcap(struct export_writer *base, const struct scan_packet *packet,
                       struct err *err)
{
    struct pcap_writer *w = container_of(base, struct pcap_writer, base);
    struct buf *buf = &base->job.sink->buf;
    uint8_t header[PCAP_RECORD_HEADER_BYTES];

    if (packet->iface->link_type == UINT32_MAX) {
        base->left_why = "their interface is not described";
        return EXPORT_LEFT_OUT;
    }
    if (!w->has_header) {
        write_header(w, packet->iface->link_type);
    }
    if (packet->iface->link_type != w->link_type) {
        return refuse_link_type(w, packet->iface, err);
    }
    if (pcap_write_record(header, &packet->view) < 0) {
        base->left_why = "classic pcap cannot hold times after 2106-02-07: use pcapng";
        return EXPORT_LEFT_OUT;
    }
    buf_append(buf, header, sizeof header);
    buf_append(buf, packet->view.data, packet->view.caplen);
    return export_sink_settle(base->job.sink, err);
}

static int finish_pcap(struct export_writer *base, const struct scan_damage *damage,
                       struct err *err)
{
    struct pcap_writer *w = container_of(base, struct pcap_writer, base);

    (void)damage;
    if (!w->has_header) {
        write_header(w, LINK_ETHERNET);
    }
    return export_sink_flush(base->job.sink, err);
}

static void free_pcap(struct export_writer *w)
{
    mem_free(w == NULL ? NULL : container_of(w, struct pcap_writer, base));
}

const struct export_writer_ops export_pcap = {
    .name = "pcap",
    .suffixes = {"pcap"},
    .open = open_pcap,
    .packet = packet_pcap,
    .finish = finish_pcap,
    .free = free_pcap,
};
