/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_order.h"

#include <string.h>

#include "shared/base/bytes.h"

#define AT_KIND      8
#define AT_ID        9
#define AT_BOOT      25
#define AT_KEY       33
#define AT_SIGNATURE 65

static const char domain[] = "packetrecorder order 1";
static const char prefix[] = "prc-ord";

#define N_PREFIX (sizeof prefix - 1)

struct signed_order {
    uint8_t bytes[sizeof domain - 1 + SWIM_CLUSTER_BYTES + SWIM_KV_KEY_BYTES + 8 + AT_SIGNATURE];
};

static struct signed_order signed_order(const struct swim_kv *kv,
                                        const uint8_t cluster_id[SWIM_CLUSTER_BYTES])
{
    struct signed_order order;
    uint8_t *at = order.bytes;

    memcpy(at, domain, sizeof domain - 1);
    at += sizeof domain - 1;
    memcpy(at, cluster_id, SWIM_CLUSTER_BYTES);
    at += SWIM_CLUSTER_BYTES;
    memcpy(at, kv->key, SWIM_KV_KEY_BYTES);
    at += SWIM_KV_KEY_BYTES;
    put_le64(at, kv->version);
    memcpy(at + 8, kv->value, AT_SIGNATURE);
    return order;
}

bool swim_order_is_key(const uint8_t key[SWIM_KV_KEY_BYTES])
{
    return memcmp(key, prefix, N_PREFIX) == 0;
}

void swim_order_key(enum swim_order_kind kind, uint64_t sid, uint8_t key[SWIM_KV_KEY_BYTES])
{
    memcpy(key, prefix, N_PREFIX);
    key[N_PREFIX] = kind == SWIM_FORGET ? 'f' : 'b';
    put_le64(key + N_PREFIX + 1, __builtin_bswap64(sid)); /* big-endian: in the order of sids */
}

struct swim_kv swim_order_draft(const struct swim_order_view *view,
                                const uint8_t public_key[SWIM_PUBLIC_BYTES],
                                uint8_t value[SWIM_ORDER_BYTES])
{
    const struct swim_id by = swim_id_of(public_key);
    struct swim_kv kv = {.owner = swim_sid(&by),
                         .version = view->issued_ms,
                         .flags = SWIM_KV_EXPIRES,
                         .value = value,
                         .n_value = SWIM_ORDER_BYTES};

    swim_order_key(view->kind, swim_sid(&view->id), kv.key);
    put_le64(value, (uint64_t)view->until_ns);
    value[AT_KIND] = (uint8_t)view->kind;
    memcpy(value + AT_ID, view->id.bytes, SWIM_ID_BYTES);
    put_le64(value + AT_BOOT, view->boot);
    memcpy(value + AT_KEY, public_key, SWIM_PUBLIC_BYTES);
    memset(value + AT_SIGNATURE, 0, SWIM_ORDER_BYTES - AT_SIGNATURE);
    return kv;
}

struct swim_kv swim_order_write(const struct swim_order_view *view,
                                const struct swim_crypto *crypto,
                                const uint8_t secret_key[SWIM_SECRET_BYTES],
                                const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                                uint8_t value[SWIM_ORDER_BYTES])
{
    /* As Ed25519 has it: the seed, then the public key. */
    const uint8_t *public_key = secret_key + SWIM_SECRET_BYTES - SWIM_PUBLIC_BYTES;
    struct swim_kv kv = swim_order_draft(view, public_key, value);
    const struct signed_order message = signed_order(&kv, cluster_id);

    crypto->sign(secret_key, message.bytes, sizeof message.bytes, value + AT_SIGNATURE);
    return kv;
}

void swim_order_carry(const struct swim_kv *kv, uint8_t out[SWIM_ORDER_CARRIED_BYTES])
{
    put_le64(out, kv->version);
    memcpy(out + 8, kv->value, SWIM_ORDER_BYTES);
}

bool swim_order_carried(const uint8_t bytes[SWIM_ORDER_CARRIED_BYTES], struct swim_kv *kv,
                        struct swim_order *order)
{
    const uint8_t *value = bytes + 8;
    struct swim_id id;
    struct swim_id by = swim_id_of(value + AT_KEY);

    memcpy(id.bytes, value + AT_ID, sizeof id.bytes);
    *kv = (struct swim_kv){.owner = swim_sid(&by),
                           .version = get_le64(bytes),
                           .flags = SWIM_KV_EXPIRES,
                           .value = value,
                           .n_value = SWIM_ORDER_BYTES};
    swim_order_key((enum swim_order_kind)value[AT_KIND], swim_sid(&id), kv->key);
    return swim_order_read(kv, order);
}

/* Nobody forgets lives that are still to come, nor gives orders about itself. */
static bool is_sane(const struct swim_order_view *view)
{
    bool boot_fits = view->kind == SWIM_FORGET ? view->boot > 0 && view->boot <= view->issued_ms
                                               : view->boot == 0;

    return boot_fits && view->issued_ms <= SWIM_BOOT_MAX && swim_sid(&view->id) != 0 &&
           memcmp(&view->id, &view->by, sizeof view->id) != 0;
}

bool swim_order_read(const struct swim_kv *kv, struct swim_order *order)
{
    uint8_t key[SWIM_KV_KEY_BYTES];

    if (kv->flags != SWIM_KV_EXPIRES || kv->n_value != SWIM_ORDER_BYTES ||
        kv->value[AT_KIND] > SWIM_UNBAN) {
        return false;
    }
    *order = (struct swim_order){.view = {.kind = (enum swim_order_kind)kv->value[AT_KIND],
                                          .boot = get_le64(kv->value + AT_BOOT),
                                          .issued_ms = kv->version,
                                          .until_ns = (int64_t)get_le64(kv->value)}};
    memcpy(order->view.id.bytes, kv->value + AT_ID, SWIM_ID_BYTES);
    memcpy(order->public_key, kv->value + AT_KEY, SWIM_PUBLIC_BYTES);
    order->view.by = swim_id_of(order->public_key);
    swim_order_key(order->view.kind, swim_sid(&order->view.id), key);
    return memcmp(kv->key, key, sizeof key) == 0 && kv->owner == swim_sid(&order->view.by) &&
           is_sane(&order->view);
}

bool swim_order_is_signed(const struct swim_kv *kv, const struct swim_order *order,
                          const struct swim_crypto *crypto,
                          const uint8_t cluster_id[SWIM_CLUSTER_BYTES])
{
    const struct signed_order message = signed_order(kv, cluster_id);

    return crypto->verify(order->public_key, message.bytes, sizeof message.bytes,
                          kv->value + AT_SIGNATURE);
}
