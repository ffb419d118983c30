/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to join by. Addresses are known at once; names are looked up in a thread of their own, since
 * getaddrinfo knows no deadline: whoever closes leaves it behind, and it frees what it has when it
 * comes back. A name that is not found is tried again for ever, later each time. While the node is
 * alone, names are looked up again, since what they stand for may have moved.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "node/gossip_internal_uv.h"
#include "node/gossip_stream_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define AGAIN_MS       60000  /* while alone */
#define AGAIN_CALM_MS  600000 /* else: a name may be moved before all that it named are gone */
#define LOOK_FIRST_MS  3000u
#define LOOK_MOST_MS   300000u
#define LOOK_LINE_MS   30000
#define LOOKUP_STACK   (128u << 10)
#define LOOKUP_ONE_MAX SWIM_SEEDS_MAX

/* One round over all names. Both sides have it until each has said that it is done. */
struct gossip_lookup {
    pthread_mutex_t mutex;
    struct gossip *gossip; /* NULL: nobody waits for it any more */
    bool is_done;
    size_t n;
    struct gossip_seed *seeds; /* owned; names alone */
    char failed[128];          /* the last that was not found, and why */
    size_t n_failed;
};

static void add_addr(struct gossip_seed *seed, const struct sockaddr *addr)
{
    struct swim_addr found;

    if (seed->n_addrs == LOOKUP_ONE_MAX || !gossip_addr_from(addr, &found)) {
        return;
    }
    found.port = seed->at.port == 0 ? SWARM_PORT : seed->at.port;
    seed->addrs[seed->n_addrs++] = found;
}

static void look_up(struct gossip_lookup *lookup, struct gossip_seed *seed)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(seed->at.host, NULL, &hints, &found);

    if (rc != 0) {
        lookup->n_failed++;
        (void)snprintf(lookup->failed, sizeof lookup->failed, "'%.80s': %.40s", seed->at.host,
                       gai_strerror(rc));
        return;
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        add_addr(seed, at->ai_addr);
    }
    freeaddrinfo(found);
}

static void lookup_free(struct gossip_lookup *lookup)
{
    (void)pthread_mutex_destroy(&lookup->mutex);
    mem_free(lookup->seeds);
    mem_free(lookup);
}

static void *run_lookup(void *arg)
{
    struct gossip_lookup *lookup = arg;

    (void)pthread_setname_np(pthread_self(), "gossip-names");
    for (size_t i = 0; i < lookup->n; i++) {
        look_up(lookup, &lookup->seeds[i]);
    }
    pthread_mutex_lock(&lookup->mutex);
    lookup->is_done = true;
    bool alone = lookup->gossip == NULL;
    if (!alone) {
        uv_async_send(&lookup->gossip->poke); /* its loop waits for this lock before it ends */
    }
    pthread_mutex_unlock(&lookup->mutex);
    if (alone) {
        lookup_free(lookup);
    }
    return NULL;
}

/* ---- what is found ---- */

/* One of each in turn, so that a name of many addresses leaves room for the others. */
static uint32_t collect(const struct gossip *g, struct swim_addr out[SWIM_SEEDS_MAX])
{
    uint32_t n = 0;
    bool more = true;

    for (uint32_t round = 0; more && n < SWIM_SEEDS_MAX; round++) {
        more = false;
        for (size_t i = 0; i < g->n_seeds && n < SWIM_SEEDS_MAX; i++) {
            if (round < g->seeds[i].n_addrs) {
                out[n++] = g->seeds[i].addrs[round];
                more = true;
            }
        }
    }
    return n;
}

static void join(struct gossip *g)
{
    struct swim_addr addrs[SWIM_SEEDS_MAX];
    uint32_t n = collect(g, addrs);

    if (n > 0 && !g->has_left) {
        swim_join(g->swim, gossip_now(), addrs, n);
    }
}

static bool same_addrs(const struct gossip_seed *a, const struct gossip_seed *b)
{
    bool same = a->n_addrs == b->n_addrs;

    for (uint32_t i = 0; same && i < a->n_addrs; i++) {
        same = swim_addr_is_same(&a->addrs[i], &b->addrs[i]);
    }
    return same;
}

/* True: it stands for other addresses than before. */
static bool take_found(struct gossip *g, const struct gossip_seed *found)
{
    for (size_t i = 0; i < g->n_seeds; i++) {
        struct gossip_seed *seed = &g->seeds[i];
        if (strcmp(seed->at.host, found->at.host) != 0 || seed->at.port != found->at.port ||
            found->n_addrs == 0) {
            continue;
        }
        bool same = same_addrs(seed, found);
        *seed = *found;
        return !same;
    }
    return false;
}

/* ---- rounds ---- */

static void on_again(uv_timer_t *timer)
{
    struct gossip *g = timer->data;

    gossip_lock(g);
    gossip_seeds_go_on(g);
    gossip_unlock(g);
}

static void start_thread(struct gossip *g, struct gossip_lookup *lookup)
{
    pthread_attr_t attr;
    pthread_t thread;

    REQUIRE(pthread_attr_init(&attr) == 0);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, LOOKUP_STACK);
    int rc = pthread_create(&thread, &attr, run_lookup, lookup);
    (void)pthread_attr_destroy(&attr);
    if (rc == 0) {
        g->lookup = lookup;
    } else {
        lookup_free(lookup);
        uv_timer_start(&g->seeds_timer, on_again, AGAIN_MS, 0);
    }
}

static void begin(struct gossip *g)
{
    struct gossip_lookup *lookup = x_alloc(sizeof *lookup);

    g->wants_lookup = false;
    lookup->gossip = g;
    lookup->seeds = x_alloc(GOSSIP_SEEDS_MAX * sizeof *lookup->seeds);
    REQUIRE(pthread_mutex_init(&lookup->mutex, NULL) == 0);
    for (size_t i = 0; i < g->n_seeds; i++) {
        if (!g->seeds[i].at.is_numeric) {
            lookup->seeds[lookup->n++].at = g->seeds[i].at;
        }
    }
    if (lookup->n == 0) {
        lookup_free(lookup);
        return;
    }
    start_thread(g, lookup);
}

static void finish(struct gossip *g, struct gossip_lookup *lookup)
{
    uint64_t ms = swim_n_live(g->swim) <= 1 ? AGAIN_MS : AGAIN_CALM_MS;
    bool changed = false;

    for (size_t i = 0; i < lookup->n; i++) {
        changed = take_found(g, &lookup->seeds[i]) || changed;
    }
    if (changed) {
        join(g);
    }
    if (lookup->n_failed > 0) {
        uint64_t random = 0;
        (void)!getrandom(&random, sizeof random, 0);
        g->counters.lookups_failed += lookup->n_failed;
        ms = backoff_next_ns(&g->lookup_backoff, random) / 1000000 + 1;
        if (g->lookup_backoff.failures == 1) {
            log_warn("--join: cannot find %s; trying on", lookup->failed);
        }
    } else {
        backoff_reset(&g->lookup_backoff);
    }
    uv_timer_start(&g->seeds_timer, on_again, ms, 0);
}

void gossip_seeds_go_on(struct gossip *g)
{
    struct gossip_lookup *lookup = g->lookup;

    if (lookup == NULL) {
        if (g->wants_lookup || !uv_is_active((uv_handle_t *)&g->seeds_timer)) {
            begin(g);
        }
        return;
    }
    pthread_mutex_lock(&lookup->mutex);
    bool done = lookup->is_done;
    pthread_mutex_unlock(&lookup->mutex);
    if (done) {
        g->lookup = NULL;
        finish(g, lookup);
        lookup_free(lookup);
        if (g->wants_lookup) {
            begin(g);
        }
    }
}

void gossip_seeds_stop(struct gossip *g)
{
    struct gossip_lookup *lookup = g->lookup;

    if (lookup == NULL) {
        return;
    }
    g->lookup = NULL;
    pthread_mutex_lock(&lookup->mutex);
    lookup->gossip = NULL;
    bool done = lookup->is_done;
    pthread_mutex_unlock(&lookup->mutex);
    if (done) {
        lookup_free(lookup);
    }
}

/* ---- seeds that do not answer ----
 *
 * Nothing answers a datagram under a wrong key. So, while there is nobody else, one seed is asked
 * by TCP whether it has ours, at longer and longer intervals, and the operator told what it said.
 */

static void on_look(uv_timer_t *timer)
{
    struct gossip *g = timer->data;
    struct swim_addr addrs[SWIM_SEEDS_MAX];
    uint64_t ms = LOOK_FIRST_MS << (g->n_looks < 8 ? g->n_looks : 8);

    gossip_lock(g);
    uint32_t n = collect(g, addrs);
    if (swim_n_live(g->swim) <= 1 && !g->has_left) {
        if (n > 0) {
            gossip_stream_open(g, 0, &addrs[g->n_looks++ % n]);
        }
        uv_timer_start(&g->look_timer, on_look, ms < LOOK_MOST_MS ? ms : LOOK_MOST_MS, 0);
    } else {
        g->n_looks = 0;
    }
    gossip_unlock(g);
}

void gossip_seeds_alone(struct gossip *g)
{
    if (!uv_is_active((uv_handle_t *)&g->look_timer)) {
        uv_timer_start(&g->look_timer, on_look, LOOK_FIRST_MS, 0);
    }
}

void gossip_seed_answered(struct gossip *g, const struct swim_addr *seed, const struct err *err)
{
    char text[GOSSIP_ADDR_TEXT];
    uint64_t left_out;

    if ((swim_n_live(g->swim) > 1 && (err == NULL || err->code != ERR_KEY)) ||
        !log_allowed(&g->look_lines, clock_monotonic_ns() / 1000000, LOOK_LINE_MS, &left_out)) {
        return;
    }
    gossip_addr_text(seed, text);
    if (err == NULL) {
        log_warn("the node at %s answers by TCP and not by UDP: something between lets no UDP "
                 "through on that port",
                 text);
        return;
    }
    log_warn("the node at %s: %s", text, err->text);
    if (err->code == ERR_KEY) {
        g->counters.keys_refused++;
        gossip_tell_refused(g, text);
    }
}

/* ---- the list ---- */

static int add_seed(struct gossip *g, const char *text, struct err *err)
{
    struct gossip_seed seed = {0};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    int rc = swarm_addr_parse(text, &seed.at, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < g->n_seeds; i++) {
        if (strcmp(g->seeds[i].at.host, seed.at.host) == 0 && g->seeds[i].at.port == seed.at.port) {
            return 0;
        }
    }
    if (g->n_seeds == GOSSIP_SEEDS_MAX) {
        return err_set(err, ERR_LIMIT, "'%s' is one more than the %d nodes to join by", text,
                       GOSSIP_SEEDS_MAX);
    }
    if (inet_pton(AF_INET, seed.at.host, &v4.sin_addr) == 1) {
        add_addr(&seed, (const struct sockaddr *)&v4);
    } else if (inet_pton(AF_INET6, seed.at.host, &v6.sin6_addr) == 1) {
        add_addr(&seed, (const struct sockaddr *)&v6);
    }
    g->wants_lookup = g->wants_lookup || !seed.at.is_numeric;
    g->seeds[g->n_seeds++] = seed;
    return 0;
}

int gossip_seeds_init(struct gossip *g, struct err *err)
{
    const struct option_list *list = &g->node->options->join;
    int rc = 0;

    g->seeds = x_alloc(GOSSIP_SEEDS_MAX * sizeof *g->seeds);
    for (size_t i = 0; i < list->n && rc == 0; i++) {
        rc = add_seed(g, list->items[i], err);
    }
    return rc < 0 ? err_wrap(err, "--join") : 0;
}

void gossip_seeds_start(struct gossip *g)
{
    REQUIRE(uv_timer_init(&g->loop, &g->seeds_timer) == 0);
    REQUIRE(uv_timer_init(&g->loop, &g->look_timer) == 0);
    g->seeds_timer.data = g->look_timer.data = g;
    if (g->n_seeds > 0) {
        gossip_seeds_alone(g);
    }
    join(g);
    begin(g);
}

const struct swim_addr *gossip_first_seed(const struct gossip *g)
{
    for (size_t i = 0; i < g->n_seeds; i++) {
        if (g->seeds[i].n_addrs > 0) {
            return &g->seeds[i].addrs[0];
        }
    }
    return NULL;
}

void gossip_seeds_deinit(struct gossip *g)
{
    mem_free(g->seeds);
    g->seeds = NULL;
}

int gossip_join(struct gossip *g, const char *text, struct err *err)
{
    gossip_lock(g);
    int rc = g->is_leaving ? err_set(err, ERR_IN_USE,
                                     "this node has left the swarm: it comes back when it is "
                                     "started again")
                           : add_seed(g, text, err);
    if (rc == 0) {
        join(g);
    }
    gossip_unlock(g);
    gossip_poke(g);
    return rc;
}
