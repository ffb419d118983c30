/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue's side of a running session, on a thread of its own, so that neither a slow disk's
 * flush nor SQLite holds up the writer. The writer tells it what was appended; at least every
 * COMMIT_MS it makes the segments durable and enters what they hold in one transaction. It also
 * makes room: it deletes the oldest closed segments when the quota or the disk demands it. Private
 * to the store.
 */
#pragma once

#include "shared/store/segment_file.h"
#include "shared/store/store_writer.h"

#define COMMIT_MS 400
/* Frames told but not yet entered; beyond this the writer waits. */
#define COMMIT_PENDING_MAX 1024u

/* A segment being written. The writer owns `file` until commit_close_segment, the committer `row`
 * from the start. */
struct open_segment {
    struct segment_file file;
    struct catalogue_segment row;
};

struct commit;

/* Enters the session (state running); session->row is filled in. The store's catalogue belongs to
 * the committer until commit_free. */
int commit_new(struct store *store, struct store_session *session, uint64_t quota_bytes,
               struct commit **out, struct err *err);
/* The same for a session that is there: it is running again. */
int commit_resume(struct store *store, struct store_session *session, uint64_t quota_bytes,
                  struct commit **out, struct err *err);
void commit_free(struct commit *c); /* takes NULL; stops the thread without finishing */

void commit_open_segment(struct commit *c, struct open_segment *segment);
/* The bloom bytes are copied. Waits while too much is pending. */
void commit_frame(struct commit *c, struct open_segment *segment,
                  const struct catalogue_frame *frame);
void commit_close_segment(struct commit *c, struct open_segment *segment); /* moved */
/* ifaces[from..n-1] are new; the others were told before. */
void commit_ifaces(struct commit *c, const struct iface *ifaces, uint32_t from, uint32_t n);
/* The samples of the session's clock, all of them; copied. */
void commit_clock(struct commit *c, const struct clock_samples *clock);
void commit_state(struct commit *c, enum store_state state);
/* Deletes oldest closed segments until `bytes` more fit under the quota (0 quota: until at least
 * `bytes` are freed). Waits for it. ERR_FULL when nothing is left to delete. */
int commit_make_room(struct commit *c, uint64_t bytes, struct err *err);
/* Packets that are durable and entered. */
uint64_t commit_durable(struct commit *c);
/* The first error that the thread could not mend, or 0. */
int commit_error(struct commit *c, struct err *err);
/* Everything durable and entered, the session closed with this state and ledger. ERR_FULL,
 * ERR_IN_USE: the catalogue could not be written even so; the session is then recovered at the next
 * opening. */
int commit_finish(struct commit *c, const struct store_session *session, struct err *err);
