/* SPDX-License-Identifier: Apache-2.0 */
#include "node/remote_feed.h"

#include "shared/packet/pcapng.h"

#define BLOCK_MIN   12u
#define ISB_OPTIONS 20u /* its options begin behind type, length, interface and time */
#define IFDROP      5u
#define OSDROP      7u

static int damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_DAMAGED, "the other node sends %s", what);
}

static void take_statistics(struct remote_feed *feed, const uint8_t *block, uint32_t n)
{
    uint32_t at = ISB_OPTIONS;
    uint32_t end = n - 4;

    while (at + 4 <= end) {
        uint16_t code = get_le16(block + at);
        uint32_t len = get_le16(block + at + 2);
        if (code == OPT_ENDOFOPT || len > end - at - 4) {
            return;
        }
        if (len == 8 && code == OSDROP) {
            feed->kernel = get_le64(block + at + 4);
        } else if (len == 8 && code == IFDROP) {
            feed->interface = get_le64(block + at + 4);
        }
        at += 4 + ((len + 3u) & ~3u);
    }
}

/* A block that is no packet. */
static int take_other(struct remote_feed *feed, const uint8_t *block, uint32_t n, struct err *err)
{
    switch (get_le32(block)) {
    case PCAPNG_SECTION:
        return n >= 28 && get_le32(block + 8) == PCAPNG_BYTE_ORDER_MAGIC
                   ? 0
                   : damaged(err, "a section that it should not");
    case PCAPNG_INTERFACE:
        return n >= 20 && get_le16(block + 8) == feed->link_type
                   ? 0
                   : damaged(err, "an interface of another link type");
    case PCAPNG_STATISTICS:
        if (n >= ISB_OPTIONS + 4) {
            take_statistics(feed, block, n);
        }
        return 0;
    default:
        return 0;
    }
}

int remote_feed_next(struct remote_feed *feed, struct remote_bytes *bytes,
                     struct packet_view *packet, struct err *err)
{
    while (bytes->left > 0) {
        const uint8_t *block = bytes->at;
        uint32_t n = bytes->left < BLOCK_MIN ? 0 : get_le32(block + 4);

        if (n < BLOCK_MIN || n % 4 != 0 || n > bytes->left || get_le32(block + n - 4) != n) {
            return damaged(err, "what is no pcapng");
        }
        bytes->at += n;
        bytes->left -= n;
        if (get_le32(block) == EPB_TYPE) {
            struct block_cursor cursor = block_cursor(block, n);
            if (block_next(&cursor, packet) != 1 || packet->iface != 0) {
                return damaged(err, "a packet that is none");
            }
            if (packet->options_len > PACKET_MAX_OPTIONS) {
                return damaged(err, "a packet with more options than there may be");
            }
            return 1;
        }
        int rc = take_other(feed, block, n, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
