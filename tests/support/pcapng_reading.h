/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pcapng viewer of the relay understands of its stream: packets whose first eight bytes are
 * their number, and what statistics tell of place and loss. Numbers that are missing without having
 * been told fail the test. Header only; include it after cmocka.h in one test.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/packet/block.h"
#include "shared/packet/pcapng.h"

struct reading {
    uint64_t packets;
    uint64_t first; /* number in the first packet */
    uint64_t lost;  /* told in statistics */
    uint64_t position;
    uint32_t sections;
    uint32_t interfaces;
    uint32_t statistics;
    bool has_note;
    bool has_excluded;
};

static void read_comment(const uint8_t *block, uint32_t n, struct reading *r)
{
    static const char mark[] = "packetrecorder: ";
    const char *at = memmem(block, n, mark, sizeof mark - 1);

    assert_non_null(at);
    at += sizeof mark - 1;
    if (strncmp(at, "lost=", 5) == 0) {
        r->lost += strtoull(at + 5, (char **)(uintptr_t)&at, 10);
        at++;
    }
    assert_memory_equal(at, "position=", 9);
    r->position = strtoull(at + 9, NULL, 10);
    r->has_note = r->has_note || memmem(block, n, "fake interface", 14) != NULL;
    r->has_excluded = r->has_excluded || memmem(block, n, "udp port 2", 10) != NULL;
}

/* Numbers rise by one, but where statistics have told a loss just before. */
static struct reading read_pcapng(const struct buf *buf)
{
    struct reading r = {0};
    uint64_t next = UINT64_MAX;

    for (size_t at = 0; at + 12 <= buf->len;) {
        const uint8_t *block = buf->data + at;
        uint32_t n = get_le32(block + 4);

        assert_true(at + n <= buf->len && n >= 12);
        switch (get_le32(block)) {
        case PCAPNG_SECTION:
            r.sections++;
            break;
        case PCAPNG_INTERFACE:
            r.interfaces++;
            break;
        case PCAPNG_STATISTICS: {
            uint64_t before = r.lost;
            r.statistics++;
            read_comment(block, n, &r);
            next = next == UINT64_MAX ? next : next + r.lost - before;
            break;
        }
        case EPB_TYPE: {
            uint64_t number = get_le64(block + 28);
            if (r.packets == 0) {
                r.first = number;
                next = number;
            }
            assert_int_equal(number, next);
            next++;
            r.packets++;
            break;
        }
        default:
            fail();
        }
        at += n;
    }
    return r;
}
