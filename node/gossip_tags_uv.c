/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags of nodes. Our own are a record that we keep in the swarm: made anew when it is about to
 * expire, when somebody else has written over it, or when swarm time turned out to be another than
 * it was at the start. Those of others are looked up when somebody asks.
 */
#include <string.h>

#include "node/gossip_internal_uv.h"
#include "node/tag_record_sodium.h"
#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv.h"

#define LIVES_NS (48 * 3600 * INT64_C(1000000000)) /* without its node */
#define GONE_NS  (600 * INT64_C(1000000000))       /* that they are gone is remembered */
#define LOOK_MS  60000u

/* Locked. Swarm time. */
static int64_t swarm_now_ns(struct gossip *g, struct swim_now now)
{
    uint64_t bound_ns;

    return now.wall_ns + swim_time_correction(g->swim, now, &bound_ns);
}

/* Locked. */
static void keep(struct gossip *g)
{
    struct swim_now now = gossip_now();
    int64_t now_ns = swarm_now_ns(g, now);
    uint8_t value[TAG_RECORD_MAX];
    struct swim_kv held;
    struct tags tags;
    struct swim_kv kv = {.owner = swim_self(g->swim),
                         .version = (uint64_t)now.wall_ns,
                         .flags = SWIM_KV_EXPIRES,
                         .value = value};

    if (g->node->tags.n == 0 || g->is_leaving) {
        return;
    }
    tag_record_key(kv.owner, kv.key);
    if (swim_kv_get(g->swim, kv.key, &held)) {
        int64_t until_ns = tag_record_expires_ns(held.value, held.n_value); /* anybody may write */
        if ((held.flags & SWIM_KV_DELETED) == 0 && until_ns > now_ns + LIVES_NS / 2 &&
            until_ns <= now_ns + LIVES_NS + LIVES_NS / 2 &&
            tag_record_read(held.value, held.n_value, g->meta.tags_digest, &tags)) {
            return;
        }
        kv.version = held.version >= kv.version ? held.version + 1 : kv.version;
        if (kv.version == 0) {
            return; /* somebody has taken the last version there is: members see no tags of ours */
        }
    }
    kv.n_value = (uint16_t)tag_record_write(&g->node->tags, now_ns + LIVES_NS, value);
    (void)swim_kv_put(g->swim, now, &kv); /* full: counted there, and tried again */
}

/* It need not stand for two days: nodes that come and go for ever would fill all places. */
void gossip_tags_end(struct gossip *g)
{
    struct swim_now now = gossip_now();
    uint8_t until[8];
    struct swim_kv held;
    struct swim_kv kv = {.owner = swim_self(g->swim),
                         .flags = SWIM_KV_DELETED,
                         .value = until,
                         .n_value = sizeof until};

    tag_record_key(kv.owner, kv.key);
    if (g->node->tags.n > 0 && swim_kv_get(g->swim, kv.key, &held) && held.version < UINT64_MAX) {
        kv.version = held.version + 1;
        put_le64(until, (uint64_t)(swarm_now_ns(g, now) + GONE_NS));
        (void)swim_kv_put(g->swim, now, &kv);
    }
}

static void on_look(uv_timer_t *timer)
{
    struct gossip *g = timer->data;

    gossip_lock(g);
    keep(g);
    gossip_drain_core(g);
    gossip_unlock(g);
}

void gossip_tags_describe(struct gossip *g)
{
    g->meta.tags_digest = tag_digest(&g->node->tags);
}

void gossip_tags_start(struct gossip *g)
{
    REQUIRE(uv_timer_init(&g->loop, &g->tags_timer) == 0);
    g->tags_timer.data = g;
    if (g->node->tags.n > 0) {
        keep(g);
        uv_timer_start(&g->tags_timer, on_look, LOOK_MS, LOOK_MS);
    }
}

void gossip_tags_on_change(struct gossip *g, const struct swim_kv *kv)
{
    uint8_t key[SWIM_KV_KEY_BYTES];

    tag_record_key(swim_self(g->swim), key);
    if (memcmp(key, kv->key, sizeof key) == 0) {
        keep(g);
    }
}

void gossip_tags_of(struct gossip *g, const struct gossip_member *member, struct tags *out)
{
    uint8_t key[SWIM_KV_KEY_BYTES];
    struct swim_kv kv;

    *out = (struct tags){0};
    if (member->is_self) {
        *out = g->node->tags;
        return;
    }
    if (member->meta.tags_digest == 0) {
        return;
    }
    tag_record_key(member->sid, key);
    gossip_lock(g);
    if (swim_kv_get(g->swim, key, &kv) && (kv.flags & SWIM_KV_DELETED) == 0) {
        (void)tag_record_read(kv.value, kv.n_value, member->meta.tags_digest, out);
    }
    gossip_unlock(g);
}
