/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps this node from being a good member: whom it sees, what its sockets were given and
 * lost, whether the others hold its key, whether clocks can be compared, and whether the kernel has
 * room for so many neighbours.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/timex.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"
#include "shared/base/neighbours_posix.h"
#include "shared/base/text.h"

#define NAMES_SHOWN 5

struct look {
    gossip_finding_cb finding;
    void *arg;
    /* a copy of what stands under the lock */
    bool is_isolated, is_cloned, has_left;
    size_t n_seeds;
    uint64_t kernel_drops, keys_refused, foreign_keys;
    struct gossip_foreign foreign;
    struct gossip_ring ring;
    uint64_t time_bound_ns;
    uint32_t n[N_GOSSIP_STATES];
    uint32_t n_all, n_lacking;
    struct buf lacking; /* names */
};

static void say(struct look *look, const char *name, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct look *look, const char *name, bool ok, const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&text, ERR_IO, fmt, ap);
    va_end(ap);
    look->finding(look->arg, name, ok, text.text);
}

static void take_state(struct gossip *g, struct look *look)
{
    gossip_lock(g);
    const struct swim_counters *counters = swim_get_counters(g->swim);
    look->is_isolated = g->isolated_ns != 0;
    look->is_cloned = g->is_cloned;
    look->has_left = g->has_left;
    look->n_seeds = g->n_seeds;
    look->kernel_drops = counters->kernel_drops;
    look->keys_refused = g->counters.keys_refused;
    look->foreign_keys = counters->foreign_key + g->counters.streams_foreign;
    look->foreign = g->foreign;
    (void)swim_time_correction(g->swim, gossip_now(), &look->time_bound_ns);
    gossip_unlock(g);
    gossip_ring_get(g, &look->ring);
}

static void count(const struct gossip_member *member, void *arg)
{
    struct look *look = arg;
    const struct swim_key *active = swim_keyring_active(&look->ring.keys);
    bool has = member->is_self;

    look->n[member->state]++;
    look->n_all++;
    for (uint8_t i = 0; i < member->meta.n_keys; i++) {
        has = has || member->meta.key_ids[i] == active->id;
    }
    if (!has && member->state < GOSSIP_DEAD && look->n_lacking++ < NAMES_SHOWN) {
        buf_printf(&look->lacking, "%s%s", look->lacking.len > 0 ? ", " : "", member->label);
    }
}

static void say_members(struct look *look)
{
    struct buf text = {0};
    uint32_t n_live = look->n_all - look->n[GOSSIP_DEAD] - look->n[GOSSIP_LEFT];

    if (look->is_cloned) {
        say(look, "swarm", false,
            "another process is a member with this node's key: --state-dir was copied; stop one of "
            "them, remove 'node.key' in its --state-dir and start it again");
        return;
    }
    if (look->is_isolated) {
        say(look, "swarm", false,
            "no member answers: this node is cut off, or all others are gone");
        return;
    }
    if (n_live <= 1 && look->n_seeds > 0) {
        say(look, "swarm", false, "none of --join answers yet: see the log for why");
        return;
    }
    for (int state = 0; state < N_GOSSIP_STATES; state++) {
        if (look->n[state] > 0) {
            buf_printf(&text, "%s%" PRIu32 " %s", text.len > 0 ? ", " : "", look->n[state],
                       gossip_state_words[state]);
        }
    }
    say(look, "swarm", true, "%" PRIu32 " member%s: %.*s", look->n_all, look->n_all == 1 ? "" : "s",
        (int)text.len, (const char *)text.data);
    buf_deinit(&text);
}

/* A small buffer alone is no trouble; one that has overflowed is. */
static void say_sockets(const struct gossip *g, struct look *look)
{
    struct buf places = {0};
    uint32_t least = UINT32_MAX;
    char size[TEXT_NUMBER_MAX];

    for (size_t i = 0; i < g->n_sockets; i++) {
        char text[GOSSIP_ADDR_TEXT];
        gossip_addr_text(&g->sockets[i].address, text);
        buf_printf(&places, "%s%s", i > 0 ? ", " : "", text);
        least = g->sockets[i].rcvbuf < least ? g->sockets[i].rcvbuf : least;
    }
    text_format_size(least, size);
    bool is_short = least < GOSSIP_RCVBUF;
    say(look, "gossip", !is_short || look->kernel_drops == 0,
        "%.*s, receive buffer %s, %" PRIu64 " datagrams lost to it%s", (int)places.len,
        (const char *)places.data, size, look->kernel_drops,
        is_short ? ": raise net.core.rmem_max to 4194304, or keep CAP_NET_ADMIN" : "");
    buf_deinit(&places);
}

static void say_keys(struct look *look)
{
    char id[CHANNEL_KEY_ID_CHARS + 1];
    char from[GOSSIP_ADDR_TEXT] = "";

    channel_cluster_key_id(swim_keyring_active(&look->ring.keys)->id, id);
    if (look->n_lacking > 0) {
        say(look, "cluster-key", false,
            "%" PRIu32 " lack key %s, which is in force: %.*s%s ('manage cluster-keys list')",
            look->n_lacking, id, (int)look->lacking.len, (const char *)look->lacking.data,
            look->n_lacking > NAMES_SHOWN ? ", …" : "");
        return;
    }
    if (look->foreign_keys > 0) {
        gossip_addr_text(&look->foreign.from, from);
        say(look, "cluster-key", true,
            "key %s is in force and held by all; %" PRIu64 " datagrams or connections came under "
            "another, the last from %s (key %08" PRIx32 ")",
            id, look->foreign_keys, from, look->foreign.key_id);
        return;
    }
    say(look, "cluster-key", true, "key %s is in force and held by all, %" PRIu32 " in the ring%s",
        id, look->ring.keys.n,
        look->keys_refused > 0 ? "; a node of --join has refused it: it has another" : "");
}

static void say_clock(struct look *look)
{
    struct timex now = {0};
    bool is_kept = adjtimex(&now) >= 0 && (now.status & STA_UNSYNC) == 0;

    say(look, "clock", true, "swarm time is known within %" PRIu64 " us; %s",
        look->time_bound_ns / 1000,
        is_kept ? "this host's clock is kept by NTP or PTP"
                : "nothing keeps this host's own clock: 'timedatectl set-ntp true', or chrony");
}

static void say_neighbours(struct look *look)
{
    struct neighbours table;

    if (!neighbours_read(&table)) {
        return; /* within a network namespace: the host's matter */
    }
    bool is_short = neighbours_are_short(&table, look->n_all);
    say(look, "neighbours", !is_short,
        "%" PRIu64 " of %" PRIu64 " places in the kernel's table of neighbours are taken%s",
        table.entries, table.max,
        is_short ? ": datagrams will be lost; raise net.ipv4.neigh.default.gc_thresh2 and "
                   "gc_thresh3, and those of net.ipv6, to four times the members"
                 : "");
}

void gossip_doctor(struct gossip *g, gossip_finding_cb finding, void *arg)
{
    struct look look = {.finding = finding, .arg = arg};

    if (g == NULL) {
        say(&look, "swarm", true, "no swarm: this node works alone (no --cluster-key-file)");
        return;
    }
    take_state(g, &look);
    if (look.has_left) {
        say(&look, "swarm", true, "this node has left its swarm: a new start takes it back");
    } else {
        gossip_members(g, count, &look);
        say_members(&look);
        say_sockets(g, &look);
        say_keys(&look);
        say_clock(&look);
        say_neighbours(&look);
    }
    buf_deinit(&look.lacking);
    swim_wipe(&look.ring, sizeof look.ring);
}
