/* SPDX-License-Identifier: Apache-2.0
 *
 * An order that is drafted by a node, signed elsewhere and brought back: only what was asked for is
 * signed, and only what was signed by the admin counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/admin_order.h"
#include "shared/base/bytes.h"
#include "tests/support/swim_peers.h"

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peer;
    struct swim_id id;
    char id_text[2 * SWIM_ID_BYTES + 1];
    struct cluster_key *admin;
    uint8_t public_key[ADMIN_PUBLIC_BYTES];
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.admin = cluster_key_new()};
    swim_test_net_init(&f->net, &swim_crypto_sodium, &swim_rules_lan);
    f->peer = swim_test_peer(&swim_crypto_sodium, 1);
    cluster_key_make(f->admin);
    memcpy(f->admin->cluster, f->net.ring.cluster_id, sizeof f->admin->cluster);
    admin_key_public(f->admin, f->public_key);

    struct swim_config config = swim_test_config(&f->net, &swim_rules_lan);
    config.has_admin = true;
    memcpy(config.admin_key, f->public_key, sizeof config.admin_key);
    swim_free(f->net.swim);
    f->net.swim = swim_new(&config, f->net.now);
    swim_test_say_alive(&f->net, &f->peer);
    f->id = swim_id_of(f->peer.keys.public_key);
    for (size_t i = 0; i < SWIM_ID_BYTES; i++) {
        (void)snprintf(f->id_text + 2 * i, 3, "%02x", f->id.bytes[i]);
    }
}

static void end(struct fixture *f)
{
    cluster_key_free(f->admin);
    swim_free(f->net.swim);
}

static void draft(struct fixture *f, enum swim_order_kind kind, char text[SWIM_ORDER_TEXT])
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];

    assert_int_equal(
        swim_order_to_sign(f->net.swim, f->net.now, kind, &f->id, f->public_key, carried),
        SWIM_ORDER_TAKEN);
    swim_order_print(carried, text);
}

static int sign(const struct fixture *f, enum swim_order_kind kind, const char *to_sign,
                char out[SWIM_ORDER_TEXT])
{
    const struct admin_order wanted = {
        .kind = kind, .id = f->id_text, .now_ms = (uint64_t)f->net.now.wall_ns / 1000000};
    struct err err = {0};

    return admin_order_sign(f->admin, &wanted, to_sign, out, &err);
}

static enum swim_order_result bring(struct fixture *f, const char *order)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];

    assert_true(swim_order_parse(order, strlen(order), carried));
    return swim_order_signed(f->net.swim, f->net.now, carried);
}

static void what_the_admin_has_signed_counts_and_a_draft_does_not(void **state)
{
    char to_sign[SWIM_ORDER_TEXT];
    char order[SWIM_ORDER_TEXT];
    struct fixture f;

    (void)state;
    begin(&f);
    draft(&f, SWIM_BAN, to_sign);
    assert_false(swim_is_banned(f.net.swim, &f.id));
    assert_int_equal(bring(&f, to_sign), SWIM_ORDER_NO_ORDER);
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, order), 0);
    assert_int_equal(bring(&f, order), SWIM_ORDER_TAKEN);
    assert_true(swim_is_banned(f.net.swim, &f.id));
    assert_int_equal(bring(&f, order), SWIM_ORDER_NO_CHANGE);
    draft(&f, SWIM_UNBAN, to_sign);
    assert_int_equal(sign(&f, SWIM_UNBAN, to_sign, order), 0);
    assert_int_equal(bring(&f, order), SWIM_ORDER_TAKEN);
    assert_false(swim_is_banned(f.net.swim, &f.id));
    end(&f);
}

static void an_old_order_does_not_come_back(void **state)
{
    char to_sign[SWIM_ORDER_TEXT];
    char first[SWIM_ORDER_TEXT];
    char second[SWIM_ORDER_TEXT];
    struct fixture f;

    (void)state;
    begin(&f);
    draft(&f, SWIM_BAN, to_sign);
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, first), 0);
    assert_int_equal(bring(&f, first), SWIM_ORDER_TAKEN);
    draft(&f, SWIM_UNBAN, to_sign);
    assert_int_equal(sign(&f, SWIM_UNBAN, to_sign, second), 0);
    assert_int_equal(bring(&f, second), SWIM_ORDER_TAKEN);
    assert_int_equal(bring(&f, first), SWIM_ORDER_OLD);
    assert_false(swim_is_banned(f.net.swim, &f.id));
    end(&f);
}

static void another_order_than_the_wanted_is_not_signed(void **state)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
    char to_sign[SWIM_ORDER_TEXT];
    char order[SWIM_ORDER_TEXT] = "untouched";
    struct fixture f;

    (void)state;
    begin(&f);
    draft(&f, SWIM_BAN, to_sign);
    assert_int_equal(sign(&f, SWIM_UNBAN, to_sign, order), ERR_DAMAGED); /* of another kind */
    assert_int_equal(sign(&f, SWIM_BAN, "AAAA", order), ERR_DAMAGED);
    f.id_text[0] = f.id_text[0] == '0' ? '1' : '0';
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, order), ERR_DAMAGED); /* about another */
    f.id_text[0] = "0123456789abcdef"[f.id.bytes[0] >> 4];
    f.admin->key[0] ^= 1;
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, order), ERR_DAMAGED); /* of another admin */
    f.admin->key[0] ^= 1;
    assert_true(swim_order_parse(to_sign, strlen(to_sign), carried));
    put_le64(carried, (uint64_t)f.net.now.wall_ns / 1000000 + 25ull * 3600 * 1000);
    swim_order_print(carried, to_sign);
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, order), ERR_DAMAGED); /* of tomorrow */
    assert_string_equal(order, "untouched");
    end(&f);
}

static void the_key_of_another_cluster_signs_nothing_of_worth(void **state)
{
    char to_sign[SWIM_ORDER_TEXT];
    char order[SWIM_ORDER_TEXT];
    struct fixture f;

    (void)state;
    begin(&f);
    draft(&f, SWIM_BAN, to_sign);
    f.admin->cluster[0] ^= 1;
    assert_int_equal(sign(&f, SWIM_BAN, to_sign, order), 0);
    assert_int_equal(bring(&f, order), SWIM_ORDER_NO_ORDER);
    end(&f);
}

static void who_is_not_the_admin_gets_nothing_to_sign(void **state)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
    uint8_t value[SWIM_ORDER_BYTES];
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(
        swim_order_to_sign(f.net.swim, f.net.now, SWIM_BAN, &f.id, f.peer.keys.public_key, carried),
        SWIM_ORDER_NOT_ADMIN);
    struct swim_test_peer core = swim_test_peer(&swim_crypto_sodium, 0);
    const struct swim_id self = swim_id_of(core.keys.public_key);
    assert_int_equal(
        swim_order_to_sign(f.net.swim, f.net.now, SWIM_BAN, &self, f.public_key, carried),
        SWIM_ORDER_SELF);
    const struct swim_order_view view = {
        .kind = SWIM_BAN, .id = f.id, .issued_ms = 1, .until_ns = INT64_MAX};
    struct swim_test_peer other = swim_test_peer(&swim_crypto_sodium, 2);
    const struct swim_kv kv = swim_order_write(&view, &swim_crypto_sodium, other.keys.secret_key,
                                               f.net.ring.cluster_id, value);
    swim_order_carry(&kv, carried);
    assert_int_equal(swim_order_signed(f.net.swim, f.net.now, carried), SWIM_ORDER_NOT_ADMIN);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_admin_has_signed_counts_and_a_draft_does_not),
        cmocka_unit_test(an_old_order_does_not_come_back),
        cmocka_unit_test(another_order_than_the_wanted_is_not_signed),
        cmocka_unit_test(the_key_of_another_cluster_signs_nothing_of_worth),
        cmocka_unit_test(who_is_not_the_admin_gets_nothing_to_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
