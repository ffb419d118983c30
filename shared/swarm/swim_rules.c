/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule sets. Where a number comes from stands in docs/protocol-swarm.md.
 */
#include "shared/swarm/swim_rules.h"

#include <math.h>
#include <stddef.h>

static struct swim_bounds constant_bounds(const struct swim_rules *rules, uint32_t n)
{
    struct swim_bounds bounds = {rules->min_ms, rules->max_ms};

    (void)n;
    return bounds;
}

/* lambda log2(n + 1), lambda = 1.5: 15 at a thousand members. But when each of n has told of it t
 * times, n e^-t rumors have missed somebody: of ten members one rumor of fifty, so never less than
 * leaves one of four hundred. */
static uint32_t enough_for_all(uint32_t n)
{
    double times = 1.5 * log2(n + 1.0);
    double least = log(n + 1.0) + 6;

    return (uint32_t)ceil(times > least ? times : least);
}

#define OURS                                                                                       \
    .ping_again = true, .indirect_probes = 3, .tcp_ping = true, .tcp_saves = true,                 \
    .schedule = true, .adaptive = true, .timeout_ms = 500, .timeout_least_ms = 50,                 \
    .slow_factor = 6, .measured_health = true, .health_most = 8, .suspicion = constant_bounds,     \
    .confirmations = 3, .few_confirm = true, .healthy_most = 1, .unwell_restarts = 4,              \
    .witnesses = 8, .witness_spread_ms = 50, .new_suspects_a_second = 1, .damping = true,          \
    .isolation = true, .stall_ms = 500, .gossip_interval_ms = 100, .gossip_members = 3,            \
    .transmissions = enough_for_all, .view_hash = true, .differs_ms = 300, .sync_gap_ms = 500,     \
    .digest_ms = 60000, .join_syncs = 2, .join_sync_gap_ms = 200, .reconnect_ms = 5000,            \
    .seed_ms = 30000, .dead_kept_ms = 24u * 3600 * 1000, .left_kept_ms = 3600u * 1000

const struct swim_rules swim_rules_lan = {
    .name = "lan",
    .probe_interval_ms = 1000,
    .probe_early_ms = 500,
    .min_ms = 2000,
    .max_ms = 12000,
    .dead_doubt_ms = 1400,
    .isolated_after_ms = 3000,
    OURS,
};

const struct swim_rules swim_rules_fast = {
    .name = "fast",
    .probe_interval_ms = 500,
    .probe_early_ms = 250,
    .min_ms = 1000,
    .max_ms = 8000,
    .dead_doubt_ms = 700,
    .isolated_after_ms = 1500,
    OURS,
};

const struct swim_rules swim_rules_wan = {
    .name = "wan",
    .probe_interval_ms = 2000,
    .probe_early_ms = 1000,
    .min_ms = 8000,
    .max_ms = 60000,
    .dead_doubt_ms = 5000,
    .isolated_after_ms = 6000,
    OURS,
};

/* ---- hashicorp/memberlist 0.2.2, config.go DefaultLANConfig, util.go, state.go ---- */

/* suspicionTimeout: mult 4, the most 6 times the least. */
static struct swim_bounds memberlist_bounds(const struct swim_rules *rules, uint32_t n)
{
    double scale = log10(n < 1 ? 1.0 : n);
    uint32_t min_ms = (uint32_t)(4 * (scale < 1 ? 1.0 : scale) * rules->probe_interval_ms);
    struct swim_bounds bounds = {min_ms, 6 * min_ms};

    return bounds;
}

/* retransmitLimit: mult 4. */
static uint32_t memberlist_transmissions(uint32_t n)
{
    return 4 * (uint32_t)ceil(log10(n + 1.0));
}

/* pushPullScale: 30 s to 32 members, then one more for each doubling. */
static uint32_t memberlist_push_pull(uint32_t n)
{
    uint32_t times = n <= 32 ? 1 : (uint32_t)ceil(log2(n) - log2(32)) + 1;

    return 30000 * times;
}

const struct swim_rules swim_rules_memberlist = {
    .name = "memberlist",
    .probe_interval_ms = 1000,
    .indirect_probes = 3,
    .tcp_ping = true,
    .timeout_ms = 500,
    .verdict_ms = 1000,
    .slow_factor = 1,
    .health_most = 8,
    .suspicion = memberlist_bounds,
    .confirmations = 2,
    .healthy_most = 255,
    .gossip_interval_ms = 200,
    .tickers = true, /* schedule(): its random stagger lets ticks pass, and moves none */
    .gossip_members = 3,
    .gossip_to_dead_ms = 30000,
    .transmissions = memberlist_transmissions,
    .gossip_synced = true,
    .push_pull_ms = memberlist_push_pull,
    .dead_kept_ms = 30000,
    .left_kept_ms = 30000,
};
