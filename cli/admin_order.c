/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_order.h"

#include <stdio.h>
#include <string.h>

#include "shared/swarm/swim_crypto.h"

#define AHEAD_MAX_MS (24ull * 3600 * 1000) /* what a node would not take from another either */

static bool is_about(const struct swim_order_view *view, const char *id)
{
    char text[2 * SWIM_ID_BYTES + 1];

    for (size_t i = 0; i < SWIM_ID_BYTES; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", view->id.bytes[i]);
    }
    return strcmp(text, id) == 0;
}

int admin_order_sign(const struct cluster_key *admin, const struct admin_order *wanted,
                     const char *to_sign, char out[SWIM_ORDER_TEXT], struct err *err)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
    uint8_t value[SWIM_ORDER_BYTES];
    uint8_t secret[ADMIN_SECRET_BYTES];
    uint8_t public_key[ADMIN_PUBLIC_BYTES];
    struct swim_order order;
    struct swim_kv kv;

    admin_key_public(admin, public_key);
    if (!swim_order_parse(to_sign, strlen(to_sign), carried) ||
        !swim_order_carried(carried, &kv, &order) || order.view.kind != wanted->kind ||
        !is_about(&order.view, wanted->id) ||
        memcmp(order.public_key, public_key, sizeof public_key) != 0) {
        return err_set(err, ERR_DAMAGED,
                       "the node gave another order to sign than the one that was asked for");
    }
    if (order.view.issued_ms > wanted->now_ms + AHEAD_MAX_MS) {
        return err_set(err, ERR_DAMAGED,
                       "the node's order is of a day ahead or later: one of the clocks is wrong");
    }
    admin_key_secret(admin, secret);
    kv = swim_order_write(&order.view, &swim_crypto_sodium, secret, admin->cluster, value);
    explicit_bzero(secret, sizeof secret);
    swim_order_carry(&kv, carried);
    swim_order_print(carried, out);
    return 0;
}
