/* SPDX-License-Identifier: Apache-2.0
 *
 * What a story can ask: conditions to wait for, and figures.
 */
#include "tests/sim/sim_internal.h"

uint64_t swim_sim_now_ns(const struct swim_sim *sim)
{
    return sim->now_ns;
}

double swim_sim_now_s(const struct swim_sim *sim)
{
    return (double)sim->now_ns / 1e9;
}

/* ---- conditions ---- */

static bool is_like(const struct swim_sim *sim, uint32_t node, uint64_t hash, uint32_t n_live)
{
    const struct swim *swim = sim->nodes[node].swim;

    return swim == NULL || (swim_n_live(swim) == n_live && swim_view_hash(swim) == hash);
}

/* Counters first; then the view that differed last, since it mostly still does. */
bool swim_sim_all_agree(struct swim_sim *sim, uint32_t unused)
{
    const struct swim *first = NULL;
    uint64_t hash;

    (void)unused;
    if (sim->n_running == 0) {
        return true;
    }
    if (sim->check.n_pairs_up != (uint64_t)sim->n_running * (sim->n_running - 1) ||
        sim->check.n_up_of_gone != 0) {
        return false;
    }
    for (uint32_t i = 0; first == NULL; i++) {
        first = sim->nodes[i].swim;
    }
    hash = swim_view_hash(first);
    if (!is_like(sim, sim->witness, hash, sim->n_running)) {
        return false;
    }
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        if (!is_like(sim, i, hash, sim->n_running)) {
            sim->witness = i;
            return false;
        }
    }
    return true;
}

bool swim_sim_sides_agree(struct swim_sim *sim, uint32_t unused)
{
    (void)unused;
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        const struct swim *swim = sim->nodes[i].swim;
        uint32_t n = 0;

        for (uint32_t j = 0; swim != NULL && j < sim->opts.n_nodes; j++) {
            bool is_same_side = sim->nodes[j].swim != NULL && !sim_net_is_cut(&sim->net, i, j) &&
                                !sim_net_is_cut(&sim->net, j, i);

            n += is_same_side;
            if (is_same_side && swim_view_hash(swim) != swim_view_hash(sim->nodes[j].swim)) {
                return false;
            }
        }
        if (swim != NULL && swim_n_live(swim) != n) {
            return false;
        }
    }
    return true;
}

static struct sim_identity *identity_of(const struct swim_sim *sim, uint32_t node)
{
    return &sim->check.identities[sim->nodes[node].identity];
}

bool swim_sim_all_know_gone(struct swim_sim *sim, uint32_t node)
{
    return identity_of(sim, node)->n_running == 0 && identity_of(sim, node)->n_up == 0;
}

bool swim_sim_anybody_suspects(struct swim_sim *sim, uint32_t node)
{
    return identity_of(sim, node)->seen.n_suspect != 0;
}

bool swim_sim_has_left(struct swim_sim *sim, uint32_t node)
{
    return sim->nodes[node].swim == NULL;
}

/* ---- looking ---- */

struct swim *swim_sim_core(struct swim_sim *sim, uint32_t node)
{
    return sim->nodes[node].swim;
}

uint64_t swim_sim_sid(const struct swim_sim *sim, uint32_t node)
{
    return sim->nodes[node].sid;
}

struct swim_now swim_sim_time_of(const struct swim_sim *sim, uint32_t node)
{
    return sim_node_now(sim, node);
}

struct swim_addr swim_sim_addr(const struct swim_sim *sim, uint32_t node)
{
    return sim_node_addr(sim->nodes[node].slot);
}

uint32_t swim_sim_n_nodes(const struct swim_sim *sim)
{
    return sim->opts.n_nodes;
}

uint32_t swim_sim_n_running(const struct swim_sim *sim)
{
    return sim->n_running;
}

bool swim_sim_is_running(const struct swim_sim *sim, uint32_t node)
{
    return sim->nodes[node].swim != NULL;
}

struct sim_random *swim_sim_random(struct swim_sim *sim)
{
    return &sim->random;
}

struct sim_net *swim_sim_net(struct swim_sim *sim)
{
    return &sim->net;
}

void swim_sim_drain(struct swim_sim *sim, uint32_t node)
{
    sim_node_drain(sim, node);
}

double swim_sim_share_known(const struct swim_sim *sim)
{
    double pairs = (double)sim->n_running * (sim->n_running - 1);

    return pairs == 0 ? 1 : (double)(sim->check.n_pairs_up - sim->check.n_up_of_gone) / pairs;
}

void swim_sim_watch(struct swim_sim *sim, uint32_t node)
{
    identity_of(sim, node)->seen = (struct swim_sim_seen){0};
}

const struct swim_sim_seen *swim_sim_seen(const struct swim_sim *sim, uint32_t node)
{
    return &identity_of(sim, node)->seen;
}

const struct swim_sim_totals *swim_sim_totals(struct swim_sim *sim)
{
    sim_count_time(sim);
    return &sim->totals;
}

/* ---- keys ---- */

struct swim_key swim_sim_key(const struct swim_sim *sim, uint32_t which, enum swim_key_state state)
{
    struct sim_random random = sim_random_stream(sim->opts.seed, 'K', which);
    struct swim_key key = {.state = (uint8_t)state};

    for (unsigned i = 0; i < SWIM_KEY_BYTES; i += 8) {
        uint64_t v = sim_random_u64(&random);
        memcpy(key.key + i, &v, sizeof v);
    }
    key.id = swim_key_id(key.key);
    return key;
}

const struct swim_keyring *swim_sim_keyring(const struct swim_sim *sim, uint32_t node)
{
    return &sim->nodes[node].keyring;
}
