/* SPDX-License-Identifier: Apache-2.0
 *
 * An order about a member, signed here: the secret half of the admin's key never leaves this host.
 * The node that is asked says what is to be signed; what it says is checked against what was asked
 * for, so that a node which lies gets no other order signed.
 */
#pragma once

#include <stdint.h>

#include "shared/base/err.h"
#include "shared/swarm/swim_order.h"
#include "shared/wire/cluster_key.h"

struct admin_order {
    enum swim_order_kind kind;
    const char *id;  /* 32 digits: as the node named who is meant */
    uint64_t now_ms; /* since the epoch */
};

/* to_sign: as the node gave it. out: the order. ERR_DAMAGED: that is not what was asked for. */
int admin_order_sign(const struct cluster_key *admin, const struct admin_order *wanted,
                     const char *to_sign, char out[SWIM_ORDER_TEXT], struct err *err);
