/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes out: the head, an interface before its first packet, the packets, statistics.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/merge/merge_internal.h"
#include "shared/base/text_clean.h"
#include "shared/packet/pcap.h"

#define NOTE_MAX       512
#define PACKET_AT      28u
#define NO_LINK_TYPE   UINT32_MAX
#define OPTION_BYTES   4u
#define MARK_MAX       96
#define STATISTICS_MAX 1024

static void put_classic_head(struct merge *m, struct buf *out, uint32_t link_type)
{
    m->link_type = link_type;
    pcap_write_header(buf_extend(out, PCAP_FILE_HEADER_BYTES), link_type, 0);
}

void merge_put_head(struct merge *m, struct buf *out)
{
    if (m->is_begun) {
        return;
    }
    m->is_begun = true;
    if (m->is_classic) {
        m->link_type = NO_LINK_TYPE; /* the first packet's, when it is there */
        return;
    }
    const struct pcapng_section section = {.application = m->application, .comment = m->comment};
    pcapng_write_section(out, &section);
}

/* ---- interfaces ---- */

static void name_iface(const struct merge_source *s, uint32_t iface, char out[IFACE_NAME_MAX])
{
    const char *name = s->reader.ifaces[iface].name;
    char number[16];

    if (name[0] == '\0') {
        snprintf(number, sizeof number, "%" PRIu32, iface);
        name = number;
    }
    snprintf(out, IFACE_NAME_MAX, "%s/%.*s", s->node, IFACE_NAME_MAX - MERGE_NAME_MAX - 1, name);
    text_clean(out);
}

static void put_iface(const struct merge_source *s, uint32_t iface, uint32_t era, struct buf *out)
{
    struct merge_clock_sample clock = merge_clock_era(&s->clock, era);
    struct iface told = s->reader.ifaces[iface];
    char comment[NOTE_MAX];
    char custom[NOTE_MAX];

    if (s->clock.n == 0) {
        clock.bound_ns = MERGE_BOUND_UNKNOWN;
    }
    name_iface(s, iface, told.name);
    text_clean(told.description);
    text_clean(told.filter);
    text_clean(told.os);
    if (clock.bound_ns == MERGE_BOUND_UNKNOWN) {
        snprintf(comment, sizeof comment,
                 "node %s%s%s%s; how its clock stood is not known: times are the node's own",
                 s->node, s->id[0] != '\0' ? " (" : "", s->id, s->id[0] != '\0' ? ")" : "");
        snprintf(custom, sizeof custom,
                 "packetrecorder node=%s id=%s offset_ns= bound_ns=", s->node, s->id);
    } else {
        snprintf(comment, sizeof comment,
                 "node %s%s%s%s; its clock was %" PRId64 " ns ahead, within %" PRIu64
                 " ns; that is subtracted from the times here",
                 s->node, s->id[0] != '\0' ? " (" : "", s->id, s->id[0] != '\0' ? ")" : "",
                 clock.offset_ns, clock.bound_ns);
        snprintf(custom, sizeof custom,
                 "packetrecorder node=%s id=%s offset_ns=%" PRId64 " bound_ns=%" PRIu64, s->node,
                 s->id, clock.offset_ns, clock.bound_ns);
    }
    pcapng_write_interface_custom(out, &told, comment, custom);
}

uint32_t merge_out_number(struct merge *m, struct merge_source *s, uint32_t iface, uint32_t era,
                          bool *is_new)
{
    struct merge_iface *record = merge_source_iface(s, iface);

    *is_new = false;
    for (uint32_t i = 0; i < record->n_ids && i < MERGE_ERAS_KEPT; i++) {
        if (record->ids[i].era == era) {
            return record->ids[i].out;
        }
    }
    if (m->n_outs == MERGE_OUT_IFACES_MAX) {
        m->n_unnumbered++;
        return record->n_ids > 0 ? record->last_out : MERGE_OUT_IFACES_MAX - 1;
    }
    if (m->n_outs == m->cap_outs) {
        m->cap_outs = m->cap_outs == 0 ? 16 : 2 * m->cap_outs;
        m->outs = x_realloc(m->outs, m->cap_outs * sizeof *m->outs);
    }
    *is_new = true;
    m->outs[m->n_outs] = (struct merge_out_iface){s->rank, iface, era};
    record->ids[record->n_ids % MERGE_ERAS_KEPT].era = era;
    record->ids[record->n_ids++ % MERGE_ERAS_KEPT].out = m->n_outs;
    record->last_out = m->n_outs;
    return m->n_outs++;
}

static inline uint32_t find_out(struct merge *m, struct merge_source *s,
                                const struct merge_entry *e, struct buf *out)
{
    if (__builtin_expect(e->iface < s->n_ifaces, 1)) {
        const struct merge_iface *record = &s->ifaces[e->iface];
        if (__builtin_expect(record->n_ids > 0 && record->ids[0].era == e->era, 1)) {
            return record->ids[0].out;
        }
    }
    bool is_new = false;
    uint32_t number = merge_out_number(m, s, e->iface, e->era, &is_new);
    if (is_new) {
        put_iface(s, e->iface, e->era, out);
    }
    return number;
}

/* ---- packets ---- */

static void put_head_of(uint8_t *at, uint32_t total, uint32_t number, uint64_t time_ns)
{
    put_le32(at + 4, total);
    put_le32(at + 8, number);
    put_le32(at + 12, (uint32_t)(time_ns >> 32));
    put_le32(at + 16, (uint32_t)time_ns);
    put_le32(at + total - 4, total);
}

/* A packet that does not stand where its time says gets a comment before its other options. */
static void put_marked(const struct merge_entry *e, uint32_t number, struct buf *out)
{
    bool is_late = e->time_ns < e->key;
    uint64_t by_ns = is_late ? e->key - e->time_ns : e->time_ns - e->key;
    uint32_t total = get_le32(e->epb + 4);
    uint32_t packet = PACKET_AT + ((get_le32(e->epb + 20) + 3u) & ~3u);
    uint32_t options = total - packet - 4;
    char mark[MARK_MAX];

    int n =
        snprintf(mark, sizeof mark, "packetrecorder: %s by %" PRIu64 " ns: not in order of time",
                 is_late ? "late" : "early", by_ns);
    uint32_t padded = ((uint32_t)n + 3u) & ~3u;
    uint32_t whole = total + OPTION_BYTES + padded + (options == 0 ? OPTION_BYTES : 0);
    uint8_t *at = buf_extend(out, whole);
    memset(at + packet, 0, whole - packet);
    memcpy(at, e->epb, packet);
    put_le16(at + packet, OPT_COMMENT);
    put_le16(at + packet + 2, (uint16_t)n);
    memcpy(at + packet + OPTION_BYTES, mark, (size_t)n);
    memcpy(at + packet + OPTION_BYTES + padded, e->epb + packet, options);
    put_head_of(at, whole, number, e->time_ns);
}

static bool put_classic(struct merge *m, struct merge_source *s, const struct merge_entry *e,
                        struct buf *out)
{
    uint32_t link_type = s->reader.ifaces[e->iface].link_type;
    struct packet_view view = {
        .time_ns = e->time_ns, .caplen = get_le32(e->epb + 20), .len = get_le32(e->epb + 24)};
    uint8_t head[PCAP_RECORD_HEADER_BYTES];

    if (m->link_type == NO_LINK_TYPE) {
        put_classic_head(m, out, link_type);
    }
    if (link_type != m->link_type || pcap_write_record(head, &view) < 0) {
        s->told.left_out++;
        return false;
    }
    buf_append(out, head, sizeof head);
    buf_append(out, e->epb + PACKET_AT, view.caplen);
    return true;
}

static void count_order(struct merge_source *s, const struct merge_entry *e)
{
    if (e->time_ns > e->key) {
        s->told.early++;
        return;
    }
    uint64_t late_ns = e->key - e->time_ns;
    s->told.late++;
    s->told.late_max_ns = late_ns > s->told.late_max_ns ? late_ns : s->told.late_max_ns;
}

void merge_put_packet(struct merge *m, struct merge_source *s, const struct merge_entry *e,
                      struct buf *out)
{
    uint32_t caplen = get_le32(e->epb + 20);

    if (m->is_classic) {
        if (!put_classic(m, s, e, out)) {
            return;
        }
    } else {
        uint32_t number = find_out(m, s, e, out);
        if (__builtin_expect(e->key == e->time_ns, 1)) {
            uint32_t total = get_le32(e->epb + 4);
            uint8_t *at = buf_extend(out, total);
            memcpy(at, e->epb, total);
            put_head_of(at, total, number, e->time_ns);
        } else {
            put_marked(e, number, out);
        }
    }
    if (__builtin_expect(e->key != e->time_ns, 0)) {
        count_order(s, e);
    }
    s->told.packets++;
    s->told.bytes += caplen;
    s->told.first_ns = e->time_ns < s->told.first_ns ? e->time_ns : s->told.first_ns;
    s->told.last_ns = e->time_ns > s->told.last_ns ? e->time_ns : s->told.last_ns;
}

/* ---- statistics ---- */

/* What it told of an interface, and what was lost after that: of its first one, as nobody says
 * which it was. */
static bool find_statistics(const struct merge *m, const struct merge_source *s, uint32_t iface,
                            struct pcapng_statistics *out)
{
    const struct merge_iface *record = iface < s->n_ifaces ? &s->ifaces[iface] : NULL;
    uint64_t lost = iface == 0 ? s->lost : 0;
    struct merge_clock clock = s->clock; /* where it stands stays as it is */
    uint32_t era;

    *out = PCAPNG_STATISTICS_UNKNOWN;
    if (record != NULL && record->has_told) {
        *out = record->told.numbers;
        out->time_ns = merge_clock_correct(&clock, out->time_ns, &era);
        if (out->start_ns != UINT64_MAX) {
            out->start_ns = merge_clock_correct(&clock, out->start_ns, &era);
        }
        if (out->end_ns != UINT64_MAX) {
            out->end_ns = merge_clock_correct(&clock, out->end_ns, &era);
        }
    } else if (lost > 0) {
        out->time_ns = m->last_ns;
    } else {
        return false;
    }
    if (lost > 0) {
        uint64_t known = out->osdrop == UINT64_MAX ? 0 : out->osdrop;
        out->osdrop = known > UINT64_MAX - 1 - lost ? UINT64_MAX - 1 : known + lost;
    }
    return true;
}

static void put_statistics_of(struct merge_source *s, uint32_t iface,
                              const struct pcapng_statistics *numbers, struct buf *out)
{
    const struct merge_iface *record = &s->ifaces[iface];
    char comment[STATISTICS_MAX];
    char lost[64] = "";

    if (iface == 0 && s->lost > 0) {
        snprintf(lost, sizeof lost, "; lost on the way: %" PRIu64, s->lost);
    }
    snprintf(comment, sizeof comment, "%s%snode %s: late: %" PRIu64 "; early: %" PRIu64 "%s",
             record->told.comment, record->told.comment[0] != '\0' ? "; " : "", s->node,
             s->told.late, s->told.early, lost);
    pcapng_write_statistics(out, record->last_out, numbers, comment);
}

void merge_write_statistics(struct merge *m, struct buf *out)
{
    merge_put_head(m, out);
    if (m->is_classic) {
        if (m->link_type == NO_LINK_TYPE) {
            put_classic_head(m, out, LINK_ETHERNET);
        }
        return;
    }
    for (uint32_t i = 0; i < m->n_sources; i++) {
        struct merge_source *s = m->sources[i];
        for (uint32_t k = 0; k < s->reader.n_ifaces; k++) {
            struct pcapng_statistics numbers;
            if (!find_statistics(m, s, k, &numbers)) {
                continue;
            }
            /* no packet of it, but it may have lost some */
            if (merge_source_iface(s, k)->n_ids == 0) {
                uint32_t era = 0;
                bool is_new = false;
                (void)merge_clock_correct(&s->clock, s->ifaces[k].told.numbers.time_ns, &era);
                (void)merge_out_number(m, s, k, era, &is_new);
                if (!is_new) {
                    continue;
                }
                put_iface(s, k, era, out);
            }
            put_statistics_of(s, k, &numbers, out);
        }
    }
}
