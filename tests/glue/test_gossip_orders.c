/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator does to a swarm: changing the cluster key while it runs, forgetting and banning
 * members, leaving; and what is known of the others' clocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/tag_record_sodium.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv.h"
#include "shared/wire/cluster_key.h"
#include "tests/glue/swarm_fixture.h"

static struct swarm swarm;

static int set_up(void **state)
{
    (void)state;
    swarm_init(&swarm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    swarm_deinit(&swarm);
    return 0;
}

/* Nodes 0 to n − 1, all of which join the first. */
static void start_some(unsigned n, const char *addr)
{
    for (unsigned i = 0; i < n; i++) {
        swarm_prepare(&swarm, i, addr, "a", i == 0 ? -1 : 0);
        swarm_start(&swarm, i);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++) {
            swarm_await(&swarm, i, j, GOSSIP_ALIVE);
        }
    }
}

/* ---- the ring of keys ---- */

struct key_wish {
    uint32_t id;
    int state;  /* -1: gone */
    unsigned n; /* nodes */
};

static bool ring_is_everywhere(struct swarm *s, void *arg)
{
    const struct key_wish *wish = arg;

    for (unsigned i = 0; i < wish->n; i++) {
        struct gossip_ring ring;
        gossip_ring_get(s->nodes[i].node.gossip, &ring);
        const struct swim_key *key = gossip_ring_find(&ring, wish->id);
        if ((key == NULL ? -1 : (int)key->state) != wish->state) {
            return false;
        }
    }
    return true;
}

static bool all_hold(struct swarm *s, void *arg)
{
    const struct key_wish *wish = arg;

    for (unsigned j = 0; j < wish->n; j++) {
        struct gossip_member member;
        bool has = false;
        if (swarm_state(s, 0, j, &member) != GOSSIP_ALIVE) {
            return false;
        }
        for (unsigned k = 0; k < member.meta.n_keys; k++) {
            has = has || member.meta.key_ids[k] == wish->id;
        }
        if (!has) {
            return false;
        }
    }
    return true;
}

/* Another key of the cluster of node 0, as text, with its id. */
static uint32_t make_next_key(char text[CLUSTER_KEY_TEXT_MAX])
{
    struct cluster_key *old = NULL;
    struct cluster_key *next = cluster_key_new();
    struct err err = {0};

    assert_int_equal(cluster_key_load(swarm.nodes[0].key_file, &old, &err), 0);
    cluster_key_make_next(old, next);
    cluster_key_print(next, text);
    uint32_t id = swim_key_id(next->key);
    cluster_key_free(old);
    cluster_key_free(next);
    return id;
}

static uint32_t make_next_key_of_three(char text[CLUSTER_KEY_TEXT_MAX])
{
    start_some(3, "127.0.0.1:0");
    return make_next_key(text);
}

static void a_key_is_changed_while_the_swarm_runs(void **state)
{
    char text[CLUSTER_KEY_TEXT_MAX];
    uint32_t next = make_next_key_of_three(text);
    struct gossip *g = swarm.nodes[0].node.gossip;
    struct err err = {0};
    struct gossip_ring ring;
    struct key_wish wish = {next, SWIM_KEY_INSTALLED, 3};

    (void)state;
    gossip_ring_get(g, &ring);
    uint32_t old = ring.keys.keys[0].id;
    struct gossip_ring_action use = {.what = GOSSIP_RING_USE, .id = next};
    struct gossip_ring_action retire = {.what = GOSSIP_RING_RETIRE, .id = old};
    assert_int_equal(gossip_ring_do(g, &use, &err), ERR_NOT_FOUND);
    assert_int_equal(gossip_ring_do(g, &retire, &err), ERR_IN_USE);
    assert_int_equal(
        gossip_ring_do(g, &(struct gossip_ring_action){.what = GOSSIP_RING_ADD, .text = text},
                       &err),
        0);
    /* Nobody else can have said yet that it holds it. */
    assert_int_equal(gossip_ring_do(g, &use, &err), ERR_IN_USE);
    assert_non_null(strstr(err.text, "--force"));
    assert_true(swarm_pump(&swarm, ring_is_everywhere, &wish));
    assert_true(swarm_pump(&swarm, all_hold, &wish));
    assert_int_equal(gossip_ring_do(g, &use, &err), 0);
    wish.state = SWIM_KEY_ACTIVE;
    assert_true(swarm_pump(&swarm, ring_is_everywhere, &wish));
    assert_int_equal(gossip_ring_do(g, &retire, &err), 0);
    wish = (struct key_wish){old, SWIM_KEY_RETIRING, 3};
    assert_true(swarm_pump(&swarm, ring_is_everywhere, &wish));
    /* It is on the disk: a restart with the old key in the file goes on with the new one. */
    swarm_stop(&swarm, 2, true);
    swarm_await(&swarm, 0, 2, GOSSIP_LEFT);
    swarm_start(&swarm, 2);
    swarm_await(&swarm, 0, 2, GOSSIP_ALIVE);
    wish = (struct key_wish){next, SWIM_KEY_ACTIVE, 3};
    assert_true(ring_is_everywhere(&swarm, &wish));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(swarm_metric(&swarm, i, "packetrecorder_swarm_foreign_key_total"), 0);
        assert_int_equal(swarm_events(&swarm, i, "member.suspect"), 0);
    }
}

static void a_key_whose_order_was_written_over_is_told(void **state)
{
    char text[CLUSTER_KEY_TEXT_MAX];
    uint8_t until[8] = {0, 0, 0, 0, 0, 0, 0, 0x7f};
    struct swim_kv kv = {
        .version = UINT64_MAX, .flags = SWIM_KV_DELETED, .value = until, .n_value = sizeof until};
    struct err err = {0};

    (void)state;
    start_some(1, "127.0.0.1:0");
    struct gossip *g = swarm.nodes[0].node.gossip;
    gossip_key_order_place(make_next_key(text), kv.key);
    assert_int_equal(gossip_kv_put(g, &kv, &err), 0);
    assert_int_equal(
        gossip_ring_do(g, &(struct gossip_ring_action){.what = GOSSIP_RING_ADD, .text = text},
                       &err),
        ERR_IN_USE);
    assert_non_null(strstr(err.text, "written over"));
}

static void a_key_of_another_cluster_is_not_added(void **state)
{
    char text[CLUSTER_KEY_TEXT_MAX];
    struct cluster_key *other = cluster_key_new();
    struct err err = {0};

    (void)state;
    start_some(1, "127.0.0.1:0");
    cluster_key_make(other);
    cluster_key_print(other, text);
    cluster_key_free(other);
    assert_int_equal(
        gossip_ring_do(swarm.nodes[0].node.gossip,
                       &(struct gossip_ring_action){.what = GOSSIP_RING_ADD, .text = text}, &err),
        ERR_KEY);
}

static void who_is_gone_can_be_forgotten_and_who_lives_banned(void **state)
{
    struct gossip_member member;
    struct err err = {0};

    (void)state;
    start_some(3, "127.0.0.1:0");
    struct gossip *g = swarm.nodes[0].node.gossip;
    assert_int_equal(gossip_order(g, SWIM_FORGET, "n2", &member, &err), ERR_IN_USE);
    assert_int_equal(gossip_order(g, SWIM_FORGET, "n0", &member, &err), ERR_USAGE);
    assert_int_equal(gossip_order(g, SWIM_FORGET, "n7", &member, &err), ERR_NOT_FOUND);
    swarm_stop(&swarm, 2, true);
    swarm_await(&swarm, 0, 2, GOSSIP_LEFT);
    swarm_await(&swarm, 1, 2, GOSSIP_LEFT);
    assert_int_equal(gossip_order(g, SWIM_FORGET, "n2", &member, &err), 0);
    swarm_await(&swarm, 0, 2, N_GOSSIP_STATES);
    swarm_await(&swarm, 1, 2, N_GOSSIP_STATES);
    assert_int_equal(gossip_order(g, SWIM_BAN, "n1", &member, &err), 0);
    assert_int_equal(gossip_order(g, SWIM_BAN, member.id, &member, &err), ERR_EXISTS);
}

static bool is_refused(struct swarm *s, void *arg)
{
    (void)arg;
    return swarm_metric(s, 0, "packetrecorder_swarm_streams_refused_total") > 0 ||
           swarm_metric(s, 1, "packetrecorder_swarm_streams_refused_total") > 0;
}

/* Its process comes anew with the key of the swarm, and nobody takes its stream. */
static void who_is_banned_is_dead_to_all_until_it_is_lifted(void **state)
{
    struct gossip_member member;
    struct err err = {0};

    (void)state;
    start_some(3, "127.0.0.1:0");
    struct gossip *g = swarm.nodes[0].node.gossip;
    assert_int_equal(gossip_order(g, SWIM_BAN, "n2", &member, &err), 0);
    swarm_await(&swarm, 0, 2, GOSSIP_DEAD);
    swarm_await(&swarm, 1, 2, GOSSIP_DEAD);
    swarm_stop(&swarm, 2, false);
    swarm_start(&swarm, 2);
    assert_true(swarm_pump(&swarm, is_refused, NULL));
    assert_int_equal(swarm_state(&swarm, 1, 2, &member), GOSSIP_DEAD);
    assert_true(member.is_banned);
    assert_int_equal(gossip_order(g, SWIM_UNBAN, member.id, &member, &err), 0);
    swarm_await(&swarm, 0, 2, GOSSIP_ALIVE);
    swarm_await(&swarm, 2, 1, GOSSIP_ALIVE);
}

static bool knows_offset(struct swarm *s, void *arg)
{
    struct gossip_member *member = arg;

    return swarm_state(s, 0, 1, member) == GOSSIP_ALIVE && member->has_offset;
}

static void the_clock_of_a_neighbour_is_known_within_a_bound(void **state)
{
    struct gossip_member member;

    (void)state;
    start_some(2, "127.0.0.1:0");
    assert_true(swarm_pump(&swarm, knows_offset, &member));
    /* It is the same clock. */
    assert_true((uint64_t)llabs(member.offset_ns) <= member.bound_ns);
    assert_true(member.bound_ns < 100000000);
}

static void on_left(void *arg)
{
    *(bool *)arg = true;
}

static bool is_true(struct swarm *s, void *arg)
{
    (void)s;
    return *(const bool *)arg;
}

static void who_leaves_goes_on_alone(void **state)
{
    struct err err = {0};
    bool left = false;

    (void)state;
    start_some(2, "127.0.0.1:0");
    assert_true(gossip_leave(swarm.nodes[1].node.gossip, on_left, &left));
    assert_false(gossip_leave(swarm.nodes[1].node.gossip, on_left, &left));
    assert_true(swarm_pump(&swarm, is_true, &left));
    swarm_await(&swarm, 0, 1, GOSSIP_LEFT);
    json_t *all = gossip_members_json(&swarm.nodes[1].node);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    assert_true(gossip_join(swarm.nodes[1].node.gossip, "127.0.0.1", &err) < 0);
    assert_non_null(strstr(err.text, "started again"));
    swarm_stop(&swarm, 1, true); /* a farewell once more is none */
}

static void count_it(void *arg)
{
    ++*(unsigned *)arg;
}

static bool has_tags(struct swarm *s, void *arg)
{
    struct gossip_member member;
    struct tags tags = {0};

    (void)arg;
    if (swarm_state(s, 1, 0, &member) == GOSSIP_ALIVE) {
        gossip_tags_of(s->nodes[1].node.gossip, &member, &tags);
    }
    return tags_have(&tags, "site=north");
}

static bool is_told(struct swarm *s, void *arg)
{
    (void)s;
    return *(const unsigned *)arg > 0;
}

/* They are looked up when somebody asks; jobs look through all records each time. */
static void tags_wake_nobody_who_watches_records(void **state)
{
    uint8_t value[] = {0, 0, 0, 0, 0, 0, 0, 0x7f, 1};
    const struct swim_kv other = {
        .owner = 7, .version = 1, .value = value, .n_value = sizeof value};
    const char *tags[] = {"site=north"};
    struct err err = {0};
    unsigned n = 0;

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm.nodes[0].options.tags = (struct option_list){.items = tags, .n = 1};
    swarm_start(&swarm, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm_start(&swarm, 1);
    gossip_kv_watch(swarm.nodes[1].node.gossip, count_it, &n);
    assert_true(swarm_pump(&swarm, has_tags, NULL));
    assert_int_equal(n, 0);
    assert_int_equal(gossip_kv_put(swarm.nodes[0].node.gossip, &other, &err), 0);
    assert_true(swarm_pump(&swarm, is_told, &n));
    gossip_kv_watch(swarm.nodes[1].node.gossip, NULL, NULL);
}

static void count_tags(const struct swim_kv *kv, void *arg)
{
    *(unsigned *)arg += tag_record_is(kv->value, kv->n_value);
}

static bool holds_no_tags(struct swarm *s, void *arg)
{
    unsigned n = 0;

    (void)arg;
    gossip_kv_each(s->nodes[1].node.gossip, count_tags, &n);
    return n == 0;
}

/* Else those who come and go would fill the table of records for two days. */
static void who_leaves_takes_its_tags_along(void **state)
{
    const char *tags[] = {"site=north"};

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm.nodes[0].options.tags = (struct option_list){.items = tags, .n = 1};
    swarm_start(&swarm, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm_start(&swarm, 1);
    assert_true(swarm_pump(&swarm, has_tags, NULL));
    assert_false(holds_no_tags(&swarm, NULL));
    swarm_leave(&swarm, 0);
    assert_true(swarm_pump(&swarm, holds_no_tags, NULL));
}

/* Whoever has the cluster key can write over them; a time without measure is no harm either. */
static void tags_that_were_written_over_come_back(void **state)
{
    uint8_t value[] = {0, 0, 0, 0, 0, 0, 0, 0x80, 'T', 'x'};
    const char *tags[] = {"site=north"};
    struct swim_kv kv = {.version = UINT64_MAX / 2, .value = value, .n_value = sizeof value};
    struct err err = {0};

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm.nodes[0].options.tags = (struct option_list){.items = tags, .n = 1};
    swarm_start(&swarm, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm_start(&swarm, 1);
    struct gossip *other = swarm.nodes[1].node.gossip;
    kv.owner = gossip_self(other);
    tag_record_key(gossip_self(swarm.nodes[0].node.gossip), kv.key);
    for (; kv.n_value > 0; kv.n_value -= 5, kv.version += 100) {
        assert_true(swarm_pump(&swarm, has_tags, NULL));
        assert_int_equal(gossip_kv_put(other, &kv, &err), 0);
    }
    assert_true(swarm_pump(&swarm, has_tags, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_changed_while_the_swarm_runs),
        TEST(a_key_of_another_cluster_is_not_added),
        TEST(a_key_whose_order_was_written_over_is_told),
        TEST(who_is_gone_can_be_forgotten_and_who_lives_banned),
        TEST(who_is_banned_is_dead_to_all_until_it_is_lifted),
        TEST(the_clock_of_a_neighbour_is_known_within_a_bound),
        TEST(who_leaves_goes_on_alone),
        TEST(tags_wake_nobody_who_watches_records),
        TEST(who_leaves_takes_its_tags_along),
        TEST(tags_that_were_written_over_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
