/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of frames share: when two decoded frames say the same.
 */
#pragma once

#include <string.h>

#include "shared/swarm/swim_frame.h"

static inline bool swim_frames_are_same(const struct swim_frame *a, const struct swim_frame *b)
{
    return a->type == b->type && a->state == b->state && a->lh == b->lh && a->load == b->load &&
           a->seq == b->seq && a->sid == b->sid && a->from == b->from && a->root == b->root &&
           swim_incarnation_compare(a->incarnation, b->incarnation) == 0 && a->t1 == b->t1 &&
           a->t2 == b->t2 && a->t3 == b->t3 && a->vhash == b->vhash && a->khash == b->khash &&
           a->n_members == b->n_members && a->ttl_ms == b->ttl_ms && a->x_ns == b->x_ns &&
           a->x_bound_ns == b->x_bound_ns && a->wall_ns == b->wall_ns && a->version == b->version &&
           (a->key == NULL) == (b->key == NULL) &&
           (a->key == NULL || memcmp(a->key, b->key, SWIM_KV_KEY_BYTES) == 0) &&
           a->n_bin == b->n_bin && (a->n_bin == 0 || memcmp(a->bin, b->bin, a->n_bin) == 0);
}
