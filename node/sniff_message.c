/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "node/sniff_internal.h"
#include "node/uplink_track.h"
#include "shared/packet/pcapng.h"

static void put_param(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "&%s=", name);
    url_put_encoded(out, value, false);
}

void sniff_target(const struct sniff_uplink *uplink, const struct sniff_stream *stream,
                  uint64_t taken, struct buf *out)
{
    const struct sniff_setup *setup = uplink->setup;
    const char *path = setup->endpoint.path;

    buf_printf(out, "%s?v=%d", path[0] == '\0' || strcmp(path, "/") == 0 ? INGEST_PATH : path,
               INGEST_VERSION);
    put_param(out, "name", setup->name);
    put_param(out, "interface", uplink->iface);
    put_param(out, "sniffer", uplink->sniffer);
    put_param(out, "stream", stream->id);
    put_param(out, "compress", setup->options->compress ? "zstd" : "none");
    buf_printf(out, "&taken=%" PRIu64, taken);
}

void sniff_put_goodbye(uint64_t now_ns, struct buf *out)
{
    struct pcapng_statistics numbers = PCAPNG_STATISTICS_UNKNOWN;

    numbers.time_ns = now_ns;
    pcapng_write_statistics(out, 0, &numbers, UPLINK_GOODBYE);
}

void sniff_put_statistics(const struct sniff_uplink *uplink, const struct sniff_stream *stream,
                          uint64_t now_ns, struct buf *out)
{
    struct pcapng_statistics numbers = PCAPNG_STATISTICS_UNKNOWN;
    char comment[UPLINK_COMMENT_MAX];

    numbers.time_ns = now_ns;
    numbers.filteraccept = uplink->counters.received;
    numbers.osdrop = uplink->counters.kernel;
    numbers.ifdrop = uplink->counters.interface;
    numbers.usrdeliv = stream->spool.end;
    uplink_put_comment(comment, uplink->counters.queue, stream->spool.dropped);
    pcapng_write_statistics(out, 0, &numbers, comment);
}
