/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/glue/swarm_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/events.h"
#include "node/gossip_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

void swarm_init(struct swarm *swarm)
{
    memset(swarm, 0, sizeof *swarm);
    signal(SIGPIPE, SIG_IGN);
    snprintf(swarm->folder, sizeof swarm->folder, "/tmp/pr-swarm-XXXXXX");
    assert_non_null(mkdtemp(swarm->folder));
    assert_int_equal(uv_loop_init(&swarm->loop), 0);
    for (unsigned i = 0; i < SWARM_NODES_MAX; i++) {
        swarm->nodes[i].swarm = swarm;
    }
}

static void make_key_file(const char *path)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[22 + 43];
    char text[80] = "prc_";
    FILE *file;

    if (access(path, F_OK) == 0) {
        return;
    }
    assert_int_equal(getrandom(random, sizeof random, 0), sizeof random);
    for (unsigned i = 0; i < 22 + 43; i++) {
        /* The last letter of each holds fewer bits: A has none beyond. */
        char letter = i == 21 || i == 64 ? 'A' : letters[random[i] % 64];
        text[4 + i + (i >= 22)] = letter;
    }
    text[26] = '_';
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    fprintf(file, "%s\n", text);
    fclose(file);
}

void swarm_prepare(struct swarm *swarm, unsigned i, const char *addr, const char *key, int join)
{
    struct swarm_node *n = &swarm->nodes[i];

    snprintf(n->database, sizeof n->database, "%s/%u.db", swarm->folder, i);
    snprintf(n->state_dir, sizeof n->state_dir, "%s/state-%u", swarm->folder, i);
    snprintf(n->key_file, sizeof n->key_file, "%s/key-%s", swarm->folder, key);
    snprintf(n->gossip_addr, sizeof n->gossip_addr, "%s", addr);
    make_key_file(n->key_file);
    n->gossip_addrs[0] = n->gossip_addr;
    memset(&n->options, 0, sizeof n->options);
    n->options.database = n->database;
    n->options.state_dir = n->state_dir;
    n->options.cluster_key_file = n->key_file;
    n->options.gossip_addrs = (struct option_list){.items = n->gossip_addrs, .n = 1};
    if (join >= 0) {
        const struct gossip *other = swarm->nodes[join].node.gossip;
        gossip_addr_text(&other->sockets[0].address, n->join);
        n->joins[0] = n->join;
        n->options.join = (struct option_list){.items = n->joins, .n = 1};
    }
}

int swarm_try_start(struct swarm *swarm, unsigned i, struct err *err)
{
    struct swarm_node *n = &swarm->nodes[i];

    memset(&n->node, 0, sizeof n->node);
    n->drained = n->closed = false;
    n->node.loop = &swarm->loop;
    n->node.options = &n->options;
    if (n->options.node_name != NULL) {
        snprintf(n->node.name, sizeof n->node.name, "%s", n->options.node_name);
    } else {
        snprintf(n->node.name, sizeof n->node.name, "n%u", i);
    }
    for (size_t t = 0; t < n->options.tags.n; t++) {
        assert_int_equal(tags_add(&n->node.tags, n->options.tags.items[t], err), 0);
    }
    assert_int_equal(events_open(&n->node, err), 0);
    n->is_up = true;
    return gossip_open(&n->node, err);
}

void swarm_start(struct swarm *swarm, unsigned i)
{
    struct err err = {0};

    if (swarm_try_start(swarm, i, &err) < 0) {
        fail_msg("node %u: %s", i, err.text);
    }
    assert_non_null(swarm->nodes[i].node.gossip);
}

static void on_drained(struct node *node)
{
    container_of(node, struct swarm_node, node)->drained = true;
}

static void on_events_closed(struct node *node)
{
    container_of(node, struct swarm_node, node)->closed = true;
}

static void on_closed(struct node *node)
{
    events_close(node, on_events_closed);
}

static bool is_drained(struct swarm *swarm, void *arg)
{
    (void)swarm;
    return ((const struct swarm_node *)arg)->drained;
}

static bool is_closed(struct swarm *swarm, void *arg)
{
    (void)swarm;
    return ((const struct swarm_node *)arg)->closed;
}

void swarm_leave(struct swarm *swarm, unsigned i)
{
    struct swarm_node *n = &swarm->nodes[i];

    gossip_drain(&n->node, clock_monotonic_ns() + 3000000000u, on_drained);
    assert_true(swarm_pump(swarm, is_drained, n));
}

void swarm_stop(struct swarm *swarm, unsigned i, bool leave)
{
    struct swarm_node *n = &swarm->nodes[i];

    if (!n->is_up) {
        return;
    }
    if (leave) {
        swarm_leave(swarm, i);
    }
    gossip_close(&n->node, on_closed);
    assert_true(swarm_pump(swarm, is_closed, n));
    assert_null(n->node.gossip);
    n->is_up = false;
}

void swarm_deinit(struct swarm *swarm)
{
    char command[128];

    for (unsigned i = 0; i < SWARM_NODES_MAX; i++) {
        swarm_stop(swarm, i, false);
    }
    uv_run(&swarm->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&swarm->loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", swarm->folder);
    assert_int_equal(system(command), 0);
}

static void on_pulse(uv_timer_t *timer)
{
    (void)timer;
}

static void on_pulse_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

/* The loop turns at least every 5 ms. */
bool swarm_pump(struct swarm *swarm, bool (*cond)(struct swarm *swarm, void *arg), void *arg)
{
    uint64_t deadline_ns = clock_monotonic_ns() + SWARM_PATIENCE_MS * 1000000ull;
    uv_timer_t pulse;
    bool closed = false;
    bool good;

    assert_int_equal(uv_timer_init(&swarm->loop, &pulse), 0);
    pulse.data = &closed;
    assert_int_equal(uv_timer_start(&pulse, on_pulse, 5, 5), 0);
    while (!(good = cond(swarm, arg)) && clock_monotonic_ns() < deadline_ns) {
        uv_run(&swarm->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&pulse, on_pulse_closed);
    while (!closed) {
        uv_run(&swarm->loop, UV_RUN_ONCE);
    }
    return good;
}

static bool is_over(struct swarm *swarm, void *arg)
{
    (void)swarm;
    return clock_monotonic_ns() >= *(const uint64_t *)arg;
}

void swarm_turns(struct swarm *swarm, unsigned ms)
{
    uint64_t until_ns = clock_monotonic_ns() + ms * 1000000ull;

    (void)swarm_pump(swarm, is_over, &until_ns);
}

struct look {
    char name[16];
    struct gossip_member *out;
    enum gossip_state_word state;
};

static void look_at(const struct gossip_member *member, void *arg)
{
    struct look *look = arg;

    if (strcmp(member->meta.name, look->name) == 0) {
        look->state = member->state;
        if (look->out != NULL) {
            *look->out = *member;
        }
    }
}

enum gossip_state_word swarm_state(struct swarm *swarm, unsigned i, unsigned j,
                                   struct gossip_member *out)
{
    struct look look = {.state = N_GOSSIP_STATES, .out = out};

    snprintf(look.name, sizeof look.name, "n%u", j);
    gossip_members(swarm->nodes[i].node.gossip, look_at, &look);
    return look.state;
}

bool swarm_is(struct swarm *swarm, void *arg)
{
    const struct swarm_wish *wish = arg;

    return swarm_state(swarm, wish->i, wish->j, NULL) == wish->state;
}

void swarm_await(struct swarm *swarm, unsigned i, unsigned j, enum gossip_state_word state)
{
    struct swarm_wish wish = {i, j, state};

    if (!swarm_pump(swarm, swarm_is, &wish)) {
        enum gossip_state_word is = swarm_state(swarm, i, j, NULL);
        fail_msg("node %u holds n%u %s, not %s", i, j,
                 is == N_GOSSIP_STATES ? "for nobody" : gossip_state_words[is],
                 gossip_state_words[state]);
    }
}

unsigned swarm_events(struct swarm *swarm, unsigned i, const char *type)
{
    struct buf out = {0};
    uint64_t after = 0;
    char line[64];
    unsigned n = 0;

    swarm_turns(swarm, 10); /* they come by way of the loop */
    while (events_put(swarm->nodes[i].node.events, &after, &out, 1 << 20)) {
    }
    buf_put_u8(&out, 0);
    snprintf(line, sizeof line, "event: %s\n", type);
    for (const char *at = (const char *)out.data; (at = strstr(at, line)) != NULL; at++) {
        n++;
    }
    buf_deinit(&out);
    return n;
}

uint64_t swarm_metric(struct swarm *swarm, unsigned i, const char *name)
{
    struct buf out = {0};
    uint64_t value = UINT64_MAX;
    char line[96];

    gossip_metrics(&swarm->nodes[i].node, &out);
    buf_put_u8(&out, 0);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr((const char *)out.data, line);
    if (at != NULL) {
        value = strtoull(at + strlen(line), NULL, 10);
    }
    buf_deinit(&out);
    return value;
}
