/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends recorded packets on one interface, through an AF_PACKET socket: many frames in one
 * sendmmsg, in order, exactly the bytes given. The interface's queueing discipline is kept, though
 * PACKET_QDISC_BYPASS is a little faster: bypassed frames are seen by no capture on this host and
 * can overtake each other in devices with several queues. Driver: shared/capture/replay_posix.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shared/base/err.h"
#include "shared/capture/sendable.h"

struct inject;

/* ERR_NOT_FOUND with the nearest name, ERR_PERMISSION with the setcap line, ERR_UNSUPPORTED for
 * what cannot send recorded packets (loopback, wireless monitors, libpcap's own devices). Owned by
 * the caller. */
int inject_open(const char *interface, struct inject **out, struct err *err);
void inject_close(struct inject *inject); /* takes NULL */

const char *inject_name(const struct inject *inject);
enum sendable_kind inject_kind(const struct inject *inject);
uint32_t inject_mtu(const struct inject *inject);

/* Frames in one call of inject_send. */
#define INJECT_BATCH_MAX 256u

/* Sends n frames, each checked by sendable_check before. A full queue is waited for; frames that
 * the kernel refuses for themselves are counted. ERR_CAPTURE when the interface goes down, vanishes
 * or takes nothing for five seconds; *n_sent then says how many went out, refused ones included. A
 * signal does not interrupt it for longer than that. */
int inject_send(struct inject *inject, const struct iovec *frames, uint32_t n, uint32_t *n_sent,
                struct err *err);

/* From *monotonic_ns on, which another thread may set, inject_send waits for no room: ERR_LIMIT.
 * Borrowed until inject_close. */
void inject_give_up_by(struct inject *inject, const atomic_uint_fast64_t *monotonic_ns);

struct inject_stats {
    uint64_t sent;
    uint64_t bytes;
    uint64_t waits;   /* times that the interface's queue was full */
    uint64_t refused; /* frames that kernel or device did not take for 100 ms, or at all */
};
const struct inject_stats *inject_stats(const struct inject *inject);

/* Packets that the interface dropped since it was opened, whoever sent them; UINT64_MAX unknown. */
uint64_t inject_dropped(const struct inject *inject);
