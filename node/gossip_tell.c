/* SPDX-License-Identifier: Apache-2.0
 *
 * What the swarm tells the operator: an event (node/events.h) and a line of the log for each member
 * that comes, goes or is doubted; for what strangers can bring about, at most one a minute.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/events.h"
#include "node/gossip_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/to_json.h"

#define TELL_GAP_NS (60000 * SWIM_MS)
#define LINE_GAP_MS 5 /* a swarm that starts at once is no flood of lines */

static const struct {
    const char *type; /* NULL: no event */
    const char *said;
    bool of_concern;
} words[] = {
    [SWIM_EVENT_UP] = {"member.joined", "is there", false},
    [SWIM_EVENT_DOWN] = {"member.dead", "is dead", true},
    [SWIM_EVENT_LEFT] = {"member.left", "has left", false},
    [SWIM_EVENT_SUSPECT] = {"member.suspect", "is suspect: no answer", true},
    [SWIM_EVENT_CLEARED] = {"member.alive", "answers again", false},
    [SWIM_EVENT_UPDATE] = {NULL, NULL, false},
    [SWIM_EVENT_CLONE] = {"swarm.clone", NULL, true},
    [SWIM_EVENT_ISOLATED] = {"swarm.isolated", NULL, true},
    [SWIM_EVENT_CONNECTED] = {"swarm.connected", NULL, false},
    [SWIM_EVENT_BANNED] = {"member.banned", "is banned: nobody listens to it", true},
    [SWIM_EVENT_UNBANNED] = {"member.unbanned", "is no longer banned", false},
    [SWIM_EVENT_FORGOTTEN] = {"member.forgotten", NULL, false},
    [SWIM_EVENT_LOST] = {"swarm.lost", NULL, true},
    [SWIM_EVENT_CLOCK] = {"member.clock", "has a clock a day ahead of ours, or ours is behind",
                          true},
};

static json_t *describe(const struct gossip_member *member, const struct swim_action *action)
{
    json_t *data = json_object();
    char text[GOSSIP_ADDR_TEXT];

    gossip_addr_text(&member->addr, text);
    json_object_set_new(data, "member", to_json_text(member->meta.name));
    json_object_set_new(data, "id", json_string(member->id));
    json_object_set_new(data, "address", json_string(text));
    json_object_set_new(data, "boot", to_json_count(action->incarnation.boot));
    return data;
}

/* An order may be about who was never seen here. */
static json_t *describe_unknown(uint64_t sid)
{
    char id[17];

    (void)snprintf(id, sizeof id, "%016" PRIx64, sid);
    return json_pack("{s:n, s:s}", "member", "id", id);
}

static bool is_order(enum swim_event_kind event)
{
    return event == SWIM_EVENT_BANNED || event == SWIM_EVENT_UNBANNED ||
           event == SWIM_EVENT_FORGOTTEN;
}

static void say_member(struct gossip *g, const struct gossip_member *member,
                       const struct swim_action *action)
{
    char text[GOSSIP_ADDR_TEXT];
    uint64_t left_out;

    if (!log_allowed(&g->member_lines, clock_monotonic_ns() / 1000000, LINE_GAP_MS, &left_out)) {
        return; /* the events have them all */
    }
    gossip_addr_text(&member->addr, text);
    (words[action->event].of_concern ? log_warn : log_info)("member '%s' (%.16s, %s) %s",
                                                            member->meta.name, member->id, text,
                                                            words[action->event].said);
}

/* False: it was told a moment ago. */
static bool on_clone(struct gossip *g, uint64_t mono_ns)
{
    if (g->is_cloned && mono_ns - g->cloned_ns < TELL_GAP_NS) {
        return false;
    }
    g->is_cloned = true;
    g->cloned_ns = mono_ns;
    log_error("another process is a member with this node's key: its --state-dir ('%s') was "
              "copied; stop one of them, remove 'node.key' there and start it again. The one that "
              "started later is silent now",
              g->state.path);
    return true;
}

void gossip_tell_event(struct gossip *g, const struct swim_action *action)
{
    struct swim_now now = gossip_now();
    struct gossip_member member = {0};
    struct swim_view view;
    json_t *data = NULL;

    g->counters.events++;
    if (action->event == SWIM_EVENT_CLONE) {
        if (!on_clone(g, now.mono_ns)) {
            return;
        }
    } else if (action->event == SWIM_EVENT_ISOLATED) {
        g->isolated_ns = now.mono_ns;
        log_warn("no member of the swarm answers: this node is isolated, and accuses nobody");
    } else if (action->event == SWIM_EVENT_CONNECTED) {
        g->isolated_ns = 0;
        log_info("the swarm answers again");
    } else if (words[action->event].said != NULL && swim_member_get(g->swim, action->sid, &view)) {
        gossip_show(g, now, &view, &member);
        say_member(g, &member, action);
        data = describe(&member, action);
    }
    if (is_order(action->event)) {
        gossip_orders_keep(g);
        data = data != NULL ? data : describe_unknown(action->sid);
    }
    if (swim_n_live(g->swim) <= 1 && g->n_seeds > 0) {
        gossip_seeds_alone(g);
    }
    if (words[action->event].type != NULL) {
        events_publish(g->node, words[action->event].type, data == NULL ? json_object() : data);
    }
}

void gossip_tell_refused(struct gossip *g, const char *address)
{
    json_t *data = json_object();

    json_object_set_new(data, "address", json_string(address));
    events_publish(g->node, "swarm.key_refused", data);
}

void gossip_tell_foreign(struct gossip *g, uint64_t mono_ns)
{
    struct gossip_foreign *foreign = &g->foreign;
    uint64_t counted = swim_get_counters(g->swim)->foreign_key + g->counters.streams_foreign;
    char text[GOSSIP_ADDR_TEXT];
    char key[16];

    if (counted == foreign->counted ||
        (foreign->told_ns != 0 && mono_ns - foreign->told_ns < TELL_GAP_NS)) {
        return;
    }
    gossip_addr_text(&foreign->from, text);
    (void)snprintf(key, sizeof key, "%08" PRIx32, foreign->key_id);
    log_warn("%" PRIu64
             " datagrams or connections under a cluster key that this node does not have, the last "
             "from %s (key %s): another swarm, or another --cluster-key-file there",
             counted - foreign->counted, text, key);
    json_t *data = json_object();
    json_object_set_new(data, "count", to_json_count(counted - foreign->counted));
    json_object_set_new(data, "address", json_string(text));
    json_object_set_new(data, "key", json_string(key));
    events_publish(g->node, "swarm.foreign_key", data);
    foreign->counted = counted;
    foreign->told_ns = mono_ns;
}
