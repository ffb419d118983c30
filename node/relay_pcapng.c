/* SPDX-License-Identifier: Apache-2.0 */
#include "node/relay_pcapng.h"

#include <inttypes.h>

#include "shared/packet/pcapng.h"

void relay_pcapng_head(struct buf *out, const struct relay_head *head)
{
    struct buf comment = {0};
    const struct pcapng_section section = {.os = head->iface->os, .application = head->application};

    buf_printf(&comment, "node '%s'", head->node);
    if (head->excluded[0] != '\0') {
        buf_printf(&comment, "; left out, because it is the node's own traffic: %s",
                   head->excluded);
    }
    if (head->warning[0] != '\0') {
        buf_printf(&comment, "; %s", head->warning);
    }
    pcapng_write_section(out, &section);
    pcapng_write_interface(out, head->iface, (const char *)comment.data);
    buf_deinit(&comment);
}

void relay_pcapng_statistics(struct buf *out, const struct relay_statistics *statistics)
{
    const struct ledger *ledger = statistics->ledger;
    struct pcapng_statistics block = pcapng_statistics_of(ledger);
    struct buf comment = {0};

    block.time_ns = statistics->now_ns;
    block.start_ns = statistics->start_ns;
    block.end_ns = statistics->at_end ? statistics->now_ns : UINT64_MAX;
    block.usrdeliv = statistics->delivered;
    buf_put_str(&comment, "packetrecorder: ");
    if (statistics->lost > 0) {
        buf_printf(&comment, "lost=%" PRIu64 " ", statistics->lost);
    }
    buf_printf(&comment, "position=%" PRIu64, statistics->position);
    if (statistics->lost > 0) {
        buf_printf(&comment, "\nviewer lost %" PRIu64 " packets", statistics->lost);
    }
    if (ledger->store > 0 && ledger->store != LEDGER_UNKNOWN) {
        buf_printf(&comment, "\nlost between the capture and all viewers: %" PRIu64, ledger->store);
    }
    if (statistics->note != NULL) {
        buf_printf(&comment, "\n%s", statistics->note);
    }
    pcapng_write_statistics(out, 0, &block, (const char *)comment.data);
    buf_deinit(&comment);
}
