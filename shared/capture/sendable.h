/* SPDX-License-Identifier: Apache-2.0
 *
 * Which recorded packets an interface can send as they were: whole ones, of its link type, that fit
 * its MTU. The others are not sent in a changed form but counted by reason. Pure; what the
 * interface is comes from shared/capture/inject_posix.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/block.h"

/* What an interface transmits: frames with their Ethernet header, or bare IP packets (tunnels). */
enum sendable_kind { SENDABLE_NOTHING, SENDABLE_ETHERNET, SENDABLE_IP };

enum sendable_reason {
    SENDABLE_YES,
    SENDABLE_CUT,       /* caplen < len: the capture did not keep all of it */
    SENDABLE_OVER_MTU,  /* larger than the MTU with link header and one 802.1Q tag (GRO, TSO) */
    SENDABLE_LINK_TYPE, /* recorded on another kind of link */
    SENDABLE_MALFORMED, /* shorter than its link header, no IP version, or longer than on the wire
                         */
    SENDABLE_REFUSED,   /* kernel or device did not take it */
    SENDABLE_REASONS,
};

/* By ARPHRD_ number. Loopback is nothing: what it sends comes back to this host as its own. */
enum sendable_kind sendable_kind_of_hardware(int hardware_type);

enum sendable_reason sendable_check(enum sendable_kind kind, uint32_t mtu, uint32_t link_type,
                                    const struct packet_view *packet);

/* "cut" … as in JSON; "" for SENDABLE_YES. */
const char *sendable_reason_name(enum sendable_reason reason);
/* The reason in words, behind "12 packets not sent: ". */
const char *sendable_reason_text(enum sendable_reason reason);
