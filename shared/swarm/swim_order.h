/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of an operator as records of desired state, under keys that nothing else may have: so they
 * reach every node, and who comes later, as those do. Two keys for each id: whether it is banned,
 * and up to which life it is forgotten. An order proves itself by its signature: whoever holds one
 * can pass it on, at any time, and all that hold the same admin's key judge it alike.
 *
 *   key      "prc-ord", 'b' ban and its lifting or 'f' forget, sid u64 big-endian
 *   version  ms since the epoch at which it was given, or more: more than that of the one before
 *   flags    SWIM_KV_EXPIRES
 *   value     0  i64 LE swarm time at which it is over; INT64_MAX never
 *             8  kind, u8: enum swim_order_kind
 *             9  id, 16 bytes
 *            25  u64 LE boot: forgotten are this life and those before; else 0
 *            33  public key of who gave it, 32 bytes
 *            65  signature, 64 bytes
 *   signed   "packetrecorder order 1", cluster id, key, version u64 LE, value up to the signature
 */
#pragma once

#include "shared/swarm/swim.h"
#include "shared/swarm/swim_kv.h"

#define SWIM_ORDER_BYTES 129
/* As it is carried by hand or kept in a file: the version, little-endian, then the value; the key
 * follows from both. */
#define SWIM_ORDER_CARRIED_BYTES (8 + SWIM_ORDER_BYTES)

struct swim_order {
    struct swim_order_view view;
    uint8_t public_key[SWIM_PUBLIC_BYTES];
};

bool swim_order_is_key(const uint8_t key[SWIM_KV_KEY_BYTES]);
void swim_order_key(enum swim_order_kind kind, uint64_t sid, uint8_t key[SWIM_KV_KEY_BYTES]);
/* Signs it; the record's value is put in `value`, which it borrows. view.by need not be set. */
struct swim_kv swim_order_write(const struct swim_order_view *view,
                                const struct swim_crypto *crypto,
                                const uint8_t secret_key[SWIM_SECRET_BYTES],
                                const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                                uint8_t value[SWIM_ORDER_BYTES]);
/* The same with a signature of zeros, which is no order yet. */
struct swim_kv swim_order_draft(const struct swim_order_view *view,
                                const uint8_t public_key[SWIM_PUBLIC_BYTES],
                                uint8_t value[SWIM_ORDER_BYTES]);
void swim_order_carry(const struct swim_kv *kv, uint8_t out[SWIM_ORDER_CARRIED_BYTES]);
/* kv borrows the bytes. False: that is no order, signed or not. */
bool swim_order_carried(const uint8_t bytes[SWIM_ORDER_CARRIED_BYTES], struct swim_kv *kv,
                        struct swim_order *order);
/* The same in base64url (swim_order_text_sodium.c). */
#define SWIM_ORDER_TEXT 184 /* with its end */
void swim_order_print(const uint8_t carried[SWIM_ORDER_CARRIED_BYTES], char text[SWIM_ORDER_TEXT]);
bool swim_order_parse(const char *text, size_t n, uint8_t carried[SWIM_ORDER_CARRIED_BYTES]);
/* Without the signature. False: nobody would have signed it. */
bool swim_order_read(const struct swim_kv *kv, struct swim_order *order);
bool swim_order_is_signed(const struct swim_kv *kv, const struct swim_order *order,
                          const struct swim_crypto *crypto,
                          const uint8_t cluster_id[SWIM_CLUSTER_BYTES]);
