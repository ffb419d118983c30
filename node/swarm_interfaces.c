/* SPDX-License-Identifier: Apache-2.0 */
#include "node/swarm_interfaces.h"

#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "node/peers.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/wire/api_key.h"

#define MEMBERS_MAX 1024
#define OF_ONE_MAX  1024 /* interfaces of one member */
#define ALL_MAX     8192
#define VALUES_MAX  32768      /* of one answer */
#define BYTES_MAX   (8u << 20) /* of all answers, msgpack */

struct member {
    struct gathering *gathering;
    uint64_t sid;
    char label[GOSSIP_LABEL_TEXT];
};

struct gathering {
    json_t *all;
    struct buf missing;
    size_t n_waiting;
    size_t n_members;
    size_t bytes; /* of answers that were taken */
    void (*done)(void *arg, json_t *all, const char *missing);
    void *arg;
    struct member members[MEMBERS_MAX];
};

static void end_one(struct gathering *g)
{
    if (--g->n_waiting == 0) {
        buf_put_u8(&g->missing, 0);
        g->done(g->arg, g->all, (const char *)g->missing.data);
        buf_deinit(&g->missing);
        mem_free(g);
    }
}

/* What a member says is its own word: one that is no name is left out. */
static void add_one(const struct member *m, const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "name"));

    if (name == NULL || name[0] == '\0' || strlen(name) > 128 || strchr(name, '/') != NULL) {
        return;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)one);
    char *full = x_sprintf("%s/%s", m->label, name);
    json_object_set_new(copy, "name", to_json_text(full));
    json_object_set_new(copy, "node", to_json_text(m->label));
    json_array_append_new(m->gathering->all, copy);
    mem_free(full);
}

static void on_answer(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    const struct member *m = arg;
    struct gathering *g = m->gathering;
    json_t *list = NULL;

    if (error == NULL && result.n <= BYTES_MAX - g->bytes) {
        (void)rpc_to_json(result, VALUES_MAX, &list, NULL);
        g->bytes += list != NULL ? result.n : 0;
    }
    size_t n = json_array_size(list);
    size_t room = ALL_MAX - json_array_size(g->all);
    size_t most = room < OF_ONE_MAX ? room : OF_ONE_MAX;
    for (size_t i = 0; i < n && i < most; i++) {
        add_one(m, json_array_get(list, i));
    }
    if (!json_is_array(list) || n > most) {
        buf_printf(&g->missing, "%s%s", g->missing.len > 0 ? "," : "", m->label);
    }
    json_decref(list);
    end_one(g);
}

static void add_member(const struct gossip_member *member, void *arg)
{
    struct gathering *g = arg;
    bool lives = member->state == GOSSIP_ALIVE || member->state == GOSSIP_SUSPECT ||
                 member->state == GOSSIP_DEGRADED;

    if (lives && !member->is_self && member->has_meta && g->n_members < MEMBERS_MAX) {
        struct member *m = &g->members[g->n_members++];
        m->gathering = g;
        m->sid = member->sid;
        memcpy(m->label, member->label, sizeof m->label);
    }
    for (size_t i = 0; member->is_self && i < json_array_size(g->all); i++) {
        json_object_set_new(json_array_get(g->all, i), "node", to_json_text(member->label));
    }
}

void swarm_interfaces(struct node *node, json_t *own, uint64_t wait_ms,
                      void (*done)(void *arg, json_t *all, const char *missing), void *arg)
{
    struct gathering *g = x_alloc(sizeof *g);
    struct peers_call call = {
        .method = "node.interfaces",
        .rights = api_role_rights(ROLE_VIEW),
        .who = "the list of interfaces",
        .deadline_ns = clock_monotonic_ns() + wait_ms * 1000000u,
    };

    g->all = json_array();
    g->done = done;
    g->arg = arg;
    for (size_t i = 0; i < json_array_size(own) && i < ALL_MAX; i++) {
        json_t *copy = json_copy(json_array_get(own, i));
        json_object_set_new(copy, "node", to_json_text(node->name));
        json_array_append_new(g->all, copy);
    }
    json_decref(own);
    if (node->gossip != NULL && node->peers != NULL) {
        gossip_members(node->gossip, add_member, g);
    }
    g->n_waiting = g->n_members + 1;
    for (size_t i = 0; i < g->n_members; i++) {
        call.sid = g->members[i].sid;
        (void)peers_call(node, &call, on_answer, &g->members[i]);
    }
    end_one(g);
}
