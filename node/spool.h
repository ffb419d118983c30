/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sniffer has captured and its node has not taken yet: pieces in the order of their
 * positions, the older ones in files, the newer ones in memory. When memory is full the oldest
 * piece there goes to a file; when the files are full, or there are none, the oldest piece that was
 * not sent yet is dropped and counted. What is on its way is never dropped: the node may have it
 * (the sender keeps that to a half of the memory). Pure but for the files, which are behind a table
 * of functions (spool_dir_posix); one caller at a time, whoever drives it has a lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/packet/block.h"

/* A piece in memory is at most an eighth of it, within these, or one packet. */
#define SPOOL_PIECE_BYTES (256u * 1024u)
#define SPOOL_PIECE_MIN   (4u * 1024u)
/* What a piece in memory costs besides its bytes. */
#define SPOOL_PIECE_COST 256u
#define SPOOL_FILE_MAX   (8u * 1024u * 1024u)
#define SPOOL_FILE_MIN   (64u * 1024u)

/* How the packets of a piece are to be read: the Section Header and Interface Description in front
 * of them. Shared. */
struct spool_section {
    atomic_uint refs;
    struct buf bytes;
};

struct spool_section *spool_section_new(const void *bytes, size_t n);
struct spool_section *spool_section_ref(struct spool_section *section);
void spool_section_unref(struct spool_section *section); /* takes NULL */

struct spool_piece {
    struct spool_piece *next;
    struct spool_piece *previous;
    atomic_uint refs;
    uint64_t first; /* position of its first packet */
    uint64_t n_packets;
    uint64_t bytes; /* in memory: of data; in a file: of the whole file */
    bool is_file;
    bool is_closed;                /* nothing is appended any more */
    struct spool_section *section; /* a reference */
    struct buf data;               /* a run of packets (packet/block); empty for a file */
};

void spool_piece_unref(struct spool_piece *piece); /* takes NULL */

/* The files. Each is called with the lock of whoever drives the spool. */
struct spool_files {
    /* A new file that begins with the section, then the run. Gives its size, or an error. */
    int64_t (*create)(void *arg, uint64_t first, const struct buf *section, const struct buf *run,
                      struct err *err);
    /* Behind what is in the file that was created last. 0 or an error: nothing was appended. */
    int (*append)(void *arg, const struct buf *run, struct err *err);
    void (*remove)(void *arg, uint64_t first);
};

struct spool_opts {
    uint64_t memory_bytes;
    uint64_t disk_bytes;             /* 0: no files */
    const struct spool_files *files; /* NULL: no files */
    void *files_arg;
};

struct spool {
    struct spool_opts opts;
    struct spool_piece *head;
    struct spool_piece *tail;
    struct spool_piece *first_in_memory; /* NULL: none */
    uint64_t memory_used;
    uint64_t disk_used;
    uint64_t end;      /* position of the next packet that comes */
    uint64_t sent;     /* all before it was sent, in this connection or one before */
    uint64_t taken;    /* all before it is safe with the node */
    uint64_t dropped;  /* packets */
    uint64_t failures; /* of files; the last one's words are in `err` */
    struct err err;
};

void spool_init(struct spool *spool, const struct spool_opts *opts);
void spool_deinit(struct spool *spool); /* files stay */

/* Packets of one block, which get the next positions. */
void spool_append(struct spool *spool, const struct block *block, struct spool_section *section);
/* A file that is there from an earlier run; in the order of their positions, before any append. */
void spool_adopt(struct spool *spool, uint64_t first, uint64_t n_packets, uint64_t bytes);

/* The piece with the packet at `position`, or the first one behind it where there is a hole, with a
 * reference; NULL: there is nothing (yet). It is closed then. */
struct spool_piece *spool_at(struct spool *spool, uint64_t position);
/* Packets before `position` are on their way. */
void spool_sent(struct spool *spool, uint64_t position);
/* Packets before `position` are safe. Beyond the end: the node has what was lost here. */
void spool_taken(struct spool *spool, uint64_t position);
/* Drops the piece that begins there, which cannot be read. */
void spool_discard(struct spool *spool, uint64_t first);
/* Positions that are kept: the first one, or the end when there is none. */
uint64_t spool_first(const struct spool *spool);

/* Everything in memory goes to files, for the end of the program. What cannot be written is dropped
 * and counted, all of it where there are no files. */
void spool_put_away(struct spool *spool);
/* Drops the oldest files until at most so much is on disk. */
void spool_shrink_disk(struct spool *spool, uint64_t bytes);

/* A part of a run: from the packet number `skip` on, at most max_bytes but one packet at least. */
struct spool_slice {
    const uint8_t *data; /* borrowed from the run */
    size_t n;
    uint32_t n_packets;
};
struct spool_slice spool_slice(const void *run, size_t n, uint64_t skip, size_t max_bytes);
