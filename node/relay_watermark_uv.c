/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a stream is complete, for those who bring several into one order: a quiet interface must
 * not hold up the others. While packets wait at the cursor the next one decides. Else the capture
 * says when it last had nothing more to read, and in a flood, where it always has, the newest
 * packet.
 */
#include "node/relay_internal_uv.h"

#include <string.h>

#include "shared/base/clock_posix.h"

/* So much the order of a capture may be wrong: processors stamp what they bring in, and the packets
 * of one lie in the kernel's ring behind younger ones of another. */
#define ORDER_NS 25000000u
/* The same of an uplink, whose clock is only known from its packets. */
#define UPLINK_NS UINT64_C(2000000000)

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static bool is_uplink(const struct relay_stream *stream)
{
    return strchr(stream->interface, ':') != NULL && strchr(stream->interface, '/') == NULL;
}

/* 0 = the capture does not say. */
static uint64_t settled_ns(struct relay_stream *stream)
{
    struct session *session =
        stream->state == STREAM_RUNNING ? atomic_load(&stream->session) : NULL;

    if (is_uplink(stream)) {
        return 0;
    }
    if (session != NULL) {
        return session_settled_ns(session);
    }
    /* what comes when the interface is back is stamped then; another node may have kept some */
    return stream->state == STREAM_DOWN && strchr(stream->interface, '/') == NULL
               ? clock_wall_ns() - ORDER_NS
               : 0;
}

uint64_t relay_stream_watermark(struct relay_stream *stream, struct relay_cursor cursor)
{
    uint64_t settled = settled_ns(stream); /* first: what is published meanwhile is newer */
    uint64_t slack = is_uplink(stream) ? UPLINK_NS : ORDER_NS;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t watermark = 0;
    struct relay_run run;

    uv_mutex_lock(&stream->mutex);
    (void)relay_ring_skip(&stream->ring, &cursor);
    if (relay_ring_peek(&stream->ring, &cursor, &run)) {
        uint64_t next_ns = (uint64_t)get_le32(run.data + 12) << 32 | get_le32(run.data + 16);
        watermark = minus(next_ns, slack);
    } else {
        run.block = NULL;
        watermark = minus(stream->newest_ns, slack);
        if (is_uplink(stream) && stream->newest_ns > 0) {
            watermark += now_ns - stream->newest_at_ns;
        }
        watermark = settled > watermark ? settled : watermark;
    }
    uv_mutex_unlock(&stream->mutex);
    block_unref(run.block);
    return watermark;
}
