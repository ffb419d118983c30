/* SPDX-License-Identifier: Apache-2.0
 *
 * The members as others in the node see them, and as JSON (contract: `members --json`).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip_internal_uv.h"
#include "node/http_server.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/swarm/swim_record.h"

#define UNKNOWN_AFTER_NS                                                                           \
    (60000 * SWIM_MS) /* isolated for so long, we know nothing of the others                       \
                       */

const char *const gossip_state_words[N_GOSSIP_STATES] = {
    [GOSSIP_ALIVE] = "alive",       [GOSSIP_SUSPECT] = "suspect", [GOSSIP_DEGRADED] = "degraded",
    [GOSSIP_ISOLATED] = "isolated", [GOSSIP_UNKNOWN] = "unknown", [GOSSIP_DEAD] = "dead",
    [GOSSIP_LEFT] = "left",
};

static enum gossip_state_word state_of(const struct gossip *g, struct swim_now now,
                                       const struct swim_view *view, bool is_self)
{
    if (is_self) {
        return g->isolated_ns != 0 ? GOSSIP_ISOLATED : GOSSIP_ALIVE;
    }
    if (view->state == SWIM_DEAD || view->state == SWIM_LEFT) {
        return view->state == SWIM_DEAD ? GOSSIP_DEAD : GOSSIP_LEFT;
    }
    if (g->isolated_ns != 0 && now.mono_ns - g->isolated_ns >= UNKNOWN_AFTER_NS) {
        return GOSSIP_UNKNOWN;
    }
    if (view->state == SWIM_SUSPECT) {
        return GOSSIP_SUSPECT;
    }
    return view->degraded ? GOSSIP_DEGRADED : GOSSIP_ALIVE;
}

void gossip_show(struct gossip *g, struct swim_now now, const struct swim_view *view,
                 struct gossip_member *out)
{
    struct swim_record record;

    *out = (struct gossip_member){
        .sid = view->sid,
        .is_self = view->sid == swim_self(g->swim),
        .is_banned = view->banned,
        .load = view->load,
        .addr = view->addr,
    };
    for (size_t i = 0; i < SWIM_ID_BYTES; i++) {
        (void)snprintf(out->id + 2 * i, 3, "%02x", view->id.bytes[i]);
    }
    out->state = state_of(g, now, view, out->is_self);
    uint64_t age_ns = now.mono_ns > view->since_ns ? now.mono_ns - view->since_ns : 0;
    out->since_ns = (uint64_t)now.wall_ns - age_ns;
    out->has_meta = view->n_record > 0 && swim_record_read(view->record, view->n_record, &record) &&
                    swim_meta_read(record.meta, record.n_meta, &out->meta);
    struct swim_wall_offset clock;
    if (swim_wall_offset_get(g->swim, now, view->sid, &clock)) {
        out->has_offset = true;
        out->offset_ns = clock.offset_ns;
        out->bound_ns = clock.bound_ns;
    }
}

/* What is made of them takes longer than the core may wait. */
static struct gossip_member *copy_all(struct gossip *g, size_t *n)
{
    struct swim_view view;

    *n = 0;
    gossip_lock(g);
    struct swim_now now = gossip_now();
    struct gossip_member *all = x_alloc((swim_n_members(g->swim) + 1) * sizeof *all);
    while (*n <= swim_n_members(g->swim) && swim_member_at(g->swim, (uint32_t)*n, &view)) {
        gossip_show(g, now, &view, &all[(*n)++]);
    }
    gossip_unlock(g);
    gossip_label_all(all, *n);
    return all;
}

void gossip_members(struct gossip *g, gossip_member_cb member, void *arg)
{
    size_t n;
    struct gossip_member *all = copy_all(g, &n);

    for (size_t i = 0; i < n; i++) {
        member(&all[i], arg);
    }
    mem_free(all);
}

struct gossip_roll *gossip_roll_new(struct gossip *g)
{
    size_t n;
    struct gossip_member *all = copy_all(g, &n);

    return gossip_roll_of(all, n);
}

int gossip_find(struct gossip *g, const char *text, struct gossip_member *out, struct err *err)
{
    struct gossip_roll *roll = gossip_roll_new(g);
    int rc = gossip_roll_find(roll, text, out, err);

    gossip_roll_free(roll);
    return rc;
}

bool gossip_has_left(struct gossip *g)
{
    gossip_lock(g);
    bool has_left = g->has_left;
    gossip_unlock(g);
    return has_left;
}

/* ---- JSON ---- */

/* Where its HTTP or RPC is, on the address that it is reached by; null: it has none. */
static json_t *port_at(const struct gossip_member *member, uint16_t port)
{
    char text[GOSSIP_ADDR_TEXT];
    struct swim_addr addr = member->addr;

    if (port == 0) {
        return json_null();
    }
    addr.port = port;
    gossip_addr_text(&addr, text);
    return json_string(text);
}

static json_t *keys_of(const struct swim_meta *meta)
{
    json_t *keys = json_array();
    char text[16];

    for (uint8_t i = 0; i < meta->n_keys; i++) {
        (void)snprintf(text, sizeof text, "%08" PRIx32, meta->key_ids[i]);
        json_array_append_new(keys, json_string(text));
    }
    return keys;
}

static json_t *tags_of(const struct tags *tags)
{
    json_t *object = json_object();

    for (uint8_t i = 0; i < tags->n; i++) {
        const char *equals = strchr(tags->items[i], '=');
        json_object_setn_new(object, tags->items[i], (size_t)(equals - tags->items[i]),
                             json_string(equals + 1));
    }
    return object;
}

static json_t *to_json(struct gossip *g, const struct gossip_member *member)
{
    struct tags tags;
    json_t *object = json_object();
    char text[GOSSIP_ADDR_TEXT];

    gossip_addr_text(&member->addr, text);
    json_object_set_new(object, "name", to_json_text(member->meta.name));
    json_object_set_new(object, "label", to_json_text(member->label));
    json_object_set_new(object, "id", json_string(member->id));
    json_object_set_new(object, "address", json_string(text));
    json_object_set_new(object, "http_address", port_at(member, member->meta.http_port));
    json_object_set_new(object, "rpc_address", port_at(member, member->meta.rpc_port));
    json_object_set_new(object, "state", json_string(gossip_state_words[member->state]));
    json_object_set_new(object, "since", to_json_time(member->since_ns));
    json_object_set_new(object, "version", to_json_text(member->meta.version));
    json_object_set_new(object, "offset_ns",
                        member->has_offset ? json_integer(member->offset_ns) : json_null());
    json_object_set_new(object, "bound_ns",
                        member->has_offset ? to_json_count(member->bound_ns) : json_null());
    json_object_set_new(object, "load", json_integer(member->load));
    json_object_set_new(object, "banned", json_boolean(member->is_banned));
    gossip_tags_of(g, member, &tags);
    json_object_set_new(object, "tags", tags_of(&tags));
    json_object_set_new(object, "site", to_json_text(member->meta.site));
    json_object_set_new(object, "interfaces",
                        member->meta.iface_digest != 0 ? json_integer(member->meta.iface_count)
                                                       : json_null());
    json_object_set_new(object, "keys", keys_of(&member->meta));
    return object;
}

struct told {
    struct gossip *gossip;
    json_t *all;
};

static void append(const struct gossip_member *member, void *arg)
{
    struct told *told = arg;

    json_array_append_new(told->all, to_json(told->gossip, member));
}

static json_t *alone(struct node *node)
{
    json_t *object = json_object();
    bool http = node->http != NULL && http_server_listeners(node->http) > 0;

    json_object_set_new(object, "name", to_json_text(node->name));
    json_object_set_new(object, "label", to_json_text(node->name));
    json_object_set_new(object, "id", json_null());
    json_object_set_new(object, "address", json_null());
    json_object_set_new(object, "http_address",
                        http ? json_string(http_server_address(node->http, 0)) : json_null());
    json_object_set_new(object, "rpc_address", json_null());
    json_object_set_new(object, "state", json_string(gossip_state_words[GOSSIP_ALIVE]));
    json_object_set_new(object, "since", to_json_time(node->started_ns));
    json_object_set_new(object, "version", json_string(PR_VERSION));
    json_object_set_new(object, "offset_ns", json_integer(0));
    json_object_set_new(object, "bound_ns", json_integer(0));
    json_object_set_new(object, "load", json_null());
    json_object_set_new(object, "banned", json_false());
    json_object_set_new(object, "tags", tags_of(&node->tags));
    json_object_set_new(object, "site",
                        to_json_text(node->options != NULL ? node->options->site : NULL));
    json_object_set_new(object, "interfaces",
                        node->devices != NULL ? json_integer(devices_summary(node).n)
                                              : json_null());
    json_object_set_new(object, "keys", json_array());
    return object;
}

json_t *gossip_members_json(struct node *node)
{
    json_t *all = json_array();

    if (node->gossip == NULL || gossip_has_left(node->gossip)) {
        json_array_append_new(all, alone(node));
    } else {
        struct told told = {node->gossip, all};
        gossip_members(node->gossip, append, &told);
    }
    return all;
}
