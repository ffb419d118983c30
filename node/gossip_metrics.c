/* SPDX-License-Identifier: Apache-2.0
 *
 * The swarm on /metrics: all that the core counts, members by state and each of them, and what the
 * driver counts.
 */
#include <inttypes.h>

#include "node/gossip_internal_uv.h"
#include "node/metrics.h"
#include "shared/base/mem.h"

static void write_states(struct gossip *g, struct buf *out)
{
    uint64_t n[N_GOSSIP_STATES] = {0};
    struct gossip_member one;
    struct swim_view view;
    struct swim_now now = gossip_now();

    for (uint32_t i = 0; swim_member_at(g->swim, i, &view); i++) {
        gossip_show(g, now, &view, &one);
        n[one.state]++;
    }
    metrics_family(out, "packetrecorder_swarm_members", "gauge",
                   "Members known, by state, this node included.");
    for (int state = 0; state < N_GOSSIP_STATES; state++) {
        struct buf label = {0};
        metrics_label(&label, "state", gossip_state_words[state]);
        metrics_count(out, "packetrecorder_swarm_members", (const char *)label.data, n[state]);
        buf_deinit(&label);
    }
}

static void write_core(struct gossip *g, struct buf *out)
{
    const struct swim_counters *counters = swim_get_counters(g->swim);

#define SWIM_COUNTER(name, what)                                                                   \
    metrics_family(out, "packetrecorder_swarm_" #name "_total", "counter", what);                  \
    metrics_count(out, "packetrecorder_swarm_" #name "_total", "", counters->name);
#include "shared/swarm/swim_counters.inc"
#undef SWIM_COUNTER
}

struct family {
    const char *name, *kind, *what;
    uint64_t value;
};

static void write_driver(struct gossip *g, struct buf *out)
{
    struct swim_now now = gossip_now();
    uint64_t bound_ns = 0;

    (void)swim_time_correction(g->swim, now, &bound_ns);
    const struct family families[] = {
        {"packetrecorder_swarm_send_failed_total", "counter",
         "Datagrams that the kernel would not send.", g->counters.send_failed},
        {"packetrecorder_swarm_send_blocked_total", "counter",
         "Datagrams dropped because the kernel's queue was full.", g->counters.send_blocked},
        {"packetrecorder_swarm_too_long_total", "counter",
         "Datagrams that the path does not carry.", g->counters.too_long},
        {"packetrecorder_swarm_lookups_failed_total", "counter",
         "Names of --join that were not found.", g->counters.lookups_failed},
        {"packetrecorder_swarm_streams_busy_total", "counter",
         "Connections not taken: too many that had proven no key.", g->counters.streams_busy},
        {"packetrecorder_swarm_streams_slow_total", "counter",
         "Connections ended: no handshake in time, or they did not read.",
         g->counters.streams_slow},
        {"packetrecorder_swarm_streams_refused_total", "counter",
         "Connections refused: no channel of ours, or a wrong key.", g->counters.streams_refused},
        {"packetrecorder_swarm_streams_foreign_total", "counter",
         "Of these, under a cluster key that is not in the ring.", g->counters.streams_foreign},
        {"packetrecorder_swarm_keys_refused_total", "counter",
         "Times that another node did not have our cluster key.", g->counters.keys_refused},
        {"packetrecorder_swarm_events_total", "counter",
         "Changes of members that this node noticed.", g->counters.events},
        {"packetrecorder_swarm_local_health", "gauge",
         "0: this node is well; up to 8, the slower it accuses others.",
         swim_local_health(g->swim)},
        {"packetrecorder_swarm_isolated", "gauge", "1: no other member answers.",
         g->isolated_ns != 0},
        {"packetrecorder_swarm_cloned", "gauge",
         "1: another process has this node's key (--state-dir was copied).", g->is_cloned},
        {"packetrecorder_swarm_time_bound_nanoseconds", "gauge",
         "How far swarm time may be off here.", bound_ns},
        {"packetrecorder_swarm_memory_bytes", "gauge", "Memory of the core.", swim_memory(g->swim)},
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        metrics_family(out, families[i].name, families[i].kind, families[i].what);
        metrics_count(out, families[i].name, "", families[i].value);
    }
}

/* ---- each member, as 'manage members' shows it ---- */

enum { N_FAMILIES_OF_MEMBERS = 6 };

/* Samples of a family stand together on the page, members come one by one. */
struct of_members {
    struct buf samples[N_FAMILIES_OF_MEMBERS];
};

static void put_sample_of(struct of_members *all, size_t family, const char *name,
                          const struct buf *labels, double value)
{
    metrics_value(&all->samples[family], name, (const char *)labels->data, value);
}

#define MEMBER "packetrecorder_swarm_member_"

static const char *const names_of_members[N_FAMILIES_OF_MEMBERS] = {
    MEMBER "info",
    MEMBER "state",
    MEMBER "since_timestamp_seconds",
    MEMBER "load_percent",
    MEMBER "clock_offset_seconds",
    MEMBER "clock_bound_seconds",
};

static void put_info(struct of_members *all, const struct gossip_member *member)
{
    struct buf labels = {0};
    struct buf keys = {0};
    char address[GOSSIP_ADDR_TEXT];

    gossip_addr_text(&member->addr, address);
    for (uint8_t i = 0; i < member->meta.n_keys; i++) {
        buf_printf(&keys, "%s%08" PRIx32, i == 0 ? "" : ",", member->meta.key_ids[i]);
    }
    buf_put_u8(&keys, 0);
    metrics_label(&labels, "id", member->id);
    metrics_label(&labels, "name", member->meta.name);
    metrics_label(&labels, "address", address);
    metrics_label(&labels, "site", member->meta.site);
    metrics_label(&labels, "version", member->meta.version);
    metrics_label(&labels, "keys", (const char *)keys.data);
    put_sample_of(all, 0, names_of_members[0], &labels, 1);
    buf_deinit(&labels);
    buf_deinit(&keys);
}

static void put_member(const struct gossip_member *member, void *arg)
{
    struct of_members *all = arg;
    struct buf labels = {0};
    struct buf with_state = {0};

    put_info(all, member);
    metrics_label(&labels, "id", member->id);
    metrics_label(&labels, "name", member->meta.name);
    buf_put_str(&with_state, (const char *)labels.data);
    metrics_label(&with_state, "state", gossip_state_words[member->state]);
    put_sample_of(all, 1, names_of_members[1], &with_state, 1);
    uint64_t since_ms = member->since_ns / 1000000; /* a double does not hold more */
    put_sample_of(all, 2, names_of_members[2], &labels, (double)since_ms / 1e3);
    put_sample_of(all, 3, names_of_members[3], &labels, member->load);
    if (member->has_offset) {
        put_sample_of(all, 4, names_of_members[4], &labels, (double)member->offset_ns / 1e9);
        put_sample_of(all, 5, names_of_members[5], &labels, (double)member->bound_ns / 1e9);
    }
    buf_deinit(&labels);
    buf_deinit(&with_state);
}

static void write_members(struct gossip *g, struct buf *out)
{
    static const char *const what[N_FAMILIES_OF_MEMBERS] = {
        "Always 1: a member of the swarm, this node included; what it is stands in the labels.",
        "Always 1: the state of a member is a label.",
        "Since when it has that state.",
        "How busy its processors are.",
        "Its wall clock minus this node's; no sample where that is not known yet.",
        "How far that may be off.",
    };
    struct of_members all = {0};

    gossip_members(g, put_member, &all);
    for (size_t i = 0; i < N_FAMILIES_OF_MEMBERS; i++) {
        metrics_family(out, names_of_members[i], "gauge", what[i]);
        buf_append(out, all.samples[i].data, all.samples[i].len);
        buf_deinit(&all.samples[i]);
    }
}

void gossip_metrics(struct node *node, struct buf *out)
{
    struct gossip *g = node->gossip;

    if (g == NULL) {
        return;
    }
    gossip_lock(g);
    write_states(g, out);
    write_core(g, out);
    write_driver(g, out);
    gossip_unlock(g);
    write_members(g, out);
}
