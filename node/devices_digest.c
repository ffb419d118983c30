/* SPDX-License-Identifier: Apache-2.0 */
#include "node/devices_digest.h"

#include <string.h>

#include "shared/base/buf.h"
#include "shared/swarm/swim_crypto.h"

/* With its end, so that no two texts run into one another. */
static void put_text(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text) + 1);
}

static uint64_t digest_one(const struct interface *one, struct buf *out)
{
    const uint8_t flags[] = {one->has_mac,      one->is_device,    one->up,
                             one->running,      one->loopback,     one->wireless,
                             (uint8_t)one->gro, (uint8_t)one->lro, (uint8_t)one->tso};

    buf_reset(out);
    put_text(out, one->name);
    put_text(out, one->description);
    buf_append(out, one->mac, sizeof one->mac);
    buf_append(out, flags, sizeof flags);
    buf_put_le32(out, one->mtu);
    for (size_t i = 0; i < one->n_addresses; i++) {
        put_text(out, one->addresses[i]);
    }
    return swim_hash(out->data, out->len);
}

uint64_t devices_digest(const struct interface_list *list)
{
    struct buf scratch = {0};
    uint64_t sum = list->n + 1;

    for (size_t i = 0; i < list->n; i++) {
        sum += digest_one(&list->items[i], &scratch);
    }
    buf_deinit(&scratch);
    return sum == 0 ? 1 : sum;
}
