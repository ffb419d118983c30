/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a capture file beside the packets of its blocks: the head, interfaces that turn up
 * later, statistics with the loss ledger; and a block's packets as records of classic pcap. Pure;
 * file_writer_posix.c writes it.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/capture/file_name.h"
#include "shared/packet/iface.h"
#include "shared/packet/ledger.h"

/* The section and its interfaces, or the header of a classic file (Ethernet when no interface is
 * known). application may be NULL. */
void file_encode_head(struct buf *out, enum file_format format, const struct iface *ifaces,
                      uint32_t n, const char *application);

/* pcapng: the interfaces from number `from` on. */
void file_encode_ifaces(struct buf *out, const struct iface *ifaces, uint32_t from, uint32_t n);

/* 0 when a classic file can hold all of them; else ERR_UNSUPPORTED and the way out. */
int file_encode_check_pcap(const struct iface *ifaces, uint32_t n, struct err *err);

struct file_statistics {
    const struct ledger *ledgers; /* one an interface */
    uint32_t n;
    uint64_t lost; /* of the session, before it reached this file; told in a comment */
    uint64_t start_ns;
    uint64_t now_ns;
    bool at_end;
};

/* pcapng: one Interface Statistics Block an interface. Counters that the block has no field for
 * stand in its comment, unknown ones are left out. */
void file_encode_statistics(struct buf *out, const struct file_statistics *statistics);

/* A run of Enhanced Packet Blocks as classic records. Returns how many packets a classic file
 * cannot hold (time stamps past 2106) and were left out. */
uint32_t file_encode_records(struct buf *out, const void *run, size_t n);

/* How many of the first n bytes of a run are whole: for cutting a file back. */
size_t file_whole_pcapng(const uint8_t *data, size_t n);
size_t file_whole_pcap(const uint8_t *data, size_t n);
