/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_meta.h"

#include <string.h>

#include "shared/base/pack.h"
#include "shared/base/unpack.h"

#define ELEMENTS 12 /* that we know */
#define DEPTH    2  /* inside an element that we do not know */

static bool is_printable(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void pack_text(struct pack *p, const char *text, size_t max)
{
    size_t n = strnlen(text, max + 1);

    if (n > max || !is_printable(text, n)) {
        p->failed = true;
        return;
    }
    pack_str(p, text, n);
}

static bool versions_are_in_order(const struct swim_meta *meta)
{
    return meta->proto_min > 0 && meta->proto_min <= meta->proto_max;
}

size_t swim_meta_write(const struct swim_meta *meta, uint8_t out[SWIM_META_MAX])
{
    struct pack p = pack_into(out, SWIM_META_MAX);

    if (!versions_are_in_order(meta) || meta->n_keys > SWIM_KEYS_MAX) {
        return 0;
    }
    pack_array(&p, ELEMENTS);
    pack_u64(&p, meta->proto_min);
    pack_u64(&p, meta->proto_max);
    pack_text(&p, meta->version, SWIM_META_VERSION_MAX);
    pack_u64(&p, meta->rpc_port);
    pack_u64(&p, meta->http_port);
    pack_u64(&p, meta->flags);
    pack_u64(&p, meta->iface_digest);
    pack_u64(&p, meta->iface_count);
    pack_u64(&p, meta->tags_digest);
    pack_text(&p, meta->name, SWIM_META_NAME_MAX);
    pack_text(&p, meta->site, SWIM_META_SITE_MAX);
    pack_array(&p, meta->n_keys);
    for (unsigned i = 0; i < meta->n_keys; i++) {
        pack_u64(&p, meta->key_ids[i]);
    }
    return p.failed ? 0 : pack_length(&p);
}

/* `out` has room for `max` characters and is all zeros. */
static void unpack_text(struct unpack *u, char *out, size_t max)
{
    size_t n;
    const char *text = unpack_str(u, max, &n);

    if (unpack_failed(u) || !is_printable(text, n)) {
        u->in.failed = true;
        return;
    }
    memcpy(out, text, n);
}

static void unpack_keys(struct unpack *u, struct swim_meta *meta)
{
    meta->n_keys = (uint8_t)unpack_array(u, SWIM_KEYS_MAX);
    for (unsigned i = 0; i < meta->n_keys; i++) {
        meta->key_ids[i] = (uint32_t)unpack_u64_most(u, UINT32_MAX);
    }
}

bool swim_meta_read(const uint8_t *bytes, size_t n, struct swim_meta *meta)
{
    struct swim_meta m = {0};

    if (n > SWIM_META_MAX) {
        return false;
    }
    struct unpack u = unpack_from(bytes, n);
    uint32_t n_elements = unpack_array(&u, SWIM_META_MAX);
    if (n_elements < ELEMENTS) {
        return false;
    }
    m.proto_min = (uint8_t)unpack_u64_most(&u, UINT8_MAX);
    m.proto_max = (uint8_t)unpack_u64_most(&u, UINT8_MAX);
    unpack_text(&u, m.version, SWIM_META_VERSION_MAX);
    m.rpc_port = (uint16_t)unpack_u64_most(&u, UINT16_MAX);
    m.http_port = (uint16_t)unpack_u64_most(&u, UINT16_MAX);
    m.flags = (uint32_t)unpack_u64_most(&u, UINT32_MAX);
    m.iface_digest = unpack_u64(&u);
    m.iface_count = (uint16_t)unpack_u64_most(&u, UINT16_MAX);
    m.tags_digest = unpack_u64(&u);
    unpack_text(&u, m.name, SWIM_META_NAME_MAX);
    unpack_text(&u, m.site, SWIM_META_SITE_MAX);
    unpack_keys(&u, &m);
    for (uint32_t i = ELEMENTS; i < n_elements && !unpack_failed(&u); i++) {
        unpack_skip(&u, DEPTH);
    }
    if (unpack_failed(&u) || unpack_left(&u) != 0 || !versions_are_in_order(&m)) {
        return false;
    }
    *meta = m;
    return true;
}
