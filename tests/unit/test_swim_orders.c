/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of an operator: who may give them, whom they keep out, and how they end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/swarm/swim_order.h"
#include "tests/support/swim_peers.h"

#define ADMIN   200
#define HOUR_MS 3600000ull

/* The core, a peer that orders are about, one that brings them, and an admin of no node. */
struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peer, other, admin;
    uint32_t n_events[SWIM_EVENT_CLOCK + 1]; /* by the last drain, about the peer */
    uint32_t n_sent, n_orders_sent, n_persisted;
    uint64_t persisted;
};

static void begin_under(struct fixture *f, bool has_admin)
{
    *f = (struct fixture){0};
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    f->peer = swim_test_peer(&swim_crypto_null, 1);
    f->other = swim_test_peer(&swim_crypto_null, 2);
    f->admin = swim_test_peer(&swim_crypto_null, ADMIN);
    if (has_admin) {
        struct swim_config config = swim_test_config(&f->net, &swim_rules_lan);
        config.has_admin = true;
        memcpy(config.admin_key, f->admin.keys.public_key, sizeof config.admin_key);
        swim_free(f->net.swim);
        f->net.swim = swim_new(&config, f->net.now);
    }
    swim_test_say_alive(&f->net, &f->peer);
    swim_test_say_alive(&f->net, &f->other);
}

static void drain(struct fixture *f)
{
    struct swim_action action;

    memset(f->n_events, 0, sizeof f->n_events);
    f->n_sent = f->n_orders_sent = f->n_persisted = 0;
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        if (action.kind == SWIM_EVENT &&
            (action.sid == f->peer.sid || action.sid == f->net.swim->self->sid)) {
            f->n_events[action.event]++;
        } else if (action.kind == SWIM_PERSIST) {
            f->n_persisted++;
            f->persisted = action.boot;
        } else if (action.kind == SWIM_SEND) {
            struct unpack run =
                unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
            struct swim_frame frame;
            f->n_sent++;
            while (swim_test_next_frame(&run, &frame)) {
                f->n_orders_sent += frame.type == SWIM_KV && swim_order_is_key(frame.key);
            }
        }
    }
}

static void begin(struct fixture *f, bool has_admin)
{
    begin_under(f, has_admin);
    drain(f);
}

static struct swim_id id_of(const struct swim_test_peer *peer)
{
    return swim_id_of(peer->keys.public_key);
}

static enum swim_order_result order(struct fixture *f, enum swim_order_kind kind)
{
    const struct swim_id id = id_of(&f->peer);
    enum swim_order_result result = swim_order(f->net.swim, f->net.now, kind, &id, NULL);

    drain(f);
    return result;
}

/* The record of an order about the peer that `by` gives; value is its bytes. */
static struct swim_kv order_of(const struct fixture *f, const struct swim_test_peer *by,
                               enum swim_order_kind kind, uint64_t issued_ms,
                               uint8_t value[SWIM_ORDER_BYTES])
{
    const struct swim_order_view view = {.kind = kind,
                                         .id = id_of(&f->peer),
                                         .boot = kind == SWIM_FORGET ? f->peer.incarnation.boot : 0,
                                         .issued_ms = issued_ms,
                                         .until_ns = INT64_MAX};

    return swim_order_write(&view, &swim_crypto_null, by->keys.secret_key, f->net.ring.cluster_id,
                            value);
}

static void bring(struct fixture *f, const struct swim_kv *kv)
{
    const struct swim_frame frame = {.type = SWIM_KV,
                                     .sid = kv->owner,
                                     .key = kv->key,
                                     .version = kv->version,
                                     .state = kv->flags,
                                     .bin = kv->value,
                                     .n_bin = kv->n_value};

    swim_test_say(&f->net, &f->other, &frame, 1);
    drain(f);
}

static void bring_order(struct fixture *f, const struct swim_test_peer *by,
                        enum swim_order_kind kind, uint64_t issued_ms)
{
    uint8_t value[SWIM_ORDER_BYTES];
    const struct swim_kv kv = order_of(f, by, kind, issued_ms, value);

    bring(f, &kv);
}

static bool is_up(const struct fixture *f)
{
    struct swim_view view;

    return swim_member_get(f->net.swim, f->peer.sid, &view) &&
           (view.state == SWIM_ALIVE || view.state == SWIM_SUSPECT);
}

/* A record of the peer, brought by itself. */
static void says(struct fixture *f, uint64_t boot_more, uint32_t seq)
{
    f->peer.incarnation.boot += boot_more;
    f->peer.incarnation.seq = seq;
    swim_test_say_alive(&f->net, &f->peer);
    drain(f);
}

static void pings(struct fixture *f)
{
    const struct swim_frame ping = {.type = SWIM_PING, .seq = 5, .sid = f->net.swim->self->sid};

    swim_test_say(&f->net, &f->peer, &ping, 1);
    drain(f);
}

static void dies(struct fixture *f)
{
    struct swim_member *member = swim_find(f->net.swim, f->peer.sid);

    swim_declare_dead(f->net.swim, member, f->other.sid, 3);
    drain(f);
}

/* ---- the bytes ---- */

static void an_order_is_read_as_it_was_written(void **state)
{
    struct fixture f;
    uint8_t value[SWIM_ORDER_BYTES];
    struct swim_order read;

    (void)state;
    begin(&f, false);
    const struct swim_id by = id_of(&f.other);
    const struct swim_id id = id_of(&f.peer);
    const struct swim_kv kv = order_of(&f, &f.other, SWIM_FORGET, SWIM_TEST_WALL_MS + 5, value);
    assert_true(swim_order_is_key(kv.key));
    assert_true(swim_order_read(&kv, &read));
    assert_true(swim_order_is_signed(&kv, &read, &swim_crypto_null, f.net.ring.cluster_id));
    assert_int_equal(read.view.kind, SWIM_FORGET);
    assert_int_equal(read.view.boot, f.peer.incarnation.boot);
    assert_int_equal(read.view.issued_ms, SWIM_TEST_WALL_MS + 5);
    assert_memory_equal(&read.view.by, &by, sizeof by);
    assert_memory_equal(&read.view.id, &id, sizeof id);
    swim_free(f.net.swim);
}

static bool is_good(const struct swim_kv *kv, const uint8_t *cluster_id)
{
    struct swim_order read;

    return swim_order_read(kv, &read) &&
           swim_order_is_signed(kv, &read, &swim_crypto_sodium, cluster_id);
}

static void each_byte_of_an_order_is_signed(void **state)
{
    struct fixture f;
    uint8_t value[SWIM_ORDER_BYTES];
    struct swim_test_peer by = swim_test_peer(&swim_crypto_sodium, 2);

    (void)state;
    begin(&f, false);
    const struct swim_order_view view = {.kind = SWIM_BAN,
                                         .id = id_of(&f.peer),
                                         .issued_ms = SWIM_TEST_WALL_MS,
                                         .until_ns = INT64_MAX};
    struct swim_kv kv = swim_order_write(&view, &swim_crypto_sodium, by.keys.secret_key,
                                         f.net.ring.cluster_id, value);
    assert_true(is_good(&kv, f.net.ring.cluster_id));
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] ^= 1;
        assert_false(is_good(&kv, f.net.ring.cluster_id));
        value[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof kv.key; i++) {
        kv.key[i] ^= 1;
        assert_false(is_good(&kv, f.net.ring.cluster_id));
        kv.key[i] ^= 1;
    }
    kv.version++;
    assert_false(is_good(&kv, f.net.ring.cluster_id));
    kv.version--;
    kv.owner++;
    assert_false(is_good(&kv, f.net.ring.cluster_id));
    kv.owner--;
    uint8_t cluster_id[SWIM_CLUSTER_BYTES] = {1};
    assert_false(is_good(&kv, cluster_id));
    swim_free(f.net.swim);
}

/* ---- banning ---- */

static void who_is_banned_is_no_member_whatever_it_says(void **state)
{
    struct fixture f;
    struct swim_view view;

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    assert_int_equal(f.n_events[SWIM_EVENT_DOWN], 1);
    assert_int_equal(f.n_events[SWIM_EVENT_BANNED], 1);
    says(&f, 0, 1);
    assert_false(is_up(&f));
    says(&f, HOUR_MS, 0);
    assert_false(is_up(&f));
    assert_int_equal(f.n_events[SWIM_EVENT_UP], 0);
    assert_true(swim_member_get(f.net.swim, f.peer.sid, &view) && view.banned);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_NO_CHANGE);
    swim_free(f.net.swim);
}

static void who_is_banned_is_told_so_now_and_then_and_nothing_else(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    swim_test_pass(&f.net, 2000);
    pings(&f);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(f.n_orders_sent, 1);
    pings(&f);
    assert_int_equal(f.n_sent, 0);
    swim_test_pass(&f.net, 1001);
    pings(&f);
    assert_int_equal(f.n_orders_sent, 1);
    swim_free(f.net.swim);
}

static void a_ban_ends_when_it_is_lifted(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_UNBAN), SWIM_ORDER_NO_CHANGE);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    assert_int_equal(order(&f, SWIM_UNBAN), SWIM_ORDER_TAKEN);
    assert_int_equal(f.n_events[SWIM_EVENT_UNBANNED], 1);
    assert_true(swim_is_armed(f.net.swim, TIMER_RECONNECT)); /* it does not know */
    says(&f, 0, 1);
    assert_int_equal(f.n_events[SWIM_EVENT_UP], 1);
    swim_free(f.net.swim);
}

static void an_id_can_be_banned_before_it_comes(void **state)
{
    struct fixture f;
    struct swim_test_peer stranger = swim_test_peer(&swim_crypto_null, 3);

    (void)state;
    begin(&f, false);
    f.peer = stranger;
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    says(&f, 0, 0);
    assert_null(swim_find(f.net.swim, stranger.sid));
    assert_true(f.n_orders_sent > 0);
    swim_free(f.net.swim);
}

/* A record that a friend brings is kept out as well, and the friend told. */
static void nobody_brings_the_banned_back(void **state)
{
    struct fixture f;
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_frame frame = {.type = SWIM_ALIVE_FRAME, .bin = record};

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    f.peer.incarnation.boot += 1000;
    frame.n_bin = swim_test_record_of(&f.net, &f.peer, false, record);
    swim_test_pass(&f.net, 100);
    swim_test_say(&f.net, &f.other, &frame, 1);
    drain(&f);
    assert_false(is_up(&f));
    assert_int_equal(f.n_orders_sent, 1);
    swim_free(f.net.swim);
}

static void who_hears_that_it_is_banned_says_so(void **state)
{
    struct fixture f;
    struct swim_test_peer self = swim_test_peer(&swim_crypto_null, 0);

    (void)state;
    begin(&f, false);
    f.peer = self;
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    assert_int_equal(f.n_events[SWIM_EVENT_BANNED], 1);
    assert_int_equal(swim_own_incarnation(f.net.swim).boot, SWIM_TEST_WALL_MS);
    swim_free(f.net.swim);
}

/* ---- who may ---- */

static void with_an_admin_nobody_else_may(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    assert_true(is_up(&f));
    assert_int_equal(swim_get_counters(f.net.swim)->bad_orders, 1);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_NOT_ADMIN);
    bring_order(&f, &f.admin, SWIM_BAN, SWIM_TEST_WALL_MS);
    assert_false(is_up(&f));
    const struct swim_id id = id_of(&f.peer);
    assert_int_equal(swim_order(f.net.swim, f.net.now, SWIM_UNBAN, &id, f.admin.keys.secret_key),
                     SWIM_ORDER_TAKEN);
    swim_free(f.net.swim);
}

/* A node that was off for a year has the ban in its file of orders. */
static void a_lifted_ban_does_not_come_back_with_who_was_away(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    const struct swim_id peer = id_of(&f.peer);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    assert_true(swim_is_banned(f.net.swim, &peer));
    assert_int_equal(order(&f, SWIM_UNBAN), SWIM_ORDER_TAKEN);
    swim_test_pass(&f.net, 365 * 24 * HOUR_MS);
    swim_on_time(f.net.swim, f.net.now);
    swim_kv_compare(f.net.swim, swim_find(f.net.swim, f.other.sid), 0);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    assert_false(swim_is_banned(f.net.swim, &peer));
    swim_free(f.net.swim);
}

static void nobody_lifts_its_own_ban(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    bring_order(&f, &f.peer, SWIM_UNBAN, SWIM_TEST_WALL_MS + 1);
    const struct swim_id id = id_of(&f.peer);
    assert_true(swim_is_banned(f.net.swim, &id));
    swim_free(f.net.swim);
}

static void an_order_cannot_be_deleted_nor_put_out_of_reach(void **state)
{
    struct fixture f;
    uint8_t value[SWIM_ORDER_BYTES];

    (void)state;
    begin(&f, false);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS);
    struct swim_kv kv = order_of(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS + 1, value);
    kv.flags = SWIM_KV_DELETED;
    kv.n_value = 8;
    bring(&f, &kv);
    const struct swim_id peer = id_of(&f.peer);
    assert_true(swim_is_banned(f.net.swim, &peer));
    bring_order(&f, &f.other, SWIM_UNBAN, SWIM_TEST_WALL_MS + 48 * HOUR_MS);
    assert_true(swim_is_banned(f.net.swim, &peer));
    assert_int_equal(swim_get_counters(f.net.swim)->bad_orders, 2);
    swim_free(f.net.swim);
}

static void the_last_order_counts_in_whatever_order_they_come(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    bring_order(&f, &f.other, SWIM_UNBAN, SWIM_TEST_WALL_MS + 2);
    bring_order(&f, &f.other, SWIM_BAN, SWIM_TEST_WALL_MS + 1);
    assert_true(is_up(&f));
    /* Ours is behind it, though our clock is not. */
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    assert_false(is_up(&f));
    struct swim_order_view view;
    assert_true(swim_order_at(f.net.swim, 0, &view));
    assert_int_equal(view.issued_ms, SWIM_TEST_WALL_MS + 3);
    assert_false(swim_order_at(f.net.swim, 1, &view));
    swim_free(f.net.swim);
}

/* ---- forgetting ---- */

static void who_is_forgotten_is_gone_until_it_lives_anew(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    dies(&f);
    assert_int_equal(order(&f, SWIM_FORGET), SWIM_ORDER_TAKEN);
    assert_int_equal(f.n_events[SWIM_EVENT_FORGOTTEN], 1);
    swim_on_time(f.net.swim, f.net.now);
    assert_null(swim_find(f.net.swim, f.peer.sid));
    assert_int_equal(order(&f, SWIM_FORGET), SWIM_ORDER_UNKNOWN);
    says(&f, 0, 7);
    assert_null(swim_find(f.net.swim, f.peer.sid));
    says(&f, 1, 0);
    assert_int_equal(f.n_events[SWIM_EVENT_UP], 1);
    swim_free(f.net.swim);
}

static void forgetting_lasts_a_day(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    dies(&f);
    assert_int_equal(order(&f, SWIM_FORGET), SWIM_ORDER_TAKEN);
    swim_test_pass(&f.net, 24 * HOUR_MS - 1000);
    swim_kv_compare(f.net.swim, swim_find(f.net.swim, f.other.sid), 0);
    assert_int_equal(swim_n_orders(f.net.swim), 1);
    swim_test_pass(&f.net, 2000);
    swim_on_time(f.net.swim, f.net.now);
    swim_kv_compare(f.net.swim, swim_find(f.net.swim, f.other.sid), 0);
    assert_int_equal(swim_n_orders(f.net.swim), 0);
    swim_free(f.net.swim);
}

static void the_living_are_not_forgotten(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_FORGET), SWIM_ORDER_LIVES);
    assert_true(is_up(&f));
    const struct swim_id self = f.net.swim->self->id;
    assert_int_equal(swim_order(f.net.swim, f.net.now, SWIM_FORGET, &self, NULL), SWIM_ORDER_SELF);
    assert_int_equal(swim_order(f.net.swim, f.net.now, SWIM_BAN, &self, NULL), SWIM_ORDER_SELF);
    swim_free(f.net.swim);
}

/* The other half of a partition has forgotten us: there is no other way back. */
static void who_hears_that_it_is_forgotten_begins_a_life_behind_that(void **state)
{
    struct fixture f;
    struct swim_test_peer self = swim_test_peer(&swim_crypto_null, 0);

    (void)state;
    begin(&f, false);
    f.peer = self;
    f.peer.incarnation.boot = SWIM_TEST_WALL_MS;
    bring_order(&f, &f.other, SWIM_FORGET, SWIM_TEST_WALL_MS);
    assert_int_equal(f.n_events[SWIM_EVENT_FORGOTTEN], 1);
    swim_test_pass(&f.net, 3001);
    swim_on_time(f.net.swim, f.net.now);
    drain(&f);
    assert_int_equal(swim_own_incarnation(f.net.swim).boot, SWIM_TEST_WALL_MS + 1);
    assert_int_equal(f.persisted, SWIM_TEST_WALL_MS + 1);
    swim_free(f.net.swim);
}

/* ---- how many ---- */

static void orders_have_places_that_nothing_else_takes(void **state)
{
    struct fixture f;
    struct swim_kv kv = {.owner = 1, .version = 1, .value = (const uint8_t *)"x", .n_value = 1};

    (void)state;
    begin(&f, false);
    for (uint32_t i = 0; i < SWIM_KV_MAX; i++) {
        put_le32(kv.key, i);
        assert_int_equal(swim_kv_put(f.net.swim, f.net.now, &kv), SWIM_KV_TAKEN);
    }
    for (uint32_t i = 0; i < SWIM_ORDERS_MAX; i++) {
        struct swim_id id = {{1, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_int_equal(swim_order(f.net.swim, f.net.now, SWIM_BAN, &id, NULL), SWIM_ORDER_TAKEN);
    }
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_FULL);
    assert_int_equal(swim_n_orders(f.net.swim), SWIM_ORDERS_MAX);
    assert_int_equal(swim_kv_count(f.net.swim), SWIM_KV_MAX);
    for (uint32_t i = 0; i < SWIM_KV_MAX; i++) {
        assert_true(swim_kv_at(f.net.swim, i, &kv) && !swim_order_is_key(kv.key));
    }
    for (uint32_t n = 0; swim_kv_next_change(f.net.swim, &kv); n++) {
        assert_true(n < SWIM_KV_MAX && !swim_order_is_key(kv.key));
    }
    swim_free(f.net.swim);
}

static void what_was_kept_on_disk_is_taken_again(void **state)
{
    struct fixture f, later;
    struct swim_kv kv;

    (void)state;
    begin(&f, false);
    assert_int_equal(order(&f, SWIM_BAN), SWIM_ORDER_TAKEN);
    begin_under(&later, false);
    assert_true(swim_order_record_at(f.net.swim, 0, &kv));
    assert_int_equal(swim_kv_put(later.net.swim, later.net.now, &kv), SWIM_KV_TAKEN);
    assert_false(is_up(&later));
    swim_free(f.net.swim);
    swim_free(later.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_read_as_it_was_written),
        cmocka_unit_test(each_byte_of_an_order_is_signed),
        cmocka_unit_test(who_is_banned_is_no_member_whatever_it_says),
        cmocka_unit_test(who_is_banned_is_told_so_now_and_then_and_nothing_else),
        cmocka_unit_test(a_ban_ends_when_it_is_lifted),
        cmocka_unit_test(an_id_can_be_banned_before_it_comes),
        cmocka_unit_test(nobody_brings_the_banned_back),
        cmocka_unit_test(who_hears_that_it_is_banned_says_so),
        cmocka_unit_test(with_an_admin_nobody_else_may),
        cmocka_unit_test(a_lifted_ban_does_not_come_back_with_who_was_away),
        cmocka_unit_test(nobody_lifts_its_own_ban),
        cmocka_unit_test(an_order_cannot_be_deleted_nor_put_out_of_reach),
        cmocka_unit_test(the_last_order_counts_in_whatever_order_they_come),
        cmocka_unit_test(who_is_forgotten_is_gone_until_it_lives_anew),
        cmocka_unit_test(forgetting_lasts_a_day),
        cmocka_unit_test(the_living_are_not_forgotten),
        cmocka_unit_test(who_hears_that_it_is_forgotten_begins_a_life_behind_that),
        cmocka_unit_test(orders_have_places_that_nothing_else_takes),
        cmocka_unit_test(what_was_kept_on_disk_is_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
