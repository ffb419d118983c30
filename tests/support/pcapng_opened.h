/* SPDX-License-Identifier: Apache-2.0
 *
 * A pcapng reader over bytes that a test has built.
 */
#pragma once

#include "shared/packet/pcapng_read.h"
#include "tests/support/capture_bytes.h"

static const uint8_t packet_bytes[] = "0123456789";
/* One character of UTF-8. */
static const uint8_t two_bytes[] = {0xc3, 0xa9};

struct opened {
    struct pcapng_reader reader;
    struct bytes_reader in;
    struct packet_view packet;
    struct err err;
};

static inline void open_bytes(struct opened *o, const struct capture_bytes *cb)
{
    *o = (struct opened){.in = bytes_reader(cb->buf.data, cb->buf.len)};
    pcapng_reader_init(&o->reader);
}

static inline int next(struct opened *o)
{
    return pcapng_reader_next(&o->reader, &o->in, &o->packet, &o->err);
}

static inline void done(struct opened *o, struct capture_bytes *cb)
{
    pcapng_reader_deinit(&o->reader);
    buf_deinit(&cb->buf);
}

/* What all the files here begin with. */
static inline struct capture_bytes begun(bool big)
{
    struct capture_bytes cb = {.big = big};

    cb_section(&cb);
    cb_interface(&cb, LINK_ETHERNET, 65535, "eth0", 9);
    return cb;
}
