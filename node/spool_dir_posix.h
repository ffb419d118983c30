/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a sniffer's spool (node/spool). One directory an interface, locked by the sniffer
 * that uses it, and in it one an unfinished stream (a run of the sniffer):
 *
 *   SPOOL/sniffer-id                          who this sniffer is, a UUID
 *   SPOOL/IFACE/lock
 *   SPOOL/IFACE/STREAM/0000000000000000.pcapng   named by the position of the first packet, in hex
 *   SPOOL/IFACE/STREAM/taken                  u64, little-endian: what the node has said is safe,
 *                                             and behind it a byte once the run has ended in peace
 *
 * Directories are 0700 and files 0600; packets lie in them as they are (docs/security.md). Each
 * file is a pcapng file by itself. A file torn by a crash ends at its last whole packet.
 */
#pragma once

#include <stddef.h>

#include "node/spool.h"
#include "shared/base/id.h"

/* Unfinished streams that are sent after a restart; older ones are left where they are. */
#define SPOOL_STREAMS_MAX 256

struct spool_place;

/* Makes what is missing. ERR_IN_USE: another sniffer has it. */
int spool_place_open(const char *path, const char *iface, struct spool_place **out,
                     struct err *err);
void spool_place_close(struct spool_place *place); /* takes NULL */
/* The sniffer's id, made with these bits where there is none yet. */
int spool_place_id(struct spool_place *place, const struct id *fresh, char out[ID_TEXT_MAX],
                   struct err *err);
/* Ids of the streams in it, oldest first; mem_free. */
int spool_place_streams(struct spool_place *place, char (**out)[ID_TEXT_MAX], size_t *n,
                        struct err *err);

struct spool_dir;

extern const struct spool_files spool_dir_files; /* its arg is a struct spool_dir */

/* The directory of a stream; made when the first file is. */
int spool_dir_open(struct spool_place *place, const char *stream, struct spool_dir **out,
                   struct err *err);
void spool_dir_close(struct spool_dir *dir); /* takes NULL */
/* Adopts all files, and what was taken. What cannot be read is said in the log, and removed. */
void spool_dir_load(struct spool_dir *dir, struct spool *spool);
/* The content of a file: the section in front, and the run of packets. Bounded by
 * SPOOL_READ_MAX. Without the spool's lock. ERR_NOT_FOUND: it was dropped meanwhile. */
#define SPOOL_READ_MAX (SPOOL_FILE_MAX + 2u * 1024u * 1024u)
int spool_dir_read(struct spool_dir *dir, uint64_t first, struct buf *section, struct buf *run,
                   struct err *err);
void spool_dir_note_taken(struct spool_dir *dir, uint64_t taken);
/* The run has put away all that it had: a stream without this note was cut off, and what was in
 * memory then is lost. */
void spool_dir_note_end(struct spool_dir *dir);
bool spool_dir_has_end(const struct spool_dir *dir);
/* The stream is finished: removes what is left. */
void spool_dir_remove(struct spool_dir *dir);
