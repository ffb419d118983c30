/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as WebSocket messages, one each: the raw format of /connections/{iface}. A frame's header
 * (RFC 6455 §5.2, from a server: FIN set, unmasked) and the packet's bytes as on the wire are put
 * one behind the other into one buffer, which goes out in one write. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct relay_frames {
    uint8_t *at; /* where the next frame goes */
    uint8_t *end;
};

/* Takes packets from a run of Enhanced Packet Blocks of our own making until it ends or the buffer
 * is full. Returns the bytes of the run that were taken and adds to *n_packets. 0 with packets
 * left: the next packet does not fit; an empty buffer of RELAY_FRAME_MAX(caplen) takes any. */
#define RELAY_FRAME_MAX(caplen) ((caplen) + 10u)
uint32_t relay_frames_put(struct relay_frames *out, const uint8_t *run, uint32_t n_bytes,
                          uint32_t *n_packets);
