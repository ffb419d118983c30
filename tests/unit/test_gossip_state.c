/* SPDX-License-Identifier: Apache-2.0
 *
 * The state directory of a node in a swarm: what is in it comes back, and what is wrong with it is
 * said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "node/gossip_state_posix.h"
#include "tests/support/test_place.h"

static struct gossip_state first, second;

static void open_in(struct gossip_state *state, const char *name)
{
    struct err err = {0};
    char *path = in_place(name);

    if (gossip_state_open(path, state, &err) < 0) {
        fail_msg("%s", err.text);
    }
    mem_free(path);
}

static int try_open(const char *name, const char *part)
{
    struct err err = {0};
    char *path = in_place(name);
    int rc = gossip_state_open(path, &second, &err);

    mem_free(path);
    if (rc < 0 && strstr(err.text, part) == NULL) {
        fail_msg("no '%s' in '%s'", part, err.text);
    }
    return rc;
}

static void put(const char *name, const char *text, unsigned mode)
{
    char *path = in_place(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    mem_free(path);
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    char *path = in_place(name);

    assert_int_equal(stat(path, &st), 0);
    mem_free(path);
    return st.st_mode & 0777;
}

static void what_was_put_comes_back(void **state)
{
    struct gossip_ring ring = {.file_id = 0xabcdef01, .since_ms = 77, .keys = {.n = 2}};
    uint8_t secret[SWIM_SECRET_BYTES];
    struct err err;

    (void)state;
    open_in(&first, "a/b/c");
    assert_int_equal(first.boot, 0);
    assert_false(first.has_ring);
    memcpy(secret, first.secret_key, sizeof secret);
    memset(ring.keys.cluster_id, 0x5a, sizeof ring.keys.cluster_id);
    for (int i = 0; i < 2; i++) {
        memset(ring.keys.keys[i].key, 0xf0 + i, SWIM_KEY_BYTES);
        ring.keys.keys[i].id = swim_key_id(ring.keys.keys[i].key);
        ring.keys.keys[i].state = i == 0 ? SWIM_KEY_RETIRING : SWIM_KEY_ACTIVE;
    }
    ring.until_s[0] = 1795600000;
    assert_int_equal(gossip_state_put_boot(&first, 1795600000123, &err), 0);
    assert_int_equal(gossip_state_put_ring(&first, &ring, &err), 0);
    gossip_state_close(&first);

    open_in(&first, "a/b/c");
    assert_int_equal(first.boot, 1795600000123);
    assert_true(first.has_ring);
    assert_memory_equal(&first.ring, &ring, sizeof ring);
    assert_memory_equal(first.secret_key, secret, sizeof secret);
    gossip_state_close(&first);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_int_equal(mode_of("a/b/c/node.key"), 0600);
    assert_int_equal(mode_of("a/b/c/keyring"), 0600);
}

static void two_processes_do_not_share_one(void **state)
{
    (void)state;
    open_in(&first, "s");
    assert_int_equal(try_open("s", "give this one its own --state-dir"), ERR_IN_USE);
    gossip_state_close(&first);
    open_in(&first, "s");
    gossip_state_close(&first);
}

static void what_others_can_read_is_no_secret(void **state)
{
    char *path = in_place("s/node.key");

    (void)state;
    open_in(&first, "s");
    gossip_state_close(&first);
    assert_int_equal(chmod(path, 0644), 0);
    mem_free(path);
    assert_int_equal(try_open("s", "'chmod 600'"), ERR_PERMISSION);
}

static void damage_is_told_with_the_way_out(void **state)
{
    static const char head[] = "packetrecorder keyring 1\n";
    static const char *const rings[] = {
        "",
        "packetrecorder keyring 2\n",
        "cluster AAAAAAAAAAAAAAAAAAAAAA\n",
        "cluster AAAAAAAAAAAAAAAAAAAAAA\nkey AAAA active 0\n",
        "key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA installed 0\n",
        "key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA active 0",
        "key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA loud 0\n",
        "what is this\n",
    };

    (void)state;
    open_in(&first, "s");
    gossip_state_close(&first);
    for (size_t i = 0; i < ARRAY_LEN(rings); i++) {
        char *text = x_sprintf("%s%s", i == 1 ? "" : head, rings[i]);
        put("s/keyring", text, 0600);
        mem_free(text);
        assert_int_equal(try_open("s", "keyring' is damaged"), ERR_DAMAGED);
    }
    put("s/keyring",
        "packetrecorder keyring 1\nkey AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA active 0\n",
        0600);
    open_in(&first, "s");
    gossip_state_close(&first);
    put("s/boot", "soon\n", 0600);
    assert_int_equal(try_open("s", "boot' is no number"), ERR_DAMAGED);
    put("s/boot", "1\n", 0600);
    put("s/node.key", "short\n", 0600);
    assert_int_equal(try_open("s", "node.key' is no key"), ERR_DAMAGED);
}

/* ---- the ring and the key file ---- */

static bool take(struct gossip_ring *ring, uint8_t cluster, uint8_t fill)
{
    uint8_t id[SWIM_CLUSTER_BYTES];
    uint8_t key[SWIM_KEY_BYTES];
    struct err err = {0};
    bool changed = false;

    memset(id, cluster, sizeof id);
    memset(key, fill, sizeof key);
    if (gossip_ring_take_file(ring, id, key, 1000, &changed, &err) < 0) {
        assert_int_equal(err.code, ERR_LIMIT);
        return false;
    }
    return changed;
}

static uint8_t active(const struct gossip_ring *ring)
{
    return swim_keyring_active(&ring->keys)->key[0];
}

static void a_new_key_in_the_file_becomes_the_active_one(void **state)
{
    struct gossip_ring ring = {0};

    (void)state;
    assert_true(take(&ring, 1, 10));
    assert_int_equal(active(&ring), 10);
    assert_false(take(&ring, 1, 10));
    assert_true(take(&ring, 1, 11));
    assert_int_equal(active(&ring), 11);
    assert_int_equal(ring.keys.n, 2);
    assert_int_equal(ring.keys.keys[0].state, SWIM_KEY_INSTALLED);
}

static void what_a_rotation_did_is_not_undone_by_the_file(void **state)
{
    struct gossip_ring ring = {0};

    (void)state;
    assert_true(take(&ring, 1, 10));
    ring.keys.keys[0].key[0] = 77; /* as if 10 had been retired and 77 were the one */
    ring.keys.keys[0].id = swim_key_id(ring.keys.keys[0].key);
    assert_false(take(&ring, 1, 10));
    assert_int_equal(ring.keys.n, 1);
    assert_int_equal(active(&ring), 77);
}

static void another_cluster_begins_anew(void **state)
{
    struct gossip_ring ring = {0};

    (void)state;
    assert_true(take(&ring, 1, 10));
    assert_true(take(&ring, 1, 11));
    assert_true(take(&ring, 2, 10));
    assert_int_equal(ring.keys.n, 1);
    assert_int_equal(active(&ring), 10);
}

static void a_full_ring_says_so(void **state)
{
    struct gossip_ring ring = {0};

    (void)state;
    for (uint8_t i = 0; i < SWIM_KEYS_MAX; i++) {
        assert_true(take(&ring, 1, (uint8_t)(10 + i)));
    }
    assert_false(take(&ring, 1, 99));
    assert_int_equal(ring.keys.n, SWIM_KEYS_MAX);
}

/* ---- orders ---- */

static struct gossip_key_order order_of(uint8_t fill, uint8_t order_state, uint64_t since_ms)
{
    struct gossip_key_order order = {.state = order_state, .since_ms = since_ms};

    memset(order.key, fill, sizeof order.key);
    order.id = swim_key_id(order.key);
    if (order_state == SWIM_KEY_RETIRING) {
        memset(order.key, 0, sizeof order.key);
        order.until_s = 1000;
    }
    return order;
}

static void an_order_comes_back_from_its_bytes(void **state)
{
    struct gossip_key_order order = order_of(7, SWIM_KEY_ACTIVE, 123456789012345);
    struct gossip_key_order back;
    uint8_t at_key[SWIM_KV_KEY_BYTES];
    uint8_t bytes[GOSSIP_KEY_ORDER_BYTES];

    (void)state;
    gossip_key_order_place(order.id, at_key);
    gossip_key_order_write(&order, bytes);
    assert_true(gossip_key_order_read(at_key, bytes, sizeof bytes, &back));
    assert_int_equal(back.id, order.id);
    assert_int_equal(back.state, order.state);
    assert_int_equal(back.since_ms, order.since_ms);
    assert_memory_equal(back.key, order.key, sizeof order.key);
    assert_false(gossip_key_order_read(at_key, bytes, sizeof bytes - 1, &back));
    for (size_t i = 0; i < 34; i++) { /* version, state, key: none may be another one */
        bytes[i] ^= 0x40;
        assert_false(gossip_key_order_read(at_key, bytes, sizeof bytes, &back));
        bytes[i] ^= 0x40;
    }
    for (size_t i = 0; i < sizeof at_key; i++) {
        at_key[i] ^= 1;
        assert_false(gossip_key_order_read(at_key, bytes, sizeof bytes, &back));
        at_key[i] ^= 1;
    }
}

/* All orders of the orders of a rotation end with the same. */
static void the_order_of_orders_does_not_matter(void **state)
{
    const struct gossip_key_order orders[] = {
        order_of(10, SWIM_KEY_RETIRING, 30),
        order_of(11, SWIM_KEY_ACTIVE, 20),
        order_of(12, SWIM_KEY_ACTIVE, 10),
    };
    static const unsigned ways[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    (void)state;
    for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
        struct gossip_ring ring = {0};
        assert_true(take(&ring, 1, 10));
        for (unsigned round = 0; round < 2; round++) { /* each record is heard of often */
            for (unsigned i = 0; i < 3; i++) {
                (void)gossip_ring_apply(&ring, &orders[ways[way][i]], 500);
            }
        }
        assert_int_equal(ring.keys.n, 3);
        assert_int_equal(active(&ring), 11);
        assert_int_equal(gossip_ring_find(&ring, orders[0].id)->state, SWIM_KEY_RETIRING);
        assert_int_equal(gossip_ring_find(&ring, orders[2].id)->state, SWIM_KEY_INSTALLED);
    }
}

/* A member that lies could else settle for ever which key is used. */
static void an_order_from_the_future_is_not_obeyed(void **state)
{
    const struct gossip_key_order late = order_of(11, SWIM_KEY_ACTIVE, UINT64_MAX);
    const struct gossip_key_order ahead = order_of(11, SWIM_KEY_ACTIVE, 86901000);
    const struct gossip_key_order soon = order_of(11, SWIM_KEY_ACTIVE, 86900000);
    struct gossip_ring ring = {0};

    (void)state;
    assert_true(take(&ring, 1, 10));
    assert_int_equal(gossip_ring_apply(&ring, &late, 500), GOSSIP_RING_SAME);
    assert_int_equal(gossip_ring_apply(&ring, &ahead, 500), GOSSIP_RING_SAME);
    assert_int_equal(active(&ring), 10);
    assert_int_equal(gossip_ring_apply(&ring, &soon, 500), GOSSIP_RING_CHANGED);
    assert_int_equal(active(&ring), 11);
}

static void a_retired_key_goes_when_its_time_is_over(void **state)
{
    struct gossip_key_order next = order_of(11, SWIM_KEY_ACTIVE, 20);
    struct gossip_key_order old = order_of(10, SWIM_KEY_RETIRING, 30);
    struct gossip_ring ring = {0};

    (void)state;
    assert_true(take(&ring, 1, 10));
    assert_int_equal(gossip_ring_apply(&ring, &old, 500), GOSSIP_RING_SAME); /* the only one */
    assert_int_equal(gossip_ring_apply(&ring, &next, 500), GOSSIP_RING_CHANGED);
    assert_int_equal(gossip_ring_apply(&ring, &old, 500), GOSSIP_RING_CHANGED);
    assert_int_equal(gossip_ring_next_s(&ring), 1000);
    assert_false(gossip_ring_expire(&ring, 999));
    assert_true(gossip_ring_expire(&ring, 1000));
    assert_int_equal(ring.keys.n, 1);
    assert_int_equal(gossip_ring_next_s(&ring), INT64_MAX);
    assert_int_equal(active(&ring), 11);
    assert_int_equal(gossip_ring_apply(&ring, &old, 2000), GOSSIP_RING_SAME);
}

#define IN_PLACE(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

static void how_swarm_time_stands_is_kept(void **state)
{
    static const char *const bad[] = {"", "x", "k 5\n", "k 5 6\nmore", "k five 6\n"};
    const struct gossip_kept_time kept = {
        .kernel = "01234567-89ab-cdef-0123-456789abcdef", .ahead_ns = INT64_MIN, .kept_ns = 7};
    struct gossip_kept_time out = {0};
    struct err err = {0};

    (void)state;
    open_in(&first, "timed");
    assert_false(gossip_state_get_time(&first, &out));
    assert_int_equal(gossip_state_put_time(&first, &kept, &err), 0);
    assert_true(gossip_state_get_time(&first, &out));
    assert_string_equal(out.kernel, kept.kernel);
    assert_true(out.ahead_ns == INT64_MIN && out.kept_ns == 7);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("timed/time", bad[i], 0600);
        assert_false(gossip_state_get_time(&first, &out));
    }
    gossip_state_close(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(what_was_put_comes_back),
        IN_PLACE(two_processes_do_not_share_one),
        IN_PLACE(what_others_can_read_is_no_secret),
        IN_PLACE(damage_is_told_with_the_way_out),
        IN_PLACE(how_swarm_time_stands_is_kept),
        cmocka_unit_test(a_new_key_in_the_file_becomes_the_active_one),
        cmocka_unit_test(what_a_rotation_did_is_not_undone_by_the_file),
        cmocka_unit_test(another_cluster_begins_anew),
        cmocka_unit_test(a_full_ring_says_so),
        cmocka_unit_test(an_order_comes_back_from_its_bytes),
        cmocka_unit_test(the_order_of_orders_does_not_matter),
        cmocka_unit_test(an_order_from_the_future_is_not_obeyed),
        cmocka_unit_test(a_retired_key_goes_when_its_time_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
